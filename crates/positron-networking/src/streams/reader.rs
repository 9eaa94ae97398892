//! The reading end of a stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::{StreamError, pipe::Pipe};

/// Reads what the other end writes, in order and once.
///
/// Reads of zero bytes mean the end: the writer shut its end down and all of it came. Dropped
/// before that, it tells the writer that nobody reads any more ([`stop`](Self::stop) with code 0).
///
/// What waits to be read is bounded by what the node grants: 16 KiB at first, up to 16 MiB while
/// the application reads on, and 32 MiB for all streams of one peer.
#[derive(Debug)]
pub struct StreamReader(pub(super) Arc<Pipe>);

impl StreamReader {
    /// The next bytes as they came, without a copy; `None` after the last. Cancel-safe.
    ///
    /// # Errors
    /// [`StreamError::Ended`]: the writer gave up, or its session ended; what came before and was
    /// not read is gone. [`StreamError::NodeStopped`].
    pub async fn read_bytes(&mut self) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.0.poll_read(cx, usize::MAX)).await
    }

    /// Tells the writer that nothing more is read, and why.
    pub fn stop(self, code: u32) {
        self.0.stop(code);
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        if let Some(bytes) = ready!(self.0.poll_read(cx, buf.remaining()))? {
            buf.put_slice(&bytes);
        }
        turn.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.0.stop(0);
    }
}
