//! How a run of the command ends: its exit code and, when it went wrong, what happened, why, and
//! what to do about it.

use std::{fmt, process::ExitCode};

/// How the process ends; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// A bug of ours.
    Internal = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The configuration makes no sense, or is not there.
    Configuration = 3,
    /// The data folder, the database, the identity or another file cannot be used.
    Storage = 4,
    /// An address cannot be listened on, or the network cannot be used.
    Network = 5,
    /// Nobody answered.
    Unreachable = 6,
    /// Somebody answered and refused.
    Refused = 7,
    /// A promise that was checked does not hold, or `doctor` found something wrong.
    CheckFailed = 8,
    /// Stopped by the end of its terminal (SIGHUP).
    HungUp = 129,
    /// Stopped by Ctrl-C (SIGINT).
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table of exit codes, as `--help` shows it.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  a bug of ours                    5  cannot listen, or the network fails
    2  the command line makes no sense  6  nobody answers
    3  the configuration is wrong       7  somebody answers and refuses
    4  a file, the data folder or the   8  a promise that was checked is broken
       identity cannot be used
  129  its terminal was closed        130  stopped by Ctrl-C
  143  stopped by SIGTERM             (all three after a graceful stop)";

/// Something went wrong. Nothing on disk was changed unless the text says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    why: Option<String>,
    fix: Option<String>,
}

impl Failure {
    /// `what` happened.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: None, fix: None }
    }

    /// Whoever read our output is gone. No error of ours: the run ends quietly.
    pub(crate) fn reader_gone() -> Self {
        Self::new(Exit::Ok, "")
    }

    /// Says why.
    pub(crate) fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// Says what to do about it.
    pub(crate) fn try_this(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// What happened and why, in one line.
    pub(crate) fn in_one_line(&self) -> String {
        [Some(&self.what), self.why.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(": ")
    }

    /// The exit code that tells it.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether there is nothing to say.
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self.exit, Exit::Ok)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(why) = &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  try: {fix}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let failure = Failure::new(Exit::Network, "cannot listen on 127.0.0.1:1")
            .because("permission denied")
            .try_this("choose a port above 1023");
        assert_eq!(
            failure.to_string(),
            "cannot listen on 127.0.0.1:1\n  \
             why: permission denied\n  \
             try: choose a port above 1023"
        );
        assert_eq!(failure.in_one_line(), "cannot listen on 127.0.0.1:1: permission denied");
    }
}
