//! A recording that may still grow, and whoever reads it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::{Body, Bytes};
use futures_core::Stream;
use tokio::sync::watch;

use crate::limits::MAX_REEL;

/// A recording, from its first line. Clones are of the same.
///
/// Who reads it holds a place in it and nothing else: one that stops reading costs nothing.
#[derive(Clone, Debug)]
pub struct Reel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    said: Mutex<Said>,
    /// How many pieces there are.
    grown: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Said {
    pieces: Vec<Bytes>,
    bytes: usize,
    is_over: bool,
}

impl Default for Reel {
    fn default() -> Self {
        Self(Arc::new(Inner { said: Mutex::default(), grown: watch::Sender::new(0) }))
    }
}

impl Reel {
    /// One that is over.
    pub fn of(recording: String) -> Self {
        let reel = Self::default();
        *reel.lock() =
            Said { bytes: recording.len(), pieces: vec![recording.into()], is_over: true };
        reel
    }

    /// Goes on with a line. One that has no place any more ends the recording.
    pub fn push(&self, line: &str) {
        let mut said = self.lock();
        said.is_over |= said.bytes + line.len() >= MAX_REEL;
        if !said.is_over {
            said.bytes += line.len() + 1;
            said.pieces.push(format!("{line}\n").into());
        }
        let pieces = said.pieces.len();
        drop(said);
        self.0.grown.send_replace(pieces);
    }

    /// Nothing comes any more.
    pub fn finish(&self) {
        self.lock().is_over = true;
        self.0.grown.send_modify(|_| {});
    }

    /// Whether nothing comes any more.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// All of it, and what comes until it is over.
    pub(crate) fn body(&self) -> Body {
        Body::from_stream(Reading { reel: self.clone(), next: 0, wait: None })
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there from a piece on: all of it at once, as far as one answer should carry.
    fn from(&self, piece: usize) -> Next {
        let said = self.lock();
        let mut bytes = Vec::new();
        let mut next = piece;
        for more in said.pieces.iter().skip(piece) {
            if next == piece && more.len() >= MAX_CHUNK {
                return Next::Bytes(more.clone(), next + 1);
            }
            if !bytes.is_empty() && bytes.len() + more.len() > MAX_CHUNK {
                break;
            }
            bytes.extend_from_slice(more);
            next += 1;
        }
        match (bytes.is_empty(), said.is_over) {
            (false, _) => Next::Bytes(bytes.into(), next),
            (true, true) => Next::Over,
            (true, false) => Next::Later,
        }
    }
}

enum Next {
    Bytes(Bytes, usize),
    Later,
    Over,
}

/// Bytes that are handed over at a time where there are more.
const MAX_CHUNK: usize = 64 * 1024;

type Wait = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Somebody's place in it.
struct Reading {
    reel: Reel,
    next: usize,
    wait: Option<Wait>,
}

impl Stream for Reading {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll;
        let this = self.get_mut();
        loop {
            // Before it is looked, so that what comes in between wakes.
            let wait = this.wait.get_or_insert_with(|| {
                let mut grown = this.reel.0.grown.subscribe();
                Box::pin(async move { drop(grown.changed().await) })
            });
            match this.reel.from(this.next) {
                Next::Bytes(bytes, next) => {
                    this.next = next;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Next::Over => return Poll::Ready(None),
                Next::Later => {}
            }
            if wait.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.wait = None;
        }
    }
}
