//! The log: `tracing` to stderr and, if wanted, to a file. Bounded in rate and in size, and clean
//! of other people's control characters.

use std::{
    collections::HashMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use positron_store::{open_ours, refuse_others};
use tracing::{Event, Subscriber, callsite::Identifier, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    failure::{Exit, Failure},
    rate::Rate,
    terminal::{Terminal, sanitised},
};

/// Bytes in one log line; the rest is cut off.
const MAX_LINE: usize = 4096;
/// Bytes in the log file before it is moved to `FILE.1` (which it replaces) and begun anew.
const MAX_FILE: u64 = 16 << 20;

/// Reads a log level by the founding document's names or by those that are usual here.
pub(crate) fn parse_level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" => Ok(LevelFilter::TRACE),
        "DEBUG" => Ok(LevelFilter::DEBUG),
        "INFO" => Ok(LevelFilter::INFO),
        "WARN" | "WARNING" => Ok(LevelFilter::WARN),
        "ERROR" | "CRITICAL" => Ok(LevelFilter::ERROR),
        "OFF" | "NONE" => Ok(LevelFilter::OFF),
        _ => Err(format!("'{text}' is no log level: DEBUG, INFO, WARNING or ERROR")),
    }
}

/// The log of this process.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    file: Arc<Mutex<Option<LogFile>>>,
}

impl Log {
    /// Begins to log on stderr. To be called once.
    pub(crate) fn start(terminal: &Arc<Terminal>, level: LevelFilter) -> Result<Self, Failure> {
        let log = Self { file: Arc::default() };
        let ours = ["positron_net", "positron_networking", "positron_store", "positron_proto"];
        let targets = Targets::new()
            .with_default(level.min(LevelFilter::WARN))
            .with_targets(ours.map(|target| (target, level)));
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(Lines::default())
            .with_writer(Sink { terminal: Arc::clone(terminal), log: log.clone() });
        tracing_subscriber::registry()
            .with(targets)
            .with(layer)
            .try_init()
            .map_err(|error| Failure::new(Exit::Internal, "cannot begin to log").because(error))?;
        Ok(log)
    }

    /// Makes sure, as far as can be known, that [`also_to`](Self::also_to) will work, and changes
    /// nothing. The file may be in a folder that is still to come: `folder`.
    pub(crate) fn could_be(path: &Path, folder: &Path) -> Result<(), Failure> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        match open_file(path, OpenOptions::new().append(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let absolute = |path| std::path::absolute(path).unwrap_or_default();
                if parent.is_dir() || absolute(parent).starts_with(absolute(folder)) {
                    return Ok(());
                }
                Err(unusable(path, &error))
            }
            Err(error) => Err(unusable(path, &error)),
            Ok(_) => Ok(()),
        }
    }

    /// Opens the log file anew, if there is one: it may have been moved away. Otherwise nothing.
    pub(crate) fn reopen(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = file.as_ref().map(|file| file.path.clone()) else { return };
        match LogFile::open(&path) {
            Ok(opened) => *file = Some(opened),
            Err(failure) => {
                // Without the lock: what is said goes to the file that there is.
                drop(file);
                tracing::warn!("{failure}; the log goes on in the file that was open");
            }
        }
    }

    /// Logs to this file, too, from now on.
    pub(crate) fn also_to(&self, path: &Path) -> Result<(), Failure> {
        let file = LogFile::open(path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }
}

/// One line an event: time, level, place, text. Too many lines of one place are counted instead.
#[derive(Debug, Default)]
struct Lines {
    /// Bounded by the number of places in the code that log.
    recent: Mutex<HashMap<Identifier, Rate>>,
}

impl Lines {
    /// Whether a line of `place` may be written at `now`, and how many were dropped before it.
    fn admit(&self, place: Identifier, now: Instant) -> Option<u32> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.entry(place).or_insert_with(|| Rate::new(now)).admit(now)
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let Some(dropped) = self.admit(metadata.callsite(), Instant::now()) else {
            return Ok(());
        };
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        if let Some((end, _)) = text.char_indices().nth(MAX_LINE) {
            text.truncate(end);
        }
        SystemTime.format_time(&mut out)?;
        write!(out, " {:>5} {}: {}", metadata.level(), metadata.target(), sanitised(&text))?;
        if dropped > 0 {
            write!(out, " ({dropped} more like this were dropped)")?;
        }
        Ok(())
    }
}

/// Where log lines go.
#[derive(Clone, Debug)]
struct Sink {
    terminal: Arc<Terminal>,
    log: Log,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            let line = String::from_utf8_lossy(bytes);
            self.terminal.print(&line);
            let mut file = self.log.file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = file.as_mut() {
                file.line(&line);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Storage, format!("cannot open the log file {}", path.display()))
        .because(error)
        .try_this("choose another \"log_file\", or leave it away to log to stderr only")
}

