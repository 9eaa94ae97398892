//! Both ends of a stream.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use positron_proto::{id::NodeId, substream::SubstreamId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{StreamReader, StreamWriter, pipe::Pipe};

/// A stream to another node: bytes in order, both ways.
///
/// It goes over whatever link there is, and on when the session moves from UDP to TCP or back. It
/// ends with the session: both ends learn of the other's death within three seconds.
///
/// [`split`](Self::split) it to read and write from two tasks; [`StreamWriter`] and
/// [`StreamReader`] say how each direction ends.
#[derive(Debug)]
pub struct NodeStream {
    reader: StreamReader,
    writer: StreamWriter,
}

impl NodeStream {
    pub(crate) fn new(pipe: Arc<Pipe>) -> Self {
        pipe.handle_held();
        Self { reader: StreamReader(Arc::clone(&pipe)), writer: StreamWriter(pipe) }
    }

    /// Which node is at the other end.
    pub fn peer(&self) -> NodeId {
        self.id().peer
    }

    /// Its name, different from all others of this process.
    pub fn id(&self) -> SubstreamId {
        self.reader.0.id
    }

    /// Its two directions.
    pub fn split(self) -> (StreamWriter, StreamReader) {
        (self.writer, self.reader)
    }
}

impl AsyncRead for NodeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for NodeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
