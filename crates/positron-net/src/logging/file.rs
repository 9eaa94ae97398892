//! The log file: bounded in size, never led astray by a link of others, and written by a thread of
//! its own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use positron_store::{open_ours, refuse_others};
use rustix::fs::OFlags;

use crate::failure::{Exit, Failure};

/// Bytes in the log file before it is moved to `FILE.1` (which it replaces) and begun anew.
const MAX_FILE: u64 = 16 << 20;

/// Makes sure, as far as can be known, that [`LogFile::open`] will work, and changes nothing. The
/// file may be in a folder that is still to come: `folder`.
pub(super) fn could_be(path: &Path, folder: &Path) -> Result<(), Failure> {
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

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let failure =
        Failure::new(Exit::Storage, format!("cannot open the log file {}", path.display()));
    let found = fs::metadata(path).map(|found| found.file_type());
    match found {
        // Neither can be opened then, and the operating system has no word for it (fifo(7)).
        Ok(found) if found.is_fifo() => failure
            .because("it is a pipe, and nobody reads it")
            .try_this("start its reader first, or choose another \"log_file\""),
        Ok(found) if found.is_socket() => failure
            .because("it is a socket, which cannot be opened as a file")
            .try_this("leave \"log_file\" away: the log goes to stderr too"),
        _ => failure
            .because(error)
            .try_this("choose another \"log_file\", or leave it away to log to stderr only"),
    }
}

/// Opens a log file. A link is followed only if it is ours or root's, such as `/dev/stdout`: others
/// could lead us to a file that we may write and they may not.
fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    if !is_link {
        return match open_ours(options, path) {
            // A device or a pipe is what it is, whoever may write to it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_file(path) => {
                open_stream(options, path)
            }
            outcome => outcome,
        };
    }
    refuse_others(&fs::symlink_metadata(path)?)
        .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))?;
    if is_file(path) {
        open_ours(options, &fs::canonicalize(path)?)
    } else {
        // A pipe behind `/dev/stdout` has no path of its own.
        open_stream(options, path)
    }
}

/// Opens a device or a pipe, without waiting for who reads it.
fn open_stream(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Whether it is neither a device nor a pipe, as far as is known.
fn is_file(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file())
}

/// A log file that never grows beyond [`MAX_FILE`].
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// A device or a pipe is never moved away.
    is_file: bool,
    /// Lines that it did not take.
    lost: u64,
    /// How it is said that lines are missing.
    missing: fn(u64, &str) -> String,
}

impl LogFile {
    /// Opens it, or makes it. `missing` makes a line of a number of lines and a reason.
    pub(super) fn open(path: &Path, missing: fn(u64, &str) -> String) -> Result<Self, Failure> {
        let opened = open_file(path, OpenOptions::new().create(true).append(true));
        let opened = opened.and_then(|file| {
            let found = file.metadata()?;
            let (size, is_file) = (found.len(), found.is_file());
            if !is_file {
                // Its thread may wait for a reader, so that every line stays whole.
                let flags = rustix::fs::fcntl_getfl(&file)?;
                rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
            }
            Ok(Self { path: path.to_owned(), file, size, is_file, lost: 0, missing })
        });
        opened.map_err(|error| unusable(path, &error))
    }

    /// Writes a line. Waits for the reader of a pipe.
    pub(super) fn line(&mut self, line: &str) {
        if self.is_file && self.size >= MAX_FILE {
            self.begin_anew();
        }
        // One call, so that lines stay whole; what a full disk cut off ends here.
        let text = match self.lost {
            0 => format!("{line}\n"),
            lost => format!("\n{}\n{line}\n", (self.missing)(lost, "the file took no more")),
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

    fn missing(lines: u64, why: &str) -> String {
        format!("({lines} lines are missing here: {why})")
    }

    fn file(folder: &Path) -> (PathBuf, LogFile) {
        let path = folder.join("log");
        let file = LogFile::open(&path, missing).unwrap();
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
        LogFile::open(&link, missing).unwrap().line("by a link");
        assert_eq!(fs::read_to_string(&path).unwrap(), "by a link\n");
        let Ok(()) = std::os::unix::fs::lchown(&link, Some(12_345), None) else {
            eprintln!("skipped: only root can make a link of somebody else");
            return;
        };
        let refused = LogFile::open(&link, missing).unwrap_err().to_string();
        assert!(refused.contains("belongs to user 12345"), "{refused}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let refused = LogFile::open(&path, missing).unwrap_err().to_string();
        assert!(refused.contains("can be changed by others"), "{refused}");
    }
}
