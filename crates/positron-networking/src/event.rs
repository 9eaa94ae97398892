//! What happens to a node, besides messages.

use std::{
    fmt,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use positron_proto::{
    handshake::Direction,
    id::{MessageId, NodeId},
    misbehavior::BanReason,
    node::{
        Event,
        reasons::outrun,
        view::{UsedTwice, few_peers_in_words},
    },
    reason::{By, Reason},
    relay::PeerPlace,
    session::sessions::{DialFailure, DownReason, LinkKind},
    subnet::Subnet,
    trust::AddressBan,
    wire::frame::CloseReason,
};
use serde::{Serialize, Serializer};

use crate::{
    endings::{explained, in_a_line, of_dial, of_refusal, of_session},
    feed::Subscription,
};

/// Something that happened to the node. Each says why; as JSON the reasons are in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum NodeEvent {
    /// A peer is connected.
    PeerJoined {
        /// Who.
        peer: NodeId,
        /// Where; `None` behind a relay.
        address: Option<SocketAddr>,
        /// Who forwards, if it is behind a relay.
        relay: Option<NodeId>,
        /// Who dialled.
        direction: Direction,
    },
    /// A peer is reached over another path: from now on directly, through a relay, at another
    /// address, or over another transport.
    PeerMoved {
        /// Who.
        peer: NodeId,
        /// Where; `None` behind a relay.
        address: Option<SocketAddr>,
        /// Who forwards, if it is behind a relay.
        relay: Option<NodeId>,
        /// What its link is made of now.
        transport: LinkKind,
    },
    /// A peer is not connected any more.
    PeerLeft {
        /// Who.
        peer: NodeId,
        /// Why; as JSON who ended it (`by`), `reason`, `sentence` and `remedy`, and a `detail`
        /// where there is more to say.
        #[serde(flatten, serialize_with = "of_session")]
        reason: DownReason,
    },
    /// Newcomers were refused. One is told every 10 s and for each reason.
    PeersRefused {
        /// The last of them.
        peer: NodeId,
        /// Where it dialled from; `None` behind a relay.
        address: Option<SocketAddr>,
        /// Who forwarded, if it is behind a relay.
        relay: Option<NodeId>,
        /// Why, as it was told; as JSON `by`, `reason`, `sentence` and `remedy`.
        #[serde(flatten, serialize_with = "of_refusal")]
        reason: CloseReason,
        /// How many others were refused for this reason since it was told last.
        others: u64,
    },
    /// There are fewer peers than `min_peers`, and have been for about `peer_discovery_interval`.
    /// Told once, until there are enough; everybody that the node knows of is dialled meanwhile.
    FewPeers {
        /// How many are connected.
        connected: usize,
        /// `min_peers`.
        wanted: usize,
    },
    /// A dial led to nothing.
    DialFailed {
        /// Where to.
        address: SocketAddr,
        /// Why; as JSON `reason`, `sentence` and `remedy`, and a `detail` where there is more to
        /// say.
        #[serde(flatten, serialize_with = "of_dial")]
        reason: DialFailure,
    },
    /// A peer is refused from now on.
    PeerBanned {
        /// Who.
        peer: NodeId,
        /// For what; with the application's words, if it is the application that says so.
        #[serde(serialize_with = "in_words")]
        reason: BanReason,
        /// Until when, in seconds since 1970.
        until_unix_secs: u64,
    },
    /// Whoever is at these addresses is refused from now on.
    AddressBanned {
        /// Which.
        addresses: Subnet,
        /// The application's words.
        reason: String,
        /// Until when, in seconds since 1970.
        until_unix_secs: u64,
    },
    /// Where others can reach this node, as far as it knows, changed.
    ExternalAddresses {
        /// The addresses.
        addresses: Vec<SocketAddr>,
    },
    /// Peers did not take a broadcast of this node in time. It was kept for them for ten seconds at
    /// least, and for as long as they moved; they do not get it from this node any more. Or it was
    /// pushed out by newer ones before any peer had it, because there were none or they left.
    BroadcastOutran {
        /// Which.
        message: MessageId,
        /// Who lacks it; empty if, as far as is known, nobody has it.
        peers: Vec<NodeId>,
        /// Which of the two; as JSON `reason`, `sentence` and `remedy`.
        #[serde(flatten, serialize_with = "explained")]
        reason: Reason,
    },
    /// A node signed two contents under one number: a proof of that is held here and shown to
    /// whoever holds one of them, so that in the end every node has it. Its score falls, and the
    /// second time it is banned. What was handed over is what came first, here; elsewhere it may be
    /// the other one, so an application that must agree on one decides by the ids. Sixteen are
    /// told at once, and then one a second.
    Equivocated {
        /// Who.
        sender: NodeId,
        /// Under which number.
        sequence: u64,
        /// The broadcast that was handed over here, and the other one.
        messages: [MessageId; 2],
        /// How many others were not told since the last time.
        untold: u64,
    },
    /// Others showed this node something that its key signed with higher numbers than its database
    /// and its clock know of: the database was lost or is an old one, the clock is or was wrong, or
    /// the key is used elsewhere. The node goes on above them. Told once in a minute.
    NumbersBehind,
    /// A key is used in two places at once: on two machines, or by a copy of a data folder beside
    /// the original. Peers let go of one process for the other, each time one dials, and both wait
    /// longer and longer. Told once in a minute.
    UsedTwice {
        /// Whose: this node's own, or that of a peer.
        node: NodeId,
        /// Whether it is this node's own.
        ours: bool,
        /// Where: of this node's key the other place, as a peer told it; of that of a peer both.
        addresses: Vec<SocketAddr>,
    },
    /// A peer has another key now, as the old one and the new one say
    /// ([`rotate_key`](crate::rotate_key)). What was made of the old one counts for the new one:
    /// score, ban and reservation.
    PeerSucceeded {
        /// The id that is nobody's any more.
        old: NodeId,
        /// The id of the same peer from now on.
        new: NodeId,
    },
    /// A key named a second successor: somebody else has it beside its holder. The one that this
    /// node heard of first stays; whether it is the holder is for people to find out.
    SuccessionConflict {
        /// Whose key.
        old: NodeId,
        /// Who came after it here.
        kept: NodeId,
        /// Who was refused.
        refused: NodeId,
    },
    /// The key of this node gave way to another one, as it signed itself: this is an old copy of
    /// it, or somebody else has it. Peers that know of it refuse this node.
    KeyRetired {
        /// Who has its place.
        successor: NodeId,
    },
    /// The disk takes nothing for now. Broadcasts are sent, and wait for it before they return; the
    /// node tries again by itself.
    StorageWaits {
        /// Why; as JSON `reason`, `sentence` and `remedy`.
        #[serde(flatten, serialize_with = "explained")]
        reason: Reason,
        /// What it waits for, in words.
        detail: String,
    },
    /// The disk takes what it is given again.
    StorageBack,
    /// Storage failed for good: broadcasts are refused from now on, the rest goes on.
    StorageFailed {
        /// Why; as JSON `reason`, `sentence` and `remedy`.
        #[serde(flatten, serialize_with = "explained")]
        reason: Reason,
        /// Why, in words.
        detail: String,
    },
}

