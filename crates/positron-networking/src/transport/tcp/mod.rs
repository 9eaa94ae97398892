//! Transports over TCP.

mod channel;
mod driver;
mod machine;

use std::sync::Arc;

use positron_proto::{
    id::NodeId,
    identity::Identity,
    session::{Sessions, sessions::Peer},
};
use tokio::sync::mpsc;

pub use self::machine::Tcp;
use super::{
    Connection, Receiver, TcpConfig, Transport, TransportError, config::host_and_port,
    guard::TransportGuard, shared::Shared,
};
use crate::{
    driver::{Links, listen},
    open::Seeds,
};

/// Encrypted connections over TCP, for where UDP does not get through: messages that arrive once
/// and in order. There are no lanes and no streams, and nothing is unreliable.
///
/// A TCP transport speaks to TCP transports, not to nodes: within the session every message begins
/// with a byte that says whether it is one of the application (0) or tells how much of those the
/// other application took (1), which is what makes `send` wait for a slow reader `[PROTOCOL 5.6]`.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::transport::TcpTransport;
///
/// let alice = TcpTransport::bind("127.0.0.1:0").await?;
/// let bob = TcpTransport::bind("127.0.0.1:0").await?;
/// let mut incoming = bob.incoming();
///
/// alice.send_reliable(bob.local_addr(), "hello").await?;
/// let hello = incoming.recv().await.unwrap();
/// assert_eq!((hello.from, &hello.data[..]), (alice.id(), &b"hello"[..]));
/// alice.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type TcpTransport = Transport<Tcp>;

/// A connection to another node over TCP. There is at most one between two transports, whoever made
/// it.
pub type TcpConnection = Connection<Tcp>;

/// What arrives at a TCP transport: a stream.
pub type TcpIncoming = Receiver<Tcp>;

/// Over TCP.
impl Transport<Tcp> {
    /// Takes the port and begins to listen.
    ///
    /// # Errors
    /// See [`TransportError`]; each says what to do about it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or on one without its time and network drivers.
    pub async fn start(config: TcpConfig) -> Result<Self, TransportError> {
        let address = config.address()?;
        let seeds = Seeds::draw().map_err(TransportError::of_seeds)?;
        let failed = |source| TransportError::Bind { address, source };
        let (listener, bound) = listen::bind(address).map_err(failed)?;
        let (dial_timeout, for_sessions) = (config.connect_timeout, config.for_sessions());
        let identity = config.identity.unwrap_or_else(|| Identity::from_secret(seeds.identity));
        let me = identity.node_id();
        let dice = seeds.dice.stream("transport/sessions");
        let sessions = Sessions::new(for_sessions, Arc::new(identity), dice);
        let (sender, inputs) = mpsc::unbounded_channel();
        let machine = Tcp::new(sessions, Links::new(dial_timeout, sender));
        let shared = Shared::new(machine, me, bound);
        tracing::info!(node = %me.short(), listen = %bound, "transport started");
        let guard = TransportGuard::start(shared, |shared| driver::drive(shared, listener, inputs));
        Ok(Self { guard: Arc::new(guard) })
    }

    /// A transport on `address` (`IP:port`) with everything else as it usually is.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub async fn bind(address: &str) -> Result<Self, TransportError> {
        let (host, port) = host_and_port(address)?;
        Self::start(TcpConfig { host, port, ..TcpConfig::default() }).await
    }
}

/// Over TCP.
impl Connection<Tcp> {
    /// Who is at the other end.
    pub fn remote(&self) -> Peer {
        self.channel.peer
    }

    /// The id of the node at the other end.
    pub fn peer(&self) -> NodeId {
        self.channel.peer.id
    }
}
