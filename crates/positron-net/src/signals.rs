//! Ctrl-C and SIGTERM: the first asks for a graceful stop, the second ends the process at once.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::failure::{Exit, Failure};

/// Listens for signals since [`Signals::listen`].
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    asked: watch::Receiver<Option<Exit>>,
    scratch: Arc<Mutex<Option<PathBuf>>>,
}

impl Signals {
    /// Takes over SIGINT and SIGTERM. Within a tokio runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let deaf = |error| Failure::new(Exit::Internal, "cannot listen for signals").because(error);
        let interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
        let terminate = signal(SignalKind::terminate()).map_err(deaf)?;
        let (ask, asked) = watch::channel(None);
        let scratch = Arc::new(Mutex::new(None));
        tokio::spawn(watch_signals(interrupt, terminate, ask, Arc::clone(&scratch)));
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

async fn watch_signals(
    mut interrupt: Signal,
    mut terminate: Signal,
    ask: watch::Sender<Option<Exit>>,
    scratch: Arc<Mutex<Option<PathBuf>>>,
) {
    loop {
        let exit = tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        };
        if ask.borrow().is_some() {
            if let Some(folder) = &*scratch.lock().unwrap_or_else(PoisonError::into_inner) {
                let _ = fs::remove_dir_all(folder);
            }
            std::process::exit(i32::from(exit as u8));
        }
        ask.send_replace(Some(exit));
    }
}
