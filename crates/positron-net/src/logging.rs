//! The log: `tracing` to stderr and, if wanted, to a file. Bounded in rate and in size, and clean
//! of other people's control characters.

use std::{
    collections::HashMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

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
    terminal::{Terminal, sanitised},
};

/// Lines that one place in the code may log in one [`WINDOW`]; the others are counted.
const LINES_PER_WINDOW: u32 = 20;
/// See [`LINES_PER_WINDOW`].
const WINDOW: Duration = Duration::from_secs(1);
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
        match OpenOptions::new().append(true).open(path) {
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
    recent: Mutex<HashMap<Identifier, Recent>>,
}

#[derive(Debug)]
struct Recent {
    since: Instant,
    lines: u32,
    dropped: u32,
}

impl Lines {
    /// Whether a line of `place` may be written at `now`, and how many were dropped before it.
    fn admit(&self, place: Identifier, now: Instant) -> Option<u32> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.entry(place).or_insert(Recent { since: now, lines: 0, dropped: 0 });
        if now.duration_since(recent.since) >= WINDOW {
            recent.since = now;
            recent.lines = 0;
        }
        if recent.lines >= LINES_PER_WINDOW {
            recent.dropped = recent.dropped.saturating_add(1);
            return None;
        }
        recent.lines += 1;
        Some(std::mem::take(&mut recent.dropped))
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

/// A log file that never grows beyond [`MAX_FILE`].
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new().create(true).append(true).open(path).and_then(|file| {
            let size = file.metadata()?.len();
            Ok(Self { path: path.to_owned(), file, size })
        });
        opened.map_err(|error| unusable(path, &error))
    }

    fn line(&mut self, line: &str) {
        if self.size >= MAX_FILE {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            // A log that cannot be moved on is cut off: a full disk is worse than a lost line.
            let _ = fs::rename(&self.path, old);
            match OpenOptions::new().create(true).write(true).truncate(true).open(&self.path) {
                Ok(file) => (self.file, self.size) = (file, 0),
                Err(_) => return,
            }
        }
        if writeln!(self.file, "{line}").is_ok() {
            self.size += line.len() as u64 + 1;
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

    #[test]
    fn a_place_that_logs_too_much_is_counted_and_heard_again_later() {
        let lines = Lines::default();
        let place = tracing::callsite::Callsite::metadata(&CALLSITE).callsite();
        let start = Instant::now();
        for _ in 0..LINES_PER_WINDOW {
            assert_eq!(lines.admit(place.clone(), start), Some(0));
        }
        assert_eq!(lines.admit(place.clone(), start), None);
        assert_eq!(lines.admit(place.clone(), start), None);
        assert_eq!(lines.admit(place, start + WINDOW), Some(2));
    }

    struct Nowhere;
    static CALLSITE: Nowhere = Nowhere;
    static METADATA: tracing::Metadata<'static> = tracing::metadata! {
        name: "test", target: "test", level: tracing::Level::INFO, fields: &[],
        callsite: &CALLSITE, kind: tracing::metadata::Kind::EVENT
    };

    impl tracing::callsite::Callsite for Nowhere {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &tracing::Metadata<'_> {
            &METADATA
        }
    }
}
