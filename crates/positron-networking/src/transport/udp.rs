//! The UDP transport.

use std::{fmt::Debug, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    identity::Identity,
    limits::MAX_DATAGRAM_MESSAGE,
    session::{
        Endpoint,
        datagram::contract::{Delivery, EndpointCounters, NotQueued},
        sessions::Expect,
    },
    wire::frame::CloseReason,
};
use tokio::{net::ToSocketAddrs, time::timeout};

use super::{
    ConnectError, ConnectionStats, DEFAULT_LANE, SendError, TransportError, TransportStats,
    UdpConfig, UdpConnection, UdpIncoming,
    address::resolve,
    channel::Channel,
    life::Life,
    machine::{Machine, Shared},
    wait::until,
};
use crate::{
    driver::{Clock, datagrams::DatagramSocket},
    limits::CLOSE_TIMEOUT,
    open::Seeds,
};

/// Encrypted connections over one UDP socket: messages, reliable or not, in sixteen lanes, and
/// streams of bytes.
///
/// Clones are handles of the same transport. It ends with [`close`](Self::close), or at once when
/// the last handle of it, of its connections and of their streams is gone.
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
#[derive(Clone, Debug)]
pub struct UdpTransport {
    life: Arc<Life>,
}

impl UdpTransport {
    /// Bytes of the largest message; a stream carries any length.
    pub const MAX_MESSAGE: usize = MAX_DATAGRAM_MESSAGE;

    /// Takes the port and begins to listen.
    ///
    /// # Errors
    /// See [`TransportError`]; each says what to do about it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or on one without its time and network drivers.
    pub async fn start(config: UdpConfig) -> Result<Self, TransportError> {
        let address = config.address()?;
        let endpoint_config = config.for_endpoint()?;
        let seeds = Seeds::draw().map_err(TransportError::of_seeds)?;
        let failed = |source| TransportError::Bind { address, source };
        let (socket, bound) = DatagramSocket::bind(address).map_err(failed)?;
        socket.writable().await.map_err(failed)?;
        let identity = config.identity.unwrap_or_else(|| Identity::from_seed(seeds.identity));
        let me = identity.node_id();
        let boot = seeds.dice.stream("transport/boot").next_u64();
        let dice = seeds.dice.stream("transport/endpoint");
        let endpoint = Endpoint::new(endpoint_config, Arc::new(identity), boot, dice);
        let socket = Arc::new(socket);
        let shared = Shared::new(endpoint, me, Clock::start(), (socket.clone(), bound));
        tracing::info!(node = %me.short(), listen = %bound, "transport started");
        Ok(Self { life: Arc::new(Life::start(shared, socket)) })
    }