impl NodeEvent {
    /// The public form of an event that is neither for whom it answers nor for whom it asks.
    pub(crate) fn from_core(event: Event, me: NodeId) -> Option<Self> {
        Some(match event {
            Event::PeerJoined { peer, place: PeerPlace { address, relay }, direction } => {
                Self::PeerJoined { peer, address, relay, direction }
            }
            Event::PeerMoved { peer, place: PeerPlace { address, relay }, transport } => {
                Self::PeerMoved { peer, address, relay, transport }
            }
            Event::PeerLeft { peer, reason } => Self::PeerLeft { peer, reason },
            Event::PeersRefused {
                peer,
                place: PeerPlace { address, relay },
                reason,
                untold: others,
            } => Self::PeersRefused { peer, address, relay, reason, others },
            Event::FewPeers { linked, wanted } => Self::FewPeers { connected: linked, wanted },
            Event::DialFailed { dial, reason } => Self::DialFailed { address: dial.to, reason },
            Event::PeerBanned { peer, why, until } => {
                Self::PeerBanned { peer, reason: why, until_unix_secs: until.as_unix_secs() }
            }
            Event::AddressBanned(AddressBan { addresses, until, why }) => Self::AddressBanned {
                addresses,
                reason: why.to_string(),
                until_unix_secs: until.as_unix_secs(),
            },
            Event::ExternalAddresses(addresses) => Self::ExternalAddresses { addresses },
            Event::BroadcastOutran { message, peers } => {
                Self::BroadcastOutran { message, reason: outrun(&peers), peers }
            }
            Event::Equivocated { sender, sequence, messages, untold } => {
                Self::Equivocated { sender, sequence, messages, untold }
            }
            Event::NumbersBehind => Self::NumbersBehind,
            Event::UsedTwice(UsedTwice { node, addresses }) => {
                Self::UsedTwice { node, ours: node == me, addresses }
            }
            Event::PeerSucceeded { old, new } => Self::PeerSucceeded { old, new },
            Event::SuccessionConflict { old, kept, refused } => {
                Self::SuccessionConflict { old, kept, refused }
            }
            Event::KeyRetired { successor } => Self::KeyRetired { successor },
            Event::StorageWaits { reason, why } => Self::StorageWaits { reason, detail: why },
            Event::StorageBack => Self::StorageBack,
            Event::StorageFailed { reason, why } => Self::StorageFailed { reason, detail: why },
            Event::Message(_)
            | Event::Validate { .. }
            | Event::Request { .. }
            | Event::RequestAbandoned { .. }
            | Event::Stream { .. }
            | Event::Completed { .. } => return None,
        })
    }
}

