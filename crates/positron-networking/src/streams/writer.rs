//! The writing end of a stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

use super::{StreamError, pipe::Pipe};

/// Writes bytes to the other end.
///
/// A write returns when its bytes are taken; they are on their way without a flush. Up to 512 KiB
/// wait in this node beside what the reader granted, then writing waits.
///
/// **Its end.** `shutdown` (of [`AsyncWriteExt`](tokio::io::AsyncWriteExt), or
/// [`finish`](Self::finish)) says that nothing more comes, and returns when the other node has
/// everything. Dropped after that was begun, the rest still goes out. Dropped before, the stream is
/// reset with code 0: its reader sees an error, never a shortened stream that looks whole.
#[derive(Debug)]
pub struct StreamWriter(pub(super) Arc<Pipe>);

impl StreamWriter {
    /// Says that nothing more comes, and waits until the other node has everything (its application
    /// may have yet to read it). Cancel-safe: it goes on when it was polled once.
    ///
    /// # Errors
    /// [`StreamError::Ended`]: the reader stopped, or the session ended before everything was
    /// acknowledged. [`StreamError::NodeStopped`].
    pub async fn finish(self) -> Result<(), StreamError> {
        poll_fn(|cx| self.0.poll_finish(cx)).await
    }

    /// Gives up: what was written and did not arrive is dropped, and the reader is told this code.
    pub fn reset(self, code: u32) {
        self.0.reset(code, true);
    }
}

impl AsyncWrite for StreamWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let taken = ready!(self.0.poll_write(cx, bytes))?;
        turn.made_progress();
        Poll::Ready(Ok(taken))
    }

    /// Nothing is kept back, so there is nothing to do.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_finish(cx).map_err(Into::into)
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.0.reset(0, false);
    }
}
