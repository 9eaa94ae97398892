//! What differs between one transport and another: what carries it.

use std::{
    fmt::Debug,
    future::Future,
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, MutexGuard},
};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Closed, Delivery, LaneNumber},
    handshake::Expect,
    time::Now,
    wire::frame::CloseReason,
};

use super::{
    ConnectError, ConnectionStats, TransportSendError, close_state::CloseState, shared::Shared,
};

/// What carries a transport: [`Udp`](super::Udp) or [`Tcp`](super::Tcp), and nothing else.
///
/// What is generic over it works with both:
///
/// ```
/// use positron_networking::transport::{Carrier, Connection, SendError, Transport};
///
/// async fn greet<C: Carrier>(us: &Transport<C>, at: &str) -> Result<Connection<C>, SendError> {
///     us.send_reliable(at, "hello").await
/// }
/// ```
pub trait Protocol: ProtocolDriver {}

/// The machine of a transport, which is behind the lock of [`Shared`], and how callers reach it
/// there.
pub trait ProtocolDriver: Debug + Sized + Send + 'static {
    /// What is known of a connection outside of the machine.
    type Channel: Channel;

    /// A connection that is being made.
    type Attempt: Send;

    /// Bytes of the largest message.
    const MAX_MESSAGE: usize;

    /// Whether something can be sent from here to there.
    fn reaches(from: SocketAddr, to: &SocketAddr) -> bool;

    /// Takes note of what happened, and carries out what follows from it: after every change of the
    /// machine, before the lock is given back.
    fn settle(&mut self, now: Now, shared: &Shared<Self>);

    /// Gives the network what is due, at most so many batches, without the lock while the kernel
    /// works; whether that was all, for now.
    fn transmit(shared: &Shared<Self>, rounds: usize) -> bool;

    /// As [`transmit`](Self::transmit), after what a flood is made of: it may be left to the driver
    /// to pack.
    fn transmit_packed(shared: &Shared<Self>, machine: MutexGuard<'_, Self>);

    /// Begins a connection.
    fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<Self::Attempt, ConnectError>;

    /// The connection that an attempt makes, if messages may wait there until it is made.
    fn queue_of(attempt: Self::Attempt) -> Option<Arc<Self::Channel>>;

    /// What came of an attempt.
    fn made(
        shared: &Shared<Self>,
        attempt: Self::Attempt,
    ) -> impl Future<Output = Result<Arc<Self::Channel>, ConnectError>> + Send;

    /// The connections that lead to an address, the one to try first in front.
    fn leading_to(&self, to: SocketAddr) -> Vec<Arc<Self::Channel>>;

    /// Queues a message.
    fn send(
        &mut self,
        now: Now,
        channel: &Arc<Self::Channel>,
        how: (LaneNumber, Delivery),
        data: Bytes,
    ) -> Result<(), TransportSendError>;

    /// The application took a message of so many bytes.
    fn release(&mut self, now: Now, channel: &Self::Channel, bytes: usize);

    /// Closes a connection when everything is acknowledged.
    fn close(&mut self, now: Now, channel: &Arc<Self::Channel>, reason: CloseReason);

    /// Closes a connection at once.
    fn reset(&mut self, now: Now, channel: &Self::Channel, reason: CloseReason);

    /// Every connection, also those that are not complete.
    fn channels(&self) -> impl Iterator<Item = &Arc<Self::Channel>>;

    /// Handshakes of strangers that are not complete.
    fn half_open(&self) -> usize;

    /// Datagrams, or batches of them, that the kernel did not take.
    fn unsent(&self) -> u64 {
        0
    }

    /// The connections now.
    fn views(&self, now: Now) -> Vec<ConnectionStats>;

    /// One connection now, if it is not over.
    fn view(&self, channel: &Self::Channel, now: Now) -> Option<ConnectionStats>;

    /// Closes every connection at once, with a word to the other end.
    fn say_goodbye(&mut self, now: Now);

    /// Waits until the network has what was said last.
    fn last_words(shared: &Shared<Self>) -> impl Future<Output = ()> + Send;

    /// Lets go of the network, and of every connection.
    fn let_go(&mut self) -> Vec<Arc<Self::Channel>>;
}

/// What is known of one connection outside of the machine, as long as somebody holds it. What
/// happens to it is noted under the lock of the machine.
pub trait Channel: Deref<Target = CloseState> + Debug + Send + Sync + 'static {
    /// Its number among those that other nodes made, the later the higher; `None` for one that this
    /// end made.
    fn arrival(&self) -> Option<u64>;

    /// Where the other end is now.
    fn address(&self) -> SocketAddr;

    /// Whether it is being closed, and has to be over before there is another one with its node.
    fn is_in_the_way(&self) -> bool {
        false
    }

    /// It is over; the first reason stays.
    fn close(&self, why: Closed) {
        self.end(why);
    }
}