/// Where a peer is, behind its id.
fn at(address: Option<SocketAddr>, relay: Option<NodeId>) -> String {
    let before = if address.is_some() { " at" } else { "," };
    format!("{before} {}", PeerPlace { address, relay })
}

impl fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            &Self::PeerJoined { peer, address, relay, direction } => {
                let how = match direction {
                    Direction::Outbound => "dialled by this node",
                    Direction::Inbound => "dialled by the peer",
                };
                write!(f, "peer {} joined{}, {how}", peer.short(), at(address, relay))
            }
            Self::PeerMoved { .. } => self.fmt_moved(f),
            Self::PeerLeft { peer, reason } => {
                let who = match By::from(reason) {
                    By::Us => "this node ended it",
                    By::Peer => "the peer ended it",
                    By::Network => "nobody ended it",
                };
                let why = in_a_line(reason.into(), reason.detail());
                write!(f, "peer {} left, {who}: {why}", peer.short())
            }
            Self::PeersRefused { peer, address, relay, reason, others } => {
                let whence = address.map_or_else(|| "its relay".into(), |at| at.ip().to_string());
                let why = match reason {
                    CloseReason::SlotsFull => "every slot is taken (`max_peers`)".into(),
                    CloseReason::InboundFull => {
                        "every slot for those who dial is taken (`max_inbound`)".into()
                    }
                    CloseReason::AddressFull => format!(
                        "{whence} has as many peers here as one address may have \
                         (`max_peers_per_address`)"
                    ),
                    CloseReason::Banned => "it is banned".into(),
                    CloseReason::KeyRetired => "its key gave way to another one".into(),
                    other => other.to_string(),
                };
                write!(f, "refused peer {}{}: {why}", peer.short(), at(*address, *relay))?;
                if *others > 0 { write!(f, "; {others} others before it") } else { Ok(()) }
            }
            Self::FewPeers { connected, wanted } => {
                write!(f, "too few peers, {}", few_peers_in_words(*connected, *wanted))
            }
            Self::DialFailed { address, reason } => {
                let why = in_a_line(reason.into(), reason.detail());
                write!(f, "cannot reach {address}: {why}")
            }
            Self::PeerBanned { peer, reason, .. } => {
                write!(f, "peer {} is banned: {reason}", peer.short())
            }
            Self::AddressBanned { addresses, reason, .. } => {
                write!(f, "{addresses} is banned: {reason}")
            }
            Self::ExternalAddresses { addresses } if addresses.is_empty() => {
                write!(f, "seen by others at no address any more")
            }
            Self::ExternalAddresses { addresses } => {
                let seen: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "seen by others at {}", seen.join(", "))
            }
            Self::BroadcastOutran { message, peers, .. } if peers.is_empty() => {
                write!(f, "broadcast {message} made room for newer ones before anybody had it")
            }
            Self::BroadcastOutran { message, peers, .. } => {
                let slow: Vec<String> = peers.iter().map(|peer| peer.short().to_string()).collect();
                write!(f, "broadcast {message} was too fast for {}", slow.join(", "))
            }
            Self::Equivocated { .. }
            | Self::NumbersBehind
            | Self::UsedTwice { .. }
            | Self::PeerSucceeded { .. }
            | Self::SuccessionConflict { .. }
            | Self::KeyRetired { .. } => self.fmt_identity(f),
            Self::StorageWaits { reason, detail } => {
                write!(f, "broadcasts wait for storage, {reason}: {detail}")
            }
            Self::StorageBack => write!(f, "storage is back, and nothing waits for it"),
            Self::StorageFailed { reason, detail } => {
                write!(f, "storage failed, {reason}: {detail}")
            }
        }
    }
}

