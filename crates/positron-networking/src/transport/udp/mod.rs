//! Transports over UDP.

mod channel;
mod driver;
mod machine;
mod stream;

use std::sync::Arc;

use positron_proto::{
    datagram::{
        Endpoint,
        contract::{LaneNumber, RemoteNode},
    },
    identity::Identity,
    limits::MAX_DATAGRAM_MESSAGE,
};

pub use self::{
    machine::Udp,
    stream::{RecvStream, SendStream},
};
use super::{
    Connection, Protocol, Receiver, Transport, TransportError, TransportSendError, UdpConfig,
    guard::TransportGuard, shared::Shared, wait::until,
};
use crate::{driver::datagrams::DatagramSocket, open::Seeds};

/// Encrypted connections over one UDP socket: messages, reliable or not, in sixteen lanes, and
/// streams of bytes.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::transport::{Delivery, Expect, UdpTransport};
///
/// let alice = UdpTransport::bind("127.0.0.1:0").await?;
/// let bob = UdpTransport::bind("127.0.0.1:0").await?;
/// let mut incoming = bob.incoming();
///
/// // To whoever is there: the connection is made on the way.
/// alice.send_reliable(bob.local_addr(), "hello").await?;
/// let hello = incoming.recv().await.unwrap();
/// assert_eq!((hello.from, &hello.data[..]), (alice.id(), &b"hello"[..]));
/// hello.connection.send(0, Delivery::Ordered, "hello yourself").await?;
///
/// // To bob and nobody else.
/// let connection = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
/// connection.send(3, Delivery::Unordered, "it is you").await?;
/// connection.flush().await?;
/// alice.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type UdpTransport = Transport<Udp>;

/// A connection to another node over UDP, with streams of bytes beside the messages.
pub type UdpConnection = Connection<Udp>;

/// What arrives at a UDP transport: a stream.
pub type UdpIncoming = Receiver<Udp>;

impl Protocol for Udp {
    type Config = UdpConfig;

    const MAX_MESSAGE: usize = MAX_DATAGRAM_MESSAGE;

    fn config_at(host: String, port: u16) -> UdpConfig {
        UdpConfig { host, port, ..UdpConfig::default() }
    }

    async fn launch(config: UdpConfig) -> Result<TransportGuard<Self>, TransportError> {
        let address = config.address()?;
        let endpoint_config = config.for_endpoint()?;
        let seeds = Seeds::draw().map_err(TransportError::of_seeds)?;
        let failed = |source| TransportError::Bind { address, source };
        let (socket, bound) = DatagramSocket::bind(address).map_err(failed)?;
        socket.writable().await.map_err(failed)?;
        let identity = config.identity.unwrap_or_else(|| Identity::from_secret(seeds.identity));
        let me = identity.node_id();
        let boot = seeds.dice.stream("transport/boot").next_u64();
        let dice = seeds.dice.stream("transport/endpoint");
        let endpoint = Endpoint::new(endpoint_config, Arc::new(identity), boot, dice);
        let socket = Arc::new(socket);
        let shared = Shared::new(Self::new(endpoint, socket.clone()), me, bound);
        tracing::info!(node = %me.short(), listen = %bound, "transport started");
        Ok(TransportGuard::start(shared, |shared| driver::drive(shared, socket)))
    }
}

/// Over UDP.
impl Connection<Udp> {
    /// Who is at the other end. `None` for a connection that
    /// [`send_reliable`](Transport::send_reliable) began, until somebody has answered.
    pub fn remote(&self) -> Option<RemoteNode> {
        self.channel.remote()
    }

    /// Opens a stream of bytes towards the other end, in a lane.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::{Expect, UdpTransport};
    /// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    ///
    /// let alice = UdpTransport::bind("127.0.0.1:0").await?;
    /// let bob = UdpTransport::bind("127.0.0.1:0").await?;
    /// let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    /// let mut writing = to_bob.open_stream(8)?;
    /// writing.write_all(b"any number of bytes").await?;
    /// writing.shutdown().await?;
    ///
    /// let from_alice = bob.accept().await.unwrap();
    /// let mut reading = from_alice.accept_stream().await.unwrap();
    /// let mut bytes = Vec::new();
    /// reading.read_to_end(&mut bytes).await?;
    /// assert_eq!(bytes, b"any number of bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub fn open_stream(&self, lane: LaneNumber) -> Result<SendStream, TransportSendError> {
        let opened = self.guard.act(|machine, now| {
            let stream = machine.endpoint.open_stream(now, self.channel.endpoint_id, lane)?;
            self.channel.stream_opened(stream);
            Ok(stream)
        });
        let stream = opened.map_err(|why| TransportSendError::new(why, self.channel.closed()))?;
        Ok(SendStream::new(self.clone(), stream))
    }

    /// Waits for a stream that the other end opens; `None` when the connection is over. A stream is
    /// there when its first bytes (or its end) are. Cancel-safe.
    pub async fn accept_stream(&self) -> Option<RecvStream> {
        let stream = until(&self.channel.changed, || match self.channel.accept_stream() {
            None if self.channel.closed().is_some() => Some(None),
            none_or_some => none_or_some.map(Some),
        });
        let stream = stream.await?;
        Some(RecvStream::new(self.clone(), stream))
    }
}
