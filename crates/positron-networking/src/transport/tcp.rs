//! The TCP transport.

use std::{
    fmt::Debug,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    identity::Identity,
    session::{
        Sessions,
        datagram::contract::Delivery,
        sessions::{Counters, Expect},
    },
};
use tokio::{net::ToSocketAddrs, sync::mpsc, time::timeout};

use super::{
    ConnectError, ConnectionStats, DEFAULT_LANE, SendError, TcpConfig, TcpConnection, TcpIncoming,
    TransportError, TransportStats,
    address::resolve,
    tcp_channel::{MAX_TCP_MESSAGE, TcpChannel},
    tcp_life::TcpLife,
    tcp_machine::TcpShared,
    wait::until,
};
use crate::{
    driver::{Clock, Links, listen},
    limits::CLOSE_TIMEOUT,
    open::Seeds,
};

/// Encrypted connections over TCP, for where UDP does not get through: messages that arrive once
/// and in order. There are no lanes and no streams, and nothing is unreliable.
///
/// A TCP transport speaks to TCP transports, not to nodes: within the session every message begins
/// with a byte that says whether it is one of the application (0) or tells how much of those the
/// other application took (1), which is what makes `send` wait for a slow reader `[PROTOCOL 5.6]`.
///
/// Clones are handles of the same transport. It ends with [`close`](Self::close), or at once when
/// the last handle of it and of its connections is gone.
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
#[derive(Clone, Debug)]
pub struct TcpTransport {
    life: Arc<TcpLife>,
}

