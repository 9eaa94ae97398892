//! The machine of a protocol, as handles and drivers see it.

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
    mailbox::QueuedMessage, send_turn::Transmit, stats::ProtocolStats,
};

/// The machine of a protocol: every connection of one transport, behind the lock that its handles
/// and its driver share.
///
/// It waits for nothing and writes to no socket. After every change, and before the lock is given
/// back, [`poll_event`](Self::poll_event) is called until there is nothing more; then
/// [`poll_transmit`](Self::poll_transmit), as long as the kernel takes what comes of it.
///
/// It is apart from [`Protocol`](super::Protocol) so that nobody outside of this crate names its
/// types.
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
        whose: DialFor,
    ) -> Result<Attempt<Self::Channel>, ConnectError>;

    /// Nobody waits for the end of this handshake any more.
    fn give_up(&mut self, now: Now, attempt: Attempt<Self::Channel>);

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

    /// Closes a connection of which nobody wants to hear any more.
    fn abandon(&mut self, now: Now, channel: &Arc<Self::Channel>, reason: CloseReason) {
        self.close(now, channel, reason);
    }

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

/// Who has a use for a connection that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFor {
    /// Whoever waits for it: without anybody it is of no use.
    Caller,
    /// The transport: it is kept for what is sent to that address.
    Transport,
}

/// What everybody has to hear of.
#[derive(Debug)]
pub enum ProtocolEvent<C> {
    /// A connection is up.
    Established(Arc<C>),
    /// A message arrived.
    Message(Arc<C>, QueuedMessage),
    /// A connection is over.
    Closed(Arc<C>, Closed),
}