    /// A transport on `address` (`IP:port`) with everything else as it usually is.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub async fn bind(address: &str) -> Result<Self, TransportError> {
        let parsed: SocketAddr =
            address.parse().map_err(|_| TransportError::BadHost(address.to_owned()))?;
        let (host, port) = (parsed.ip().to_string(), parsed.port());
        Self::start(UdpConfig { host, port, ..UdpConfig::default() }).await
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
    /// one after the other. A handshake that is not awaited to its end is given up.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(
        &self,
        to: impl ToSocketAddrs + Debug,
        expect: Expect,
    ) -> Result<UdpConnection, ConnectError> {
        let mut last = ConnectError::TransportClosed;
        for address in resolve(to, self.local_addr()).await? {
            match self.connect_to(address, expect).await {
                Ok(connection) => return Ok(connection),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        expect: Expect,
    ) -> Result<UdpConnection, ConnectError> {
        let channel = self.life.act(|machine, now| machine.dial(now, address, expect))?;
        let mut handshake = Handshake { connection: self.connection(channel), done: false };
        let channel = &handshake.connection.channel;
        let outcome = until(&channel.changed, || match channel.closed() {
            Some(why) => Some(Err(why.clone())),
            None => channel.remote().map(|_| Ok(())),
        })
        .await;
        handshake.done = true;
        outcome?;
        Ok(handshake.connection.clone())
    }

    /// Waits for the next connection that another node made; `None` when the transport is closed.
    /// Its messages come by [`incoming`](Self::incoming) whether it is accepted or not.
    /// Cancel-safe.
    pub async fn accept(&self) -> Option<UdpConnection> {
        let channel = until(&self.life.accepting, || {
            let mut machine = self.life.look();
            match machine.accepted.pop_first() {
                Some(id) => machine.channels.get(&id).cloned().map(Some),
                None => machine.closing.then_some(None),
            }
        });
        channel.await.map(|channel| self.connection(channel))
    }

    /// Everything that arrives, over all connections. Each message goes to one of several readers;
    /// what nobody takes fills the window of its connection, and then the other end waits.
    pub fn incoming(&self) -> UdpIncoming {
        UdpIncoming { life: self.life.clone(), reader: self.life.inbox.reader() }
    }

    /// Sends a message to whoever is at `to`: it arrives once, and in the order of such messages.
    /// If there is no connection to that address, one is made. Returns when the message is queued,
    /// and waits for that while the queue is full; the connection that it returns tells what became
    /// of it ([`flush`](UdpConnection::flush)).
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_reliable(
        &self,
        to: impl ToSocketAddrs + Debug,
        data: impl Into<Bytes>,
    ) -> Result<UdpConnection, SendError> {
        self.send_to(to, Delivery::Ordered, data.into()).await
    }

    /// As [`send_reliable`](Self::send_reliable), but the message is sent at most once: it may be
    /// lost, and arrive in any order.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_unreliable(
        &self,
        to: impl ToSocketAddrs + Debug,
        data: impl Into<Bytes>,
    ) -> Result<UdpConnection, SendError> {
        self.send_to(to, Delivery::Unreliable, data.into()).await
    }

    async fn send_to(
        &self,
        to: impl ToSocketAddrs + Debug,
        delivery: Delivery,
        data: Bytes,
    ) -> Result<UdpConnection, SendError> {
        // It cannot be told which of several addresses would answer: the first one it is.
        let to = resolve(to, self.local_addr()).await?[0];
        tokio::task::coop::consume_budget().await;
        loop {
            match self.try_send_to(to, delivery, data.clone()) {
                Ok(connection) => return Ok(connection),
                Err((SendError::Full, Some(connection))) => {
                    // Waits as this connection does, and sends over it: order is kept.
                    match connection.send(DEFAULT_LANE, delivery, data.clone()).await {
                        Err(SendError::Closed(_)) => {}
                        outcome => return outcome.map(|()| connection),
                    }
                }
                Err((why, _)) => return Err(why),
            }
        }
    }

    /// As [`send_reliable`](Self::send_reliable), but says [`SendError::Full`] instead of waiting.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_send_reliable(
        &self,
        to: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<UdpConnection, SendError> {
        self.try_send_to(to, Delivery::Ordered, data.into()).map_err(|(why, _)| why)
    }

    /// As [`send_unreliable`](Self::send_unreliable), but says [`SendError::Full`] instead of
    /// waiting.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_send_unreliable(
        &self,
        to: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<UdpConnection, SendError> {
        self.try_send_to(to, Delivery::Unreliable, data.into()).map_err(|(why, _)| why)
    }

    /// With the connection that was tried, if there is one.
    fn try_send_to(
        &self,
        to: SocketAddr,
        delivery: Delivery,
        data: Bytes,
    ) -> Result<UdpConnection, (SendError, Option<UdpConnection>)> {
        let outcome = self.life.act_packed(|machine, now| {
            if machine.closing {
                return (None, Err(SendError::from(ConnectError::TransportClosed)));
            }
            let send = |machine: &mut Machine, channel: &Channel| {
                let sent =
                    machine.endpoint.send(now, channel.id, DEFAULT_LANE, delivery, data.clone());
                sent.inspect(|()| channel.sent())
            };
            for channel in machine.leading_to(to) {
                match send(machine, &channel) {
                    // It is being closed: another one has to be made.
                    Err(NotQueued::Closed) => {}
                    outcome => {
                        let outcome = outcome.map_err(|why| SendError::new(why, None));
                        return (Some(channel), outcome);
                    }
                }
            }
            if data.len() > Self::MAX_MESSAGE {
                let (len, limit) = (data.len(), Self::MAX_MESSAGE);
                return (None, Err(SendError::TooLarge { len, limit }));
            }
            match machine.dial(now, to, Expect::Anyone) {
                Ok(channel) => {
                    let outcome = send(machine, &channel);
                    (Some(channel), outcome.map_err(|why| SendError::new(why, None)))
                }
                Err(why) => (None, Err(why.into())),
            }
        });
        let (channel, outcome) = outcome;
        let connection = channel.map(|channel| self.connection(channel));
        match (outcome, connection) {
            (Ok(()), Some(connection)) => Ok(connection),
            (Ok(()), None) => Err((ConnectError::TransportClosed.into(), None)),
            (Err(why), connection) => Err((why, connection)),
        }
    }

    /// The transport and its connections now.
    pub fn stats(&self) -> TransportStats<EndpointCounters> {
        let machine = self.life.look();
        let now = self.life.clock.now();
        let views = machine.endpoint.views();
        let (too_large, others) =
            machine.socket.as_ref().map(|socket| socket.unsent()).unwrap_or_default();
        TransportStats {
            node_id: self.id(),
            address: self.local_addr(),
            uptime_s: self.life.clock.uptime().as_secs_f64(),
            half_open: machine.endpoint.half_open(),
            unsent: too_large + others,
            counters: machine.endpoint.counters(),
            connections: views.iter().map(|view| ConnectionStats::of_view(view, now)).collect(),
        }
    }

    /// Closes every connection when what waits was sent and acknowledged, within five seconds, and
    /// lets go of the port. Readers take what had arrived, and then hear the end.
    pub async fn close(&self) {
        self.life.begin_closing();
        let all_ended = until(&self.life.ended, || {
            let machine = self.life.look();
            (machine.channels.is_empty() || machine.socket.is_none()).then_some(())
        });
        // What did not end by itself is ended now.
        let _ = timeout(CLOSE_TIMEOUT, all_ended).await;
        self.life.end().await;
    }

    fn connection(&self, channel: Arc<Channel>) -> UdpConnection {
        UdpConnection { life: self.life.clone(), channel }
    }
}

/// A handshake that is being waited for.
struct Handshake {
    connection: UdpConnection,
    done: bool,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        if !self.done {
            self.connection.reset(CloseReason::ShuttingDown);
        }
    }
}
