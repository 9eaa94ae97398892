//! Transports over TCP.

mod channel;
mod driver;
mod machine;

use std::sync::Arc;

use positron_proto::{identity::Identity, session::Sessions};
use tokio::sync::mpsc;

use self::channel::MAX_TCP_MESSAGE;
pub use self::machine::Tcp;
use super::{
    Connection, Protocol, Receiver, TcpConfig, Transport, TransportError, guard::TransportGuard,
    shared::Shared,
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

impl Protocol for Tcp {
    type Config = TcpConfig;

    const MAX_MESSAGE: usize = MAX_TCP_MESSAGE;

    fn config_at(host: String, port: u16) -> TcpConfig {
        TcpConfig { host, port, ..TcpConfig::default() }
    }

    async fn launch(config: TcpConfig) -> Result<TransportGuard<Self>, TransportError> {
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
        let machine = Self::new(sessions, Links::new(dial_timeout, sender));
        let shared = Shared::new(machine, me, bound);
        tracing::info!(node = %me.short(), listen = %bound, "transport started");
        Ok(TransportGuard::start(shared, |shared| driver::drive(shared, listener, inputs)))
    }
}
