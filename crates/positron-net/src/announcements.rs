//! What a running node says on the standard output. It never waits for whoever reads there, never
//! stops the node, and is bounded.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    failure::{Exit, Failure},
    rate::Rate,
    terminal::{Terminal, json_line},
};

/// Lines that wait for a reader who is slow; the others are counted.
const MAX_WAITING: usize = 1024;
/// Time that what was said last has to be read, at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines on their way to the standard output, by a thread of their own: a pipe that nobody reads
/// makes only that thread wait.
#[derive(Debug)]
pub(crate) struct Announcements {
    lines: SyncSender<String>,
    /// Lines that found no room.
    lost: Arc<AtomicU64>,
    ended: oneshot::Receiver<()>,
    /// Of each kind of event.
    rates: BTreeMap<String, Rate>,
}

impl Announcements {
    /// Nothing was said yet. `json`: what is lost is told as an event, otherwise in the log alone.
    pub(crate) fn start(terminal: &Arc<Terminal>, json: bool) -> Result<Self, Failure> {
        let (lines, said) = sync_channel(MAX_WAITING);
        let (end, ended) = oneshot::channel();
        let (lost, terminal) = (Arc::<AtomicU64>::default(), Arc::clone(terminal));
        let writer = Writer { terminal, lost: Arc::clone(&lost), json };
        let thread = thread::Builder::new().name("standard-output".into());
        let write = move || {
            writer.write_all(&said);
            let _ = end.send(());
        };
        thread.spawn(write).map_err(|error| {
            Failure::new(Exit::Internal, "the operating system gives no threads").because(error)
        })?;
        Ok(Self { lines, lost, ended, rates: BTreeMap::new() })
    }

    /// Says a line.
    pub(crate) fn line(&self, line: impl Display) {
        // A reader who is gone for good is no loss.
        if let Err(std::sync::mpsc::TrySendError::Full(_)) = self.lines.try_send(line.to_string()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says an event, unless there were too many of its kind lately. The next that is said, or the
    /// end of the second, tells how many were not.
    pub(crate) fn event(&mut self, event: &impl Serialize, now: Instant) {
        // Ours are maps with text for keys.
        let Ok(text) = json_line(event) else { return };
        let kind = serde_json::to_value(event).ok();
        let kind = kind.and_then(|event| event["event"].as_str().map(str::to_owned));
        let kind = kind.unwrap_or_default();
        let rate = self.rates.entry(kind.clone()).or_insert_with(|| Rate::new(now));
        let Some(dropped) = rate.admit(now) else { return };
        if dropped > 0 {
            self.line(not_said(&kind, dropped));
        }
        self.line(text);
    }

    /// Tells what was not said in a second that is over.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let overdue = self.rates.iter_mut().filter_map(|(kind, rate)| {
            let count = rate.overdue(now)?;
            Some(not_said(kind, count))
        });
        for line in overdue.collect::<Vec<_>>() {
            self.line(line);
        }
    }

    /// Waits until all was written, but not long.
    pub(crate) async fn finish(self) {
        drop(self.lines);
        let _ = timeout(FLUSH_TIMEOUT, self.ended).await;
    }
}

fn not_said(of: &str, count: u32) -> String {
    json!({ "event": "dropped", "of": of, "count": count }).to_string()
}

/// The thread's side.
struct Writer {
    terminal: Arc<Terminal>,
    lost: Arc<AtomicU64>,
    json: bool,
}

impl Writer {
    /// Writes until nobody says anything any more, or reads.
    fn write_all(&self, said: &Receiver<String>) {
        let mut is_complained_of = false;
        for line in said {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            let written = match lost {
                0 => Ok(()),
                _ if self.json => {
                    self.terminal.data(json!({ "event": "dropped", "of": "any", "count": lost }))
                }
                _ => Ok(()),
            };
            match written
                .map_err(|failure| (failure, lost + 1))
                .and_then(|()| self.terminal.data(line).map_err(|failure| (failure, 1)))
            {
                Ok(()) if is_complained_of => {
                    is_complained_of = false;
                    tracing::warn!("the standard output can be written again; lines were lost");
                }
                Ok(()) => {}
                Err((failure, _)) if failure.is_silent() => {
                    tracing::debug!("nobody reads the standard output any more");
                    return;
                }
                Err((failure, lost)) => {
                    self.lost.fetch_add(lost, Ordering::Relaxed);
                    if !is_complained_of {
                        is_complained_of = true;
                        tracing::warn!("{failure}; the node goes on, and what it says is lost");
                    }
                }
            }
        }
    }
}
