//! The file that a recording is written to: whole, or not at all.

use std::path::Path;

use super::{format::MAX_RECORDING, recorder::Lines};
use crate::{
    failure::Failure,
    files::{Existing, Pending},
};

/// A recording that is being written. Its name has what it had until [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct RecordingFile {
    file: Pending,
    written: u64,
    most: u64,
    /// Why nothing more is written.
    ended: Option<Ended>,
}

#[derive(Debug)]
enum Ended {
    Full,
    Failed(Failure),
}

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its size.
    pub bytes: u64,
    /// Whether it has everything, and was not ended by its bound.
    pub is_whole: bool,
}

impl RecordingFile {
    /// Makes sure that it can be written.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        Ok(Self { file: Pending::new(path)?, written: 0, most: MAX_RECORDING, ended: None })
    }

    /// Gives the file its name. One of which the disk took not everything gets none.
    pub(crate) fn finish(self) -> Result<Written, Failure> {
        let is_whole = match self.ended {
            Some(Ended::Failed(failure)) => return Err(failure),
            Some(Ended::Full) => false,
            None => true,
        };
        self.file.publish(Existing::Replace)?;
        Ok(Written { bytes: self.written, is_whole })
    }
}

impl Lines for RecordingFile {
    /// Writes it, as far as there is room.
    fn line(&mut self, line: &str) {
        if self.ended.is_some() {
            return;
        }
        let bytes = line.len() as u64 + 1;
        if self.written + bytes > self.most {
            self.ended = Some(Ended::Full);
            return;
        }
        self.written += bytes;
        if let Err(failure) = self.file.append(&format!("{line}\n")) {
            self.ended = Some(Ended::Failed(failure));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_too_long_ends_with_a_whole_line_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let mut file = RecordingFile::new(&path).unwrap();
        file.most = 10;
        for line in ["1234", "5678", "x", "y"] {
            file.line(line);
        }
        assert!(!path.exists(), "nobody sees what is not finished");
        assert_eq!(file.finish().unwrap(), Written { bytes: 10, is_whole: false });
        assert_eq!(fs::read_to_string(path).unwrap(), "1234\n5678\n");
    }
}
