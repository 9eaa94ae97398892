//! The handle of a transport, whatever protocol is below it.

use std::{
    fmt::{self, Debug},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use positron_proto::{datagram::contract::Delivery, handshake::Expect, id::NodeId};
use tokio::net::ToSocketAddrs;

use super::{
    ConnectError, Connection, DEFAULT_LANE, Protocol, Receiver, TransportError, TransportSendError,
    TransportStats,
    address::resolve,
    attempt::Attempt,
    channel::Channel as _,
    config::host_and_port,
    guard::TransportGuard,
    machine::{DialFor, ProtocolMachine},
};

/// Encrypted connections to other nodes: a [`UdpTransport`](super::UdpTransport) or a
/// [`TcpTransport`](super::TcpTransport).
///
/// Clones are handles of the same transport. It ends with [`close`](Self::close), or when the last
/// handle of it and of its [connections](Connection) is dropped. Then the same is done in the
/// background: what waits is sent, the other ends are told that it shuts down, and within five
/// seconds the port is free and no task is left; only who closes it can wait for that. Whoever
/// reads [`incoming`](Self::incoming) does not hold it: a reader takes what had arrived, and hears
/// the end.
pub struct Transport<P: Protocol> {
    guard: Arc<TransportGuard<P>>,
}

impl<P: Protocol> Transport<P> {
    /// Takes the port and begins to listen.
    ///
    /// # Errors
    /// See [`TransportError`]; each says what to do about it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or on one without its time and network drivers.
    pub async fn start(config: P::Config) -> Result<Self, TransportError> {
        Ok(Self { guard: Arc::new(P::launch(config).await?) })
    }

    /// A transport on `address` (`IP:port`) with everything else as it usually is.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub async fn bind(address: &str) -> Result<Self, TransportError> {
        let (host, port) = host_and_port(address)?;
        Self::start(P::config_at(host, port)).await
    }

    /// Bytes of the largest message: a little more than 1 MiB. Over UDP a stream carries any
    /// length.
    pub const MAX_MESSAGE: usize = P::MAX_MESSAGE;

    /// Who it is.
    pub fn id(&self) -> NodeId {
        self.guard.me
    }

    /// Where it listens, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.guard.address
    }

    /// Connects to whoever is expected at `to`; a name may have several addresses, which are tried
    /// one after the other.
    ///
    /// A node that this transport was connected with before answers in one round trip, if it is the
    /// one that is expected: its key is remembered (of the last 16,384 such nodes). Otherwise there
    /// are two.
    ///
    /// Over UDP this is always a connection of its own. Over TCP, if there is a connection to that
    /// node, it is that one; or if that is being closed, the one after it. A handshake that is not
    /// awaited to its end is given up, unless somebody else waits for it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::{Closed, ConnectError, Expect, UdpTransport};
    ///
    /// let alice = UdpTransport::bind("127.0.0.1:0").await?;
    /// let bob = UdpTransport::bind("127.0.0.1:0").await?;
    /// let connection = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    /// assert_eq!(connection.peer(), Some(bob.id()));
    ///
    /// // Nobody else can pass for carol.
    /// let carol = UdpTransport::bind("127.0.0.1:0").await?;
    /// let refused = alice.connect(bob.local_addr(), Expect::Node(carol.id())).await;
    /// let bob_is_there = ConnectError::Failed(Closed::WrongNode { found: bob.id() });
    /// assert_eq!(refused, Err(bob_is_there));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(
        &self,
        to: impl ToSocketAddrs + Debug,
        expect: Expect,
    ) -> Result<Connection<P>, ConnectError> {
        let mut last = ConnectError::TransportClosed;
        for address in self.resolve(to).await? {
            match self.connect_to(address, expect, DialFor::Caller).await {
                Ok(connection) => return Ok(connection.taken()),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        to: SocketAddr,
        expect: Expect,
        whose: DialFor,
    ) -> Result<Connection<P>, ConnectError> {
        loop {
            let dial = |machine: &mut P, now| self.guard.dial(machine, now, to, expect, whose);
            let attempt = self.guard.act(dial)?;
            let channel = self.established(attempt).await?;
            if !channel.is_closing() {
                return Ok(self.connection(channel));
            }
            channel.until_closed().await;
        }
    }

    /// Waits for the end of a handshake. Whoever does not wait for it gives its connection up.
    async fn established(
        &self,
        attempt: Attempt<P::Channel>,
    ) -> Result<Arc<P::Channel>, ConnectError> {
        let mut handshake = Handshake { guard: &self.guard, attempt: Some(attempt) };
        let outcome = match &mut handshake.attempt {
            Some(attempt) => attempt.established().await,
            None => Err(ConnectError::TransportClosed),
        };
        handshake.attempt = None;
        outcome
    }

    /// Waits for the next connection that another node made; `None` when the transport is closed.
    /// Its messages come by [`incoming`](Self::incoming) whether it is accepted or not.
    /// Cancel-safe.
    pub async fn accept(&self) -> Option<Connection<P>> {
        self.guard.accept().await.map(|channel| self.connection(channel).taken())
    }

    /// Everything that arrives, over all connections but those that are
    /// [asked for their messages](Connection::receive) themselves. Connections take turns, and each
    /// message goes to one of several readers; what nobody takes fills the window of its
    /// connection, and then its other end waits. What connections that are over have left waits
    /// too, the latest 16 MiB of it.
    pub fn incoming(&self) -> Receiver<P> {
        Receiver::new(&self.guard)
    }

    /// Sends a message to whoever is at `to`: it arrives once, and in the order of such messages.
    /// If there is no connection to that address, one is made, which is the transport's: it stays
    /// open when the handle that this returns is dropped. Returns when the message is queued,
    /// and waits for that while the queue is full; the connection that it returns tells what became
    /// of it ([`flush`](Connection::flush)).
    ///
    /// Over UDP the message waits for the handshake in the queue; over TCP this waits for it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::TcpTransport;
    ///
    /// let alice = TcpTransport::bind("127.0.0.1:0").await?;
    /// let bob = TcpTransport::bind("127.0.0.1:0").await?;
    /// let connection = alice.send_reliable(bob.local_addr(), "hello").await?;
    /// connection.flush().await?;
    /// assert_eq!(&bob.incoming().recv().await.unwrap().data[..], b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub async fn send_reliable(
        &self,
        to: impl ToSocketAddrs + Debug,
        data: impl Into<Bytes>,
    ) -> Result<Connection<P>, TransportSendError> {
        self.send_to(to, Delivery::Ordered, data.into()).await
    }

    /// As [`send_reliable`](Self::send_reliable), but the message is sent at most once: it may be
    /// lost, and arrive in any order. (Over TCP nothing is, and it is the same.)
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub async fn send_unreliable(
        &self,
        to: impl ToSocketAddrs + Debug,
        data: impl Into<Bytes>,
    ) -> Result<Connection<P>, TransportSendError> {
        self.send_to(to, Delivery::Unreliable, data.into()).await
    }

    /// As [`send_reliable`](Self::send_reliable), but says [`TransportSendError::Full`] instead of
    /// waiting; over TCP also while the connection is being made.
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub fn try_send_reliable(
        &self,
        to: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<Connection<P>, TransportSendError> {
        let sent = self.try_send_to(to, Delivery::Ordered, data.into());
        sent.map_err(|(why, _)| why)
    }

    /// As [`send_unreliable`](Self::send_unreliable), but says [`TransportSendError::Full`] instead
    /// of waiting; over TCP also while the connection is being made.
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub fn try_send_unreliable(
        &self,
        to: SocketAddr,
        data: impl Into<Bytes>,
    ) -> Result<Connection<P>, TransportSendError> {
        let sent = self.try_send_to(to, Delivery::Unreliable, data.into());
        sent.map_err(|(why, _)| why)
    }

    async fn send_to(
        &self,
        to: impl ToSocketAddrs + Debug,
        delivery: Delivery,
        data: Bytes,
    ) -> Result<Connection<P>, TransportSendError> {
        // It cannot be told which of several addresses would answer: the first one it is.
        let to = self.resolve(to).await?[0];
        // A flood from one task gives the driver its turn, and the driver packs it.
        tokio::task::coop::consume_budget().await;
        loop {
            let connection = match self.try_send_to(to, delivery, data.clone()) {
                Ok(connection) => return Ok(connection),
                Err((TransportSendError::Full, Some(connection))) => connection,
                Err((TransportSendError::Full, None)) => {
                    self.connect_to(to, Expect::Anyone, DialFor::Transport).await?
                }
                Err((why, _)) => return Err(why),
            };
            // Waits as this connection does, and sends over it: order is kept.
            match connection.send(DEFAULT_LANE, delivery, data.clone()).await {
                // It is being closed: another one has to be made.
                Err(TransportSendError::Closed(_)) => {}
                outcome => return outcome.map(|()| connection),
            }
        }
    }

    /// With the connection that was tried, if there is one.
    fn try_send_to(
        &self,
        to: SocketAddr,
        delivery: Delivery,
        data: Bytes,
    ) -> Result<Connection<P>, (TransportSendError, Option<Connection<P>>)> {
        let (how, len, limit) = ((DEFAULT_LANE, delivery), data.len(), P::MAX_MESSAGE);
        if len > limit {
            return Err((TransportSendError::TooLarge { len, limit }, None));
        }
        let sent = self.guard.act_coalesced(|machine, now| {
            let send = |machine: &mut P, channel| {
                let sent = machine.send(now, &channel, how, data.clone());
                if let Err(why) = sent { Err((why, Some(channel))) } else { Ok(channel) }
            };
            for channel in machine.connections_to(to) {
                match send(machine, channel) {
                    // It is being closed: another one has to be made.
                    Err((TransportSendError::Closed(_), _)) => {}
                    outcome => return outcome,
                }
            }
            let whose = DialFor::Transport;
            let dialled = self.guard.dial(machine, now, to, Expect::Anyone, whose);
            match dialled.map_err(|why| (why.into(), None))?.pending() {
                Some(channel) => send(machine, channel.clone()),
                None => Err((TransportSendError::Full, None)),
            }
        });
        let connection = |channel| self.connection(channel);
        sent.map(connection).map_err(|(why, over)| (why, over.map(connection)))
    }

    /// Closes every connection when what waits was sent and acknowledged, within five seconds, and
    /// lets go of the port. Readers take what had arrived, and then hear the end.
    pub async fn close(&self) {
        self.guard.begin_closing();
        self.guard.end().await;
    }

    /// The transport and its connections now.
    pub fn stats(&self) -> TransportStats<P::Counters> {
        self.guard.stats()
    }

    async fn resolve(
        &self,
        name: impl ToSocketAddrs + Debug,
    ) -> Result<Vec<SocketAddr>, ConnectError> {
        resolve(name, |address| P::reaches(self.local_addr(), address)).await
    }

    fn connection(&self, channel: Arc<P::Channel>) -> Connection<P> {
        Connection::new(self.guard.clone(), channel)
    }
}

impl<P: Protocol> Clone for Transport<P> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl<P: Protocol> Debug for Transport<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("id", &self.id()).field("at", &self.local_addr()).finish()
    }
}

/// A handshake that is being waited for, to give up when it is not.
struct Handshake<'a, M: ProtocolMachine> {
    guard: &'a TransportGuard<M>,
    attempt: Option<Attempt<M::Channel>>,
}

impl<M: ProtocolMachine> Drop for Handshake<'_, M> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.guard.act(|machine, now| machine.give_up(now, attempt));
        }
    }
}
