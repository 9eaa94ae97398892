//! How a node gets a stream.

use positron_proto::id::NodeId;
use tokio::sync::oneshot;

use super::{NodeStream, OpenStreamError};
use crate::{Node, driver::Request};

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

    /// The next stream that another node opened; `None` when the node stopped. Cancel-safe.
    ///
    /// Streams wait for it, each with up to 16 KiB, until there are 1,024 with one node; from there
    /// on those of that node are refused. Each stream is given once, whoever asks.
    pub async fn accept_stream(&self) -> Option<NodeStream> {
        self.incoming_streams.lock().await.recv().await
    }
}
