//! One connection, whatever protocol is below it.

use std::{
    fmt::{self, Debug},
    future::{Future, poll_fn},
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Closed, Delivery, LaneNumber},
    id::NodeId,
    limits::MAX_REASON_TEXT,
    wire::frame::CloseReason,
};

use super::{
    ConnectionId, ConnectionStats, Incoming, Protocol, TransportSendError, channel::Channel as _,
    guard::TransportGuard, mailbox::Reader, wait::until,
};

/// A connection to another node: encrypted, and both ends are authenticated.
///
/// Clones are handles of the same connection; so are its streams and what
/// [`Incoming`](super::Incoming) names, and each of them keeps the transport alive. They are equal,
/// and so are their [`id`](Self::id)s, by which a map can know them. A later connection to the same
/// node is another one.
///
/// **Who ends it.** A connection that [`connect`](super::Transport::connect) or
/// [`accept`](super::Transport::accept) returned is the application's, and is closed when its last
/// handle is dropped: the other end is told, with code 0 and no text, as soon as it has
/// acknowledged what was sent before. What it says meanwhile is discarded, and what waited unread
/// in the connection is gone. Nobody has to be waited for: this is done in the background, and ends
/// after five seconds in which nothing is acknowledged (over TCP, ten). [`close`](Self::close) does
/// the same and tells how it went.
///
/// Any other connection, one that only [`send_reliable`](super::Transport::send_reliable) and its
/// like made or that nobody has accepted, is the transport's, and stays open until either end
/// closes it or the transport ends.
///
/// Over TCP there is at most one between two transports, whoever made it.
pub struct Connection<P: Protocol> {
    pub(super) guard: Arc<TransportGuard<P>>,
    pub(super) channel: Arc<P::Channel>,
}

impl<P: Protocol> Connection<P> {
    /// A handle.
    pub(super) fn new(guard: Arc<TransportGuard<P>>, channel: Arc<P::Channel>) -> Self {
        channel.ownership.acquire();
        Self { guard, channel }
    }

    /// The handle by which the application gets it.
    pub(super) fn taken(self) -> Self {
        self.channel.ownership.take();
        self
    }

    /// Names the connection, as long as this process runs: all its handles, and nothing else.
    pub fn id(&self) -> ConnectionId {
        self.channel.id
    }

    /// The id of the node at the other end. `None` for a connection that
    /// [`send_reliable`](super::Transport::send_reliable) began over UDP, until somebody has
    /// answered.
    pub fn peer(&self) -> Option<NodeId> {
        self.channel.peer()
    }

    /// Where the other end is now.
    pub fn address(&self) -> SocketAddr {
        self.channel.address()
    }

    /// Sends a message in a lane, 0 to 15; a lower one is more urgent, and one never waits for
    /// another. Returns when the message is queued, and waits for that while the queue is full or
    /// the other application has not taken enough. Cancel-safe: the message is queued or not.
    ///
    /// Over TCP there is one lane, and everything arrives once and in order, however it was to be
    /// delivered.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::{Delivery, Expect, UdpTransport};
    ///
    /// let alice = UdpTransport::bind("127.0.0.1:0").await?;
    /// let bob = UdpTransport::bind("127.0.0.1:0").await?;
    /// let connection = alice.connect(bob.local_addr(), Expect::Anyone).await?;
    /// connection.send(0, Delivery::Ordered, "once and in order").await?;
    /// connection.send(0, Delivery::Unordered, "once").await?;
    /// connection.send(0, Delivery::Unreliable, "at most once").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// See [`TransportSendError`]; the connection goes on, unless it is that which is over.
    pub async fn send(
        &self,
        lane: LaneNumber,
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), TransportSendError> {
        // A flood from one task gives the driver its turn, and the driver packs it.
        tokio::task::coop::consume_budget().await;
        let data = data.into();
        until(&self.channel.writable, || match self.try_send(lane, delivery, data.clone()) {
            Err(TransportSendError::Full) => None,
            outcome => Some(outcome),
        })
        .await
    }