impl NodeEvent {
    /// Where a peer is now.
    fn fmt_moved(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self::PeerMoved { peer, address, relay, transport } = self else { return Ok(()) };
        let over = if address.is_some() { format!(" over {transport}") } else { String::new() };
        write!(f, "peer {} is reached{}{over} now", peer.short(), at(address, relay))
    }

    /// What happened to a key.
    fn fmt_identity(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equivocated { sender, sequence, messages: [first, other], untold } => {
                let sender = sender.short();
                write!(f, "{sender} signed two broadcasts as number {sequence}: {first}, {other}")?;
                if *untold > 0 { write!(f, "; {untold} others were not told") } else { Ok(()) }
            }
            Self::NumbersBehind => write!(
                f,
                "others know messages of this key that are newer than its database and clock: the \
                 database was lost or is an old copy, the clock is or was wrong, or the key is \
                 used elsewhere; going on above them"
            ),
            Self::UsedTwice { node, ours, addresses } => {
                let places: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let (at, places) = match &places[..] {
                    [] => ("", "behind relays".to_owned()),
                    _ => ("at ", places.join(" and ")),
                };
                if *ours {
                    write!(
                        f,
                        "this identity is in use elsewhere, {at}{places}: peers let go of one \
                         of the two for the other; stop one, or give it a key of its own"
                    )
                } else {
                    let peer = node.short();
                    write!(f, "the identity of peer {peer} is in use in two places: {places}")
                }
            }
            Self::PeerSucceeded { old, new } => {
                write!(f, "peer {} has a new key: it is {} from now on", old.short(), new.short())
            }
            Self::SuccessionConflict { old, kept, refused } => write!(
                f,
                "somebody else has the key of peer {} as well: it named two successors; {} stays, \
                 and {} is refused",
                old.short(),
                kept.short(),
                refused.short()
            ),
            Self::KeyRetired { successor } => write!(
                f,
                "the key of this node gave way to that of node {}: peers refuse it from now on; \
                 start with the new key. If you did not change it, somebody else has this key",
                successor.short()
            ),
            _ => Ok(()),
        }
    }
}

fn in_words<T: fmt::Display, S: Serializer>(reason: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(reason)
}

/// What happens from the moment of [`events`](crate::Node::events) on: a stream.
///
/// A slow reader never holds up the node: when 4,096 events wait, the oldest are dropped and
/// [counted](Self::dropped).
#[derive(Debug)]
pub struct Events(pub(crate) Subscription<NodeEvent>);

impl Events {
    /// The next event; `None` once the node stopped and all that waited was taken. Cancel-safe.
    pub async fn recv(&mut self) -> Option<NodeEvent> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }

    /// How many events were dropped because this reader was slow.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

impl futures_core::Stream for Events {
    type Item = NodeEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeEvent>> {
        self.0.poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_newcomer_is_told_with_the_reason_and_the_key_that_sets_the_limit() {
        let told = |reason, others| {
            let (peer, address) = (NodeId::from_bytes([7; 32]), "192.0.2.1:5".parse().ok());
            let relay = None;
            NodeEvent::PeersRefused { peer, address, relay, reason, others }.to_string()
        };
        let full = told(CloseReason::AddressFull, 0);
        assert!(full.contains("192.0.2.1 has as many peers here"), "{full}");
        assert!(full.contains("`max_peers_per_address`"), "{full}");
        let full = told(CloseReason::SlotsFull, 3);
        assert!(full.ends_with("(`max_peers`); 3 others before it"), "{full}");
        let full = told(CloseReason::InboundFull, 0);
        assert!(full.ends_with("(`max_inbound`)"), "{full}");
        // Who is refused reads the same key.
        for reason in [CloseReason::SlotsFull, CloseReason::InboundFull, CloseReason::AddressFull] {
            let words = reason.to_string();
            let key = words.split('`').nth(1).unwrap();
            assert!(told(reason, 0).contains(&format!("(`{key}`)")), "{words}");
        }
    }
}
