//! What differs between one transport and another: the protocol below it.

use std::{fmt::Debug, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Closed, Delivery, LaneNumber},
    handshake::Expect,
    time::{Instant, Now},
    wire::frame::CloseReason,
};

use super::{
    ConnectError, ConnectionStats, TransportSendError, attempt::Attempt, channel::Channel,
    receive_queue::QueuedMessage, send_turn::Transmit, stats::ProtocolStats,
};

/// The protocol below a transport: [`Udp`](super::Udp) or [`Tcp`](super::Tcp), and nothing else.
///
/// What is generic over it works with both:
///
/// ```
/// use positron_networking::transport::{Connection, Protocol, Transport, TransportSendError};
///
/// async fn greet<P: Protocol>(
///     us: &Transport<P>,
///     at: &str,
/// ) -> Result<Connection<P>, TransportSendError> {
///     us.send_reliable(at, "hello").await
/// }
/// ```
pub trait Protocol: ProtocolMachine {
    /// Bytes of the largest message.
    const MAX_MESSAGE: usize;
}

/// The machine of a protocol: every connection of one transport, behind the lock that its handles
/// and its driver share.
///
/// It waits for nothing and writes to no socket. After every change, and before the lock is given
/// back, [`poll_event`](Self::poll_event) is called until there is nothing more; then
/// [`poll_transmit`](Self::poll_transmit), as long as the kernel takes what comes of it.
///
/// It is apart from [`Protocol`] so that nobody outside of this crate names its types.
pub trait ProtocolMachine: Debug + Sized + Send + 'static {
    /// What is known of a connection outside of the machine.
    type Channel: Channel;

    /// What is counted.
    type Counters;

    /// Whether it makes datagrams. Otherwise tasks of its own write what is due.
    const TRANSMITS: bool;

    /// Whether something can be sent from here to there.
    fn reaches(from: SocketAddr, to: &SocketAddr) -> bool;

    /// Begins a connection, or waits with others for one.
    fn dial(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
    ) -> Result<Attempt<Self::Channel>, ConnectError>;

    /// The connections that lead to an address, the one to try first in front.
    fn connections_to(&self, to: SocketAddr) -> Vec<Arc<Self::Channel>>;

    /// Every connection, also those that are not complete.
    fn connections(&self) -> impl Iterator<Item = &Arc<Self::Channel>>;

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

    /// Closes every connection at once; the other ends are told.
    fn reset_all(&mut self, now: Now);

    /// Whether the network has what the other ends were told.
    fn is_flushed(&self) -> bool;

    /// Lets go of the network, and of every connection.
    fn shut_down(&mut self) -> Vec<Arc<Self::Channel>>;

    /// What happened next.
    fn poll_event(&mut self, now: Now) -> Option<ProtocolEvent<Self::Channel>>;

    /// The next batch of datagrams, sealed in `buffer`.
    fn poll_transmit(&mut self, now: Now, buffer: &mut Vec<u8>) -> Option<Transmit>;

    /// When the driver is to call it again.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The transport now.
    fn stats(&self, now: Now) -> ProtocolStats<Self::Counters>;

    /// One connection now, if it is not over.
    fn connection_stats(&self, channel: &Self::Channel, now: Now) -> Option<ConnectionStats>;
}

/// What everybody has to hear of.
#[derive(Debug)]
pub enum ProtocolEvent<C> {
    /// A connection is up.
    Established(Arc<C>),
    /// A message arrived.
    Message(QueuedMessage<Arc<C>>),
    /// A connection is over.
    Closed(Arc<C>, Closed),
}