    /// As [`send`](Self::send), but says [`TransportSendError::Full`] instead of waiting.
    ///
    /// # Errors
    /// See [`TransportSendError`].
    pub fn try_send(
        &self,
        lane: LaneNumber,
        delivery: Delivery,
        data: impl Into<Bytes>,
    ) -> Result<(), TransportSendError> {
        let (how, data) = ((lane, delivery), data.into());
        self.guard.act_coalesced(|machine, now| machine.send(now, &self.channel, how, data))
    }

    /// The next message that came over this connection.
    ///
    /// The first call (not only its await) makes the messages of the connection its own: those that
    /// wait and all that follow are for `receive` and [`receive_many`](Self::receive_many) of its
    /// handles, each for one of them, and no more for the readers of the
    /// [transport](super::Transport::incoming). So call it before you ask what it is to answer, if
    /// there are such readers too.
    ///
    /// What nobody takes fills the window of this connection: then its other end waits, and nobody
    /// else. At most that window waits here, over UDP `window_bytes`, over TCP 4 MiB.
    ///
    /// Cancel-safe: a message is taken or not, never lost.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::transport::{Delivery, Expect, TcpTransport};
    ///
    /// let alice = TcpTransport::bind("127.0.0.1:0").await?;
    /// let bob = TcpTransport::bind("127.0.0.1:0").await?;
    /// let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    /// let answer = to_bob.receive();
    /// to_bob.send(0, Delivery::Ordered, "who are you?").await?;
    ///
    /// let from_alice = bob.accept().await.unwrap();
    /// assert_eq!(from_alice.receive().await?.data, "who are you?");
    /// from_alice.send(0, Delivery::Ordered, "bob").await?;
    /// assert_eq!(answer.await?.data, "bob");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Why the connection is over, once all that came before was taken.
    pub fn receive(
        &self,
    ) -> impl Future<Output = Result<Incoming<Self>, Closed>> + Send + use<'_, P> {
        let reader = ConnectionReader::new(self);
        async move {
            let mut taken = None;
            poll_fn(|cx| reader.poll_take(cx, 1, |message| taken = Some(message))).await;
            match taken {
                Some(message) => Ok(message),
                None => Err(self.closed().await),
            }
        }
    }

    /// As [`receive`](Self::receive), but appends all that waits to `buffer`, at most `limit`
    /// messages: how many, as soon as there is one. 0 only if `limit` is 0.
    ///
    /// Cancel-safe: what was taken is in `buffer`.
    ///
    /// # Errors
    /// Why the connection is over, once all that came before was taken.
    pub async fn receive_many(
        &self,
        buffer: &mut Vec<Incoming<Self>>,
        limit: usize,
    ) -> Result<usize, Closed> {
        let (reader, before) = (ConnectionReader::new(self), buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        poll_fn(|cx| reader.poll_take(cx, limit, |message| buffer.push(message))).await;
        match buffer.len() - before {
            0 => Err(self.closed().await),
            count => Ok(count),
        }
    }

    /// Waits until everything that was sent is acknowledged by the other end's transport (not by
    /// its application), or, if it was unreliable, given up.
    ///
    /// # Errors
    /// The connection was over before that: what was not acknowledged may have arrived or not.
    pub async fn flush(&self) -> Result<(), Closed> {
        self.channel.until_drained().await
    }

    /// Closes the connection when everything that waits was sent and acknowledged, and waits for
    /// that: `Closed::ByUs` says that it was. From the first poll on it takes nothing more, and is
    /// closed in any case, also if this is not awaited to its end. The first reason stays.
    ///
    /// The other end gets `code` and `reason`, as
    /// `Closed::ByPeer(CloseReason::Application { .. })`, in its [`closed`](Self::closed) and in
    /// the error of whatever it does after that; what was sent before it can still receive, and
    /// streams that were finished it can read to their end. A stream that is not finished keeps
    /// nobody waiting: its reader hears an error. What a code means is the application's to say; 0
    /// with no text is what the other end gets when the last handle is dropped. The reason is for
    /// people: at most 128 bytes of UTF-8, and cut off there.
    ///
    /// What the other end said and nobody here has received stays to be received; what it has not
    /// yet sent, it may still send for five seconds (over TCP it is lost).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use positron_networking::{
    ///     CloseReason,
    ///     transport::{Closed, Expect, UdpTransport},
    /// };
    ///
    /// let alice = UdpTransport::bind("127.0.0.1:0").await?;
    /// let bob = UdpTransport::bind("127.0.0.1:0").await?;
    /// let to_bob = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    /// let from_alice = bob.accept().await.unwrap();
    /// to_bob.close(7, "no more questions").await;
    /// let Closed::ByPeer(CloseReason::Application { code, reason }) = from_alice.closed().await
    /// else {
    ///     panic!("something else happened");
    /// };
    /// assert_eq!((code, &reason[..]), (7, "no more questions"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn close(&self, code: u32, reason: &str) -> Closed {
        let reason = application(code, reason);
        self.guard.act(|machine, now| machine.close(now, &self.channel, reason));
        self.closed().await
    }

    /// As [`close`](Self::close), but at once: what waits is not sent, and what the other end has
    /// not read of streams is lost to it.
    pub fn reset(&self, code: u32, reason: &str) {
        let reason = application(code, reason);
        self.guard.act(|machine, now| machine.reset(now, &self.channel, reason));
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> Closed {
        self.channel.until_closed().await
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.channel.closed().is_some()
    }

    /// The connection now; `None` when it is over.
    pub fn stats(&self) -> Option<ConnectionStats> {
        if self.is_closed() {
            // The machine may remember it for a while, to answer what still comes.
            return None;
        }
        self.guard.lock().machine.connection_stats(&self.channel, self.guard.clock.now())
    }
}

