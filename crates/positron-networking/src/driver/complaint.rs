//! What goes wrong again and again: the log hears of it once in a while, with how often it was.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use crate::limits::COMPLAINT_INTERVAL;

/// One thing that may go wrong again and again.
#[derive(Debug)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    withheld: u64,
}

/// How often it went wrong since the last complaint, besides this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Withheld(u64);

impl Complaint {
    /// Of something that has not gone wrong yet.
    pub(crate) const fn new() -> Self {
        Self { last: None, withheld: 0 }
    }

    /// It went wrong. `None`: the last complaint is not long ago, so this time is only counted.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Withheld> {
        if self.last.is_some_and(|last| now.duration_since(last) < COMPLAINT_INTERVAL) {
            self.withheld += 1;
            return None;
        }
        self.last = Some(now);
        Some(Withheld(std::mem::take(&mut self.withheld)))
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " ({more} more like this since the last complaint)"),
        }
    }
}

/// Whether the operating system gives this process no more files and sockets. If so, it is told:
/// one complaint for the process, because the limit is the process's, whoever ran into it.
pub(crate) fn lacks_descriptors(error: &io::Error) -> bool {
    static OF_THE_PROCESS: Mutex<Complaint> = Mutex::new(Complaint::new());
    let lacks = matches!(error.raw_os_error(), Some(EMFILE | ENFILE));
    if lacks {
        let mut complaint = OF_THE_PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(withheld) = complaint.due(Instant::now()) {
            tracing::warn!(
                "no more files and sockets may be opened: {error}; links fail until some are \
                 closed. Raise the limit (`ulimit -n`, LimitNOFILE=) or lower \
                 max_concurrent_connections{withheld}"
            );
        }
    }
    lacks
}

// The same numbers on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_complained_of_once_in_an_interval_and_the_others_are_counted_in_words() {
        let (mut complaint, start) = (Complaint::new(), Instant::now());
        assert_eq!(complaint.due(start).unwrap().to_string(), "");
        for _ in 0..3 {
            assert_eq!(complaint.due(start), None);
        }
        let next = complaint.due(start + COMPLAINT_INTERVAL).unwrap().to_string();
        assert_eq!(next, " (3 more like this since the last complaint)");
        assert_eq!(complaint.due(start + 2 * COMPLAINT_INTERVAL), Some(Withheld(0)));
    }

    #[test]
    fn a_process_without_descriptors_is_told_from_other_trouble() {
        assert!(lacks_descriptors(&io::Error::from_raw_os_error(EMFILE)));
        assert!(lacks_descriptors(&io::Error::from_raw_os_error(ENFILE)));
        assert!(!lacks_descriptors(&io::ErrorKind::ConnectionReset.into()));
    }
}