impl TcpTransport {
    /// Bytes of the largest message.
    pub const MAX_MESSAGE: usize = MAX_TCP_MESSAGE;

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
        let identity = config.identity.unwrap_or_else(|| Identity::from_seed(seeds.identity));
        let me = identity.node_id();
        let dice = seeds.dice.stream("transport/sessions");
        let sessions = Sessions::new(for_sessions, Arc::new(identity), dice);
        let (arrivals, arriving) = mpsc::unbounded_channel();
        let links = Links::new(dial_timeout, arrivals);
        let shared = TcpShared::new(sessions, links, Clock::start(), me, bound);
        tracing::info!(node = %me.short(), listen = %bound, "transport started");
        Ok(Self { life: Arc::new(TcpLife::start(shared, listener, arriving)) })
    }

    /// A transport on `address` (`IP:port`) with everything else as it usually is.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub async fn bind(address: &str) -> Result<Self, TransportError> {
        let parsed: SocketAddr =
            address.parse().map_err(|_| TransportError::BadHost(address.to_owned()))?;
        let (host, port) = (parsed.ip().to_string(), parsed.port());
        Self::start(TcpConfig { host, port, ..TcpConfig::default() }).await
    }

    /// Who it is.
    pub fn id(&self) -> NodeId {
        self.life.me
    }

    /// Where it listens, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.life.address
    }

    /// Connects to whoever is expected at `to`; a name may have several addresses, which are tried
    /// one after the other. If there is a connection to that node, it is that one.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(
        &self,
        to: impl ToSocketAddrs + Debug,
        expect: Expect,
    ) -> Result<TcpConnection, ConnectError> {
        let mut last = ConnectError::TransportClosed;
        for address in resolve(to, ANY_FAMILY).await? {
            match self.connect_to(address, expect).await {
                Ok(connection) => return Ok(connection),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<TcpConnection, ConnectError> {
        let attempt = self.life.act(|machine, now| machine.dial(now, to, expect))?;
        let channel = until(&attempt.changed, || attempt.outcome.get().cloned()).await?;
        Ok(self.connection(channel))
    }

    /// Waits for the next connection that another node made; `None` when the transport is closed.
    /// Its messages come by [`incoming`](Self::incoming) whether it is accepted or not.
    /// Cancel-safe.
    pub async fn accept(&self) -> Option<TcpConnection> {
        let channel = until(&self.life.accepting, || {
            let mut machine = self.life.look();
            match machine.accepted.pop_front() {
                None => machine.closing.then_some(None),
                some => Some(some),
            }
        });
        channel.await.map(|channel| self.connection(channel))
    }

    /// Everything that arrives, over all connections. Each message goes to one of several readers;
    /// while nobody takes it, the other end waits.
    pub fn incoming(&self) -> TcpIncoming {
        TcpIncoming { life: self.life.clone(), reader: self.life.inbox.reader() }
    }

    /// Sends a message to whoever is at `to`. If there is no connection to that address, one is
    /// made first. Returns when the message is queued, and waits for that while the queue is full.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_reliable(
        &self,
        to: impl ToSocketAddrs + Debug,
        data: impl Into<Bytes>,
    ) -> Result<TcpConnection, SendError> {
        let to = resolve(to, ANY_FAMILY).await?[0];
        let data = data.into();
        loop {
            let known = self.life.look().leading_to(to);
            let connection = match known {
                Some(channel) => self.connection(channel),
                None => self.connect_to(to, Expect::Anyone).await?,
            };
            match connection.send(DEFAULT_LANE, Delivery::Ordered, data.clone()).await {
                // It is being closed: another one has to be made.
                Err(SendError::Closed(_)) if !self.life.look().closing => {
                    connection.closed().await;
                }
                outcome => return outcome.map(|()| connection),
            }
        }
    }

    /// The same as [`send_reliable`](Self::send_reliable): over TCP everything is reliable.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_unreliable(
        &self,
        to: impl ToSocketAddrs + Debug,
        data: impl Into<Bytes>,
    ) -> Result<TcpConnection, SendError> {
        self.send_reliable(to, data).await
    }

    /// As [`send_reliable`](Self::send_reliable), but says [`SendError::Full`] instead of waiting,
    /// also while the connection is being made.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_send_reliable(
        &self,
        to: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<TcpConnection, SendError> {
        let data = data.into();
        let channel = self.life.act(|machine, now| match machine.leading_to(to) {
            Some(channel) => machine.send(now, &channel, &data).map(|()| channel),
            None => {
                machine.dial(now, to, Expect::Anyone)?;
                Err(SendError::Full)
            }
        });
        channel.map(|channel| self.connection(channel))
    }

    /// The same as [`try_send_reliable`](Self::try_send_reliable).
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_send_unreliable(
        &self,
        to: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<TcpConnection, SendError> {
        self.try_send_reliable(to, data)
    }

    /// The transport and its connections now.
    pub fn stats(&self) -> TransportStats<Counters> {
        let machine = self.life.look();
        let now = self.life.clock.now();
        let held = |id: &NodeId| machine.channels.get(id).map_or(0, |channel| channel.held());
        let views = machine.sessions.views();
        TransportStats {
            node_id: self.id(),
            address: self.local_addr(),
            uptime_s: self.life.clock.uptime().as_secs_f64(),
            half_open: machine.sessions.half_open(),
            unsent: 0,
            counters: machine.sessions.counters(),
            connections: views
                .map(|view| ConnectionStats::of_session(&view, held(&view.peer.id), now))
                .collect(),
        }
    }

    /// Closes every connection when what waits was sent and acknowledged, within five seconds, and
    /// lets go of the port. Readers take what had arrived, and then hear the end.
    pub async fn close(&self) {
        self.life.begin_closing();
        let all_ended = until(&self.life.ended, || {
            let machine = self.life.look();
            (machine.channels.is_empty() || machine.links.is_none()).then_some(())
        });
        // What did not end by itself is ended now.
        let _ = timeout(CLOSE_TIMEOUT, all_ended).await;
        self.life.end().await;
    }

    fn connection(&self, channel: Arc<TcpChannel>) -> TcpConnection {
        TcpConnection { life: self.life.clone(), channel }
    }
}

/// A dial has a socket of its own, of whichever family it needs.
const ANY_FAMILY: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
