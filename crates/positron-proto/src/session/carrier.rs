//! What carries sessions: one contract for every kind of link.

use core::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use super::{
    contract::{DialFailure, DialRequest, LinkDown, Reading},
    fault::LinkFault,
};
use crate::{
    datagram::contract::WireBytes,
    handshake::RemoteNode,
    id::LinkId,
    time::{Duration, Instant, Now},
    wire::frame::{CloseReason, Lane},
};

pub(super) use crate::stream::contract::Draft;

/// All links of one kind: what a session needs of whatever is below it.
///
/// A carrier authenticates the other end of a link, then brings ordered messages both ways,
/// sealed, until one end closes. Who may come in, whether the other end lives, what is said again
/// over the next link: all that is judged above, alike for every kind.
///
/// **Contract.** The caller [`connect`](Self::connect)s, or is told of a link that it does not know
/// by [`CarrierEvent::Authenticated`]. Before it sends it asks [`has_room`](Self::has_room); a
/// message is appended to what [`begin`](Self::begin) lends and given to [`send`](Self::send)
/// before anything else is asked of the carrier. A link that is no longer wanted is
/// [`end`](Self::end)ed. [`poll_event`](Self::poll_event) is called until `None` when an input is
/// done with. Each link comes to exactly one [`CarrierEvent::Closed`], its last event, whoever
/// ended it. What is asked of a link that is gone does nothing.
pub(super) trait Carrier: fmt::Debug + Send {
    /// Dials; the link has this name from now on.
    fn connect(&mut self, now: Now, link: LinkId, dial: &DialRequest) -> Result<(), DialFailure>;

    /// How messages travel over its links.
    fn order(&self) -> CarrierOrder;

    /// Bytes of the largest message.
    fn largest_message(&self, link: LinkId) -> usize;

    /// Whether there is room for one more message of a lane; if not,
    /// [`CarrierEvent::Taken`] follows when there is.
    fn has_room(&mut self, link: LinkId, lane: Lane) -> bool;

    /// A buffer to append a message to.
    fn begin(&mut self, link: LinkId) -> Draft;

    /// Sends what was appended, if anything was.
    fn send(&mut self, now: Now, link: LinkId, lane: Lane, message: Draft);

    /// Reads a link as it is used, or leaves its other end no room to say more for now.
    fn set_reading(&mut self, now: Now, link: LinkId, reading: Reading);

    /// Ends a link.
    fn end(&mut self, now: Now, link: LinkId, how: LinkEnding, reason: CloseReason);

    /// When anything of the other end arrived last, perhaps less than a message.
    fn heard(&self, link: LinkId) -> Option<Instant>;

    /// Whether the other end acknowledged everything that was sent, where the carrier knows: then
    /// nobody needs to say above that it arrived.
    fn is_drained(&self, _: LinkId) -> Option<bool> {
        None
    }

    /// The least round trip of late, where the carrier measures any: that of a packet, which tells
    /// a copy that was lost from the one that arrived.
    fn least_rtt(&self, _: LinkId) -> Option<Duration> {
        None
    }

    /// Bytes that were taken of what was sent, since the link began: by the kernel, or by the other
    /// end's endpoint. Whether it grows tells a slow path from a peer that does not read.
    fn taken(&self, link: LinkId) -> u64;

    /// What a link took on the wire since it began, whatever for: that is what limits of bandwidth
    /// are about.
    fn wire_bytes(&self, link: LinkId) -> WireBytes;

    /// The next thing that happened. Links that the other end made are named by `names`.
    fn poll_event(&mut self, now: Now, names: &mut LinkNames) -> Option<CarrierEvent>;

    /// What it carried since the start.
    fn traffic(&self) -> Traffic;
}

/// In which order messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CarrierOrder {
    /// All of a link in one order: a message has frames of any lane.
    OfLinks,
    /// Those of a lane in one order: a message has frames of one lane, and goes in it.
    OfLanes,
}

/// How a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkEnding {
    /// The other end is told why after everything that was said before.
    Close,
    /// The same, but nothing waits for it: what did not arrive is said again over another link.
    MoveOn,
    /// The other end closed, and is told nothing more.
    Answer,
    /// At once.
    Reset,
}

/// What happened to links, in order within a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CarrierEvent {
    /// Something answers where we dialled; the handshake is under way.
    Reached { link: LinkId },
    /// The other end holds its keys and is live. It dialled if the link is not known.
    Authenticated { link: LinkId, remote: RemoteNode },
    /// A message, in the lane in which it travelled if that tells anything
    /// ([`CarrierOrder::OfLanes`]).
    Message { link: LinkId, lane: Lane, body: Bytes },
    /// The other end took some of what was sent, or there is room again.
    Taken { link: LinkId },
    /// The other end has another address, and proved it.
    Moved { link: LinkId, addr: SocketAddr },
    /// The link is of no use any more: it is to be ended.
    Failed { link: LinkId, why: LinkFault },
    /// The link is over.
    Closed { link: LinkId, why: LinkDown },
}

impl CarrierEvent {
    /// To which link.
    pub(super) const fn link(&self) -> LinkId {
        let (Self::Reached { link }
        | Self::Authenticated { link, .. }
        | Self::Message { link, .. }
        | Self::Taken { link }
        | Self::Moved { link, .. }
        | Self::Failed { link, .. }
        | Self::Closed { link, .. }) = self;
        *link
    }
}

/// Names the links that the core knows first: those that it dials, and those that arrive by
/// datagrams.
#[derive(Debug, Default)]
pub(super) struct LinkNames(u64);

impl LinkNames {
    /// A name that no link had.
    pub(super) const fn next(&mut self) -> LinkId {
        let link = LinkId::of_core(self.0);
        self.0 += 1;
        link
    }
}

/// What was carried since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    /// Bytes given to byte streams.
    pub(super) bytes_sent: u64,
    /// Bytes taken from byte streams.
    pub(super) bytes_received: u64,
    /// Messages sent.
    pub(super) messages_sent: u64,
    /// Messages received.
    pub(super) messages_received: u64,
}

impl core::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
            messages_sent: self.messages_sent + other.messages_sent,
            messages_received: self.messages_received + other.messages_received,
        }
    }
}