/// Opens a log file. A link is followed only if it is ours or root's, such as `/dev/stdout`: others
/// could lead us to a file that we may write and they may not.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    if !is_link {
        return match open_ours(options, path) {
            // A device or a pipe is what it is, whoever may write to it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_file(path) => {
                options.custom_flags(0).open(path)
            }
            outcome => outcome,
        };
    }
    refuse_others(&fs::symlink_metadata(path)?)
        .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))?;
    let target = fs::canonicalize(path)?;
    if is_file(&target) {
        open_ours(options, &target)
    } else {
        options.custom_flags(0).open(target)
    }
}

/// Whether it is neither a device nor a pipe, as far as is known.
fn is_file(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file())
}

/// A log file that never grows beyond [`MAX_FILE`].
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// A device or a pipe is never moved away.
    is_file: bool,
    /// Lines that it did not take.
    lost: u64,
}

impl LogFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        let opened = open_file(path, OpenOptions::new().create(true).append(true));
        let opened = opened.and_then(|file| {
            let found = file.metadata()?;
            let (size, is_file) = (found.len(), found.is_file());
            Ok(Self { path: path.to_owned(), file, size, is_file, lost: 0 })
        });
        opened.map_err(|error| unusable(path, &error))
    }

    fn line(&mut self, line: &str) {
        if self.is_file && self.size >= MAX_FILE {
            self.begin_anew();
        }
        // One call, so that lines stay whole; what a full disk cut off ends here.
        let text = match self.lost {
            0 => format!("{line}\n"),
            lost => format!("\n({lost} lines are missing here: the file took no more)\n{line}\n"),
        };
        match self.file.write_all(text.as_bytes()) {
            Ok(()) => (self.size, self.lost) = (self.size + text.len() as u64, 0),
            // The terminal has it, and there is no other place to complain.
            Err(_) => self.lost += 1,
        }
    }

    /// Moves the full file away. One that cannot be moved is emptied: a full disk is worse than
    /// lost lines. Nothing is opened by its name that is there already.
    fn begin_anew(&mut self) {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut old = path.clone().into_os_string();
        old.push(".1");
        let moved = fs::rename(&path, old);
        let opened =
            moved.and_then(|()| open_ours(OpenOptions::new().create_new(true).append(true), &path));
        match opened {
            Ok(file) => (self.file, self.size) = (file, 0),
            Err(_) if self.file.set_len(0).is_ok() => self.size = 0,
            // Then it is tried again with the next line.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_of_the_founding_document() {
        assert_eq!(parse_level("INFO"), Ok(LevelFilter::INFO));
        assert_eq!(parse_level("warning"), Ok(LevelFilter::WARN));
        assert!(parse_level("loud").unwrap_err().contains("DEBUG, INFO, WARNING or ERROR"));
    }

    fn file(folder: &Path) -> (PathBuf, LogFile) {
        let path = folder.join("log");
        let file = LogFile::open(&path).unwrap();
        (path, file)
    }

    #[test]
    fn a_full_file_is_moved_away_and_nothing_is_followed_where_it_was_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("log.1")).unwrap();
        let (path, mut log) = file(folder.path());
        log.line("old");
        log.size = MAX_FILE;
        log.line("new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::read_to_string(folder.path().join("log.1")).unwrap(), "old\n");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_log_that_lost_lines_says_how_many() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut log) = file(folder.path());
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
            eprintln!("skipped: there is no /dev/full");
            return;
        };
        let room = std::mem::replace(&mut log.file, full);
        log.line("one");
        log.line("two");
        log.file = room;
        log.line("three");
        log.line("four");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("(2 lines are missing here"), "{text}");
        assert!(text.ends_with("three\nfour\n"), "{text}");
    }

    #[test]
    fn a_link_to_the_log_is_followed_if_it_is_ours_and_not_if_it_is_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = file(folder.path());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        LogFile::open(&link).unwrap().line("by a link");
        assert_eq!(fs::read_to_string(&path).unwrap(), "by a link\n");
        let Ok(()) = std::os::unix::fs::lchown(&link, Some(12_345), None) else {
            eprintln!("skipped: only root can make a link of somebody else");
            return;
        };
        let refused = LogFile::open(&link).unwrap_err().to_string();
        assert!(refused.contains("belongs to user 12345"), "{refused}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let refused = LogFile::open(&path).unwrap_err().to_string();
        assert!(refused.contains("can be changed by others"), "{refused}");
    }
}
