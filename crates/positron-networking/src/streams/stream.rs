//! Both ends of a stream, and how nodes get one.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use positron_proto::{id::NodeId, substream::SubstreamId};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use super::{OpenStreamError, StreamReader, StreamWriter, pipe::Pipe};
use crate::{Node, driver::Request};

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

impl Node {
    /// Opens a stream to a node, connected or in the address book; one that is not connected is
    /// dialled, for up to 15 seconds.
    ///
    /// Returns when the session is up and the stream on its way; the other node takes it with
    /// [`accept_stream`](Self::accept_stream). Cancel-safe: a stream that was opened for nobody is
    /// reset.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{NetworkConfig, Node};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// let mut question = alice.open_stream(bob.id()).await.unwrap();
    /// question.write_all(b"the whole block, please").await.unwrap();
    ///
    /// let mut asked = bob.accept_stream().await.unwrap();
    /// assert_eq!(asked.peer(), alice.id());
    /// let mut text = [0; 23];
    /// asked.read_exact(&mut text).await.unwrap();
    /// asked.write_all(&vec![7; 3_000_000]).await.unwrap();
    /// asked.shutdown().await.unwrap();
    ///
    /// let mut block = Vec::new();
    /// question.read_to_end(&mut block).await.unwrap();
    /// assert_eq!(block.len(), 3_000_000);
    /// # });
    /// ```
    ///
    /// # Errors
    /// See [`OpenStreamError`].
    pub async fn open_stream(&self, peer: NodeId) -> Result<NodeStream, OpenStreamError> {
        let (reply, opened) = oneshot::channel();
        let order = Request::OpenStream { to: peer, reply };
        self.orders.send(order).await.map_err(|_| OpenStreamError::Stopped)?;
        opened.await.unwrap_or(Err(OpenStreamError::Stopped))
    }

    /// The next stream that another node opened. Streams wait for it, each with up to 16 KiB, until
    /// there are 1,024 with one node; from there on those of that node are refused. Clones of a node
    /// share them: each stream is given once. `None` when the node stopped. Cancel-safe.
    pub async fn accept_stream(&self) -> Option<NodeStream> {
        self.incoming_streams.lock().await.recv().await
    }
}