impl<P: Protocol> Clone for Connection<P> {
    fn clone(&self) -> Self {
        Self::new(self.guard.clone(), self.channel.clone())
    }
}

impl<P: Protocol> Drop for Connection<P> {
    fn drop(&mut self) {
        if self.channel.ownership.release() {
            self.guard.abandon_connection(&self.channel);
        }
    }
}

impl<P: Protocol> PartialEq for Connection<P> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<P: Protocol> Eq for Connection<P> {}

impl<P: Protocol> Hash for Connection<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<P: Protocol> Debug for Connection<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("address", &self.address())
            .field("closed", &self.channel.closed())
            .finish()
    }
}

/// Waits for messages of a connection.
struct ConnectionReader<'a, P: Protocol> {
    connection: &'a Connection<P>,
    reader: Reader,
}

impl<'a, P: Protocol> ConnectionReader<'a, P> {
    fn new(connection: &'a Connection<P>) -> Self {
        connection.guard.received.claim(&connection.channel);
        Self { connection, reader: connection.channel.mailbox.reader() }
    }

    /// Ready when something was taken, or nothing more comes.
    fn poll_take(
        &self,
        cx: &mut Context<'_>,
        limit: usize,
        mut each: impl FnMut(Incoming<Connection<P>>),
    ) -> Poll<()> {
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let Connection { guard, channel } = self.connection;
        let taken = channel.mailbox.poll_take(&self.reader, cx, limit, |message| {
            each(Incoming::new(message, self.connection.clone()));
        });
        let release = ready!(taken).unwrap_or_default();
        turn.made_progress();
        guard.release(release.iter().map(|bytes| (channel, *bytes)));
        Poll::Ready(())
    }
}

impl<P: Protocol> Drop for ConnectionReader<'_, P> {
    fn drop(&mut self) {
        self.connection.channel.mailbox.leave(&self.reader);
    }
}

/// What an application says at the end, no longer than the wire takes.
fn application(code: u32, reason: &str) -> CloseReason {
    let len = reason.floor_char_boundary(MAX_REASON_TEXT);
    CloseReason::Application { code, reason: reason[..len].to_owned() }
}
