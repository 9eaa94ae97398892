//! The signals of people, terminals and service managers. SIGINT (Ctrl-C), SIGTERM and, of a
//! terminal that closes, SIGHUP: the first asks for a graceful stop, the second ends the process at
//! once.
//!
//! SIGHUP means something else to a process that has no terminal, or that was told to outlive its
//! terminal (`nohup`): such a one goes on, and opens its log file anew, which may have been moved
//! away (logrotate). SIGPIPE is an error of the write that it belongs to, and ends nothing.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    failure::{Exit, Failure},
    logging::Log,
};

/// Listens for signals since [`Signals::listen`].
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    asked: watch::Receiver<Option<Exit>>,
    scratch: Arc<Mutex<Option<PathBuf>>>,
}

impl Signals {
    /// Takes over SIGINT, SIGTERM and SIGHUP. Within a tokio runtime.
    pub(crate) fn listen(log: &Log) -> Result<Self, Failure> {
        let deaf = |error| Failure::new(Exit::Internal, "cannot listen for signals").because(error);
        let has_terminal = !is_hangup_ignored()
            && (io::stdin().is_terminal()
                || io::stdout().is_terminal()
                || io::stderr().is_terminal());
        let heard = Heard {
            interrupt: signal(SignalKind::interrupt()).map_err(deaf)?,
            terminate: signal(SignalKind::terminate()).map_err(deaf)?,
            hangup: signal(SignalKind::hangup()).map_err(deaf)?,
            has_terminal,
            log: log.clone(),
        };
        let (ask, asked) = watch::channel(None);
        let scratch = Arc::new(Mutex::new(None));
        tokio::spawn(watch_signals(heard, ask, Arc::clone(&scratch)));
        Ok(Self { asked, scratch })
    }

    /// Waits for the first signal; tells the exit code that it means.
    pub(crate) async fn asked(&mut self) -> Exit {
        match self.asked.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Interrupted),
            // Nobody can signal any more: then nobody asks.
            Err(_) => std::future::pending().await,
        }
    }

    /// The first signal, if there was one.
    pub(crate) fn seen(&self) -> Option<Exit> {
        *self.asked.borrow()
    }

    /// A folder to be removed even when the second signal ends the process at once.
    pub(crate) fn remove_when_forced(&self, folder: PathBuf) {
        *self.scratch.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
    }
}

/// What the operating system tells us.
struct Heard {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    has_terminal: bool,
    log: Log,
}

impl Heard {
    /// The next signal that asks for the end.
    async fn end(&mut self) -> Exit {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Exit::Interrupted,
                _ = self.terminate.recv() => return Exit::Terminated,
                _ = self.hangup.recv() => {
                    if self.has_terminal {
                        return Exit::HungUp;
                    }
                    self.log.reopen();
                }
            }
        }
    }
}

async fn watch_signals(
    mut heard: Heard,
    ask: watch::Sender<Option<Exit>>,
    scratch: Arc<Mutex<Option<PathBuf>>>,
) {
    loop {
        let exit = heard.end().await;
        match *ask.borrow() {
            // A terminal that closes after Ctrl-C was pressed in it asks nothing new.
            Some(_) if exit == Exit::HungUp => continue,
            Some(_) => {
                if let Some(folder) = &*scratch.lock().unwrap_or_else(PoisonError::into_inner) {
                    let _ = fs::remove_dir_all(folder);
                }
                std::process::exit(i32::from(exit as u8));
            }
            None => {}
        }
        ask.send_replace(Some(exit));
    }
}

/// Whether whoever started us wants SIGHUP to do nothing. Known on Linux only (proc_pid_status(5)).
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Bit 0 is signal 1, SIGHUP.
    ignored.is_some_and(|mask| mask & 1 != 0)
}
