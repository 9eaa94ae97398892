//! Which [`Reason`] of the one list each room's own words are: all of it in this place.

use super::{Outcome, Refused};
use crate::{
    direct::Undelivered,
    handshake::HandshakeFailure,
    id::NodeId,
    reason::{By, Reason},
    request::Unanswered,
    session::sessions::{DialFailure, DownReason, LinkDown},
    substream::{NotOpened, SubstreamEnd},
    wire::frame::CloseReason,
};

impl From<&CloseReason> for Reason {
    fn from(why: &CloseReason) -> Self {
        match why {
            CloseReason::ShuttingDown => Self::ShuttingDown,
            CloseReason::Duplicate => Self::Duplicate,
            CloseReason::WrongNetwork => Self::WrongNetwork,
            CloseReason::WrongVersion => Self::WrongVersion,
            CloseReason::WrongFeatures => Self::WrongFeatures,
            CloseReason::SlotsFull => Self::SlotsFull,
            CloseReason::Banned => Self::Banned,
            CloseReason::WrongNode => Self::WrongNode,
            CloseReason::SelfDial => Self::SelfDial,
            CloseReason::Violation(_) => Self::ProtocolViolation,
            CloseReason::SlowReader => Self::SlowReader,
            CloseReason::Timeout => Self::Timeout,
            CloseReason::Pruned => Self::Pruned,
            CloseReason::Probe => Self::Probe,
            CloseReason::AddressFull => Self::AddressFull,
            CloseReason::OtherProcess(_) => Self::OtherProcess,
            CloseReason::InboundFull => Self::InboundFull,
            CloseReason::ConnectionsFull => Self::ConnectionsFull,
            CloseReason::Application { .. } => Self::ClosedByApplication,
            CloseReason::KeyRetired => Self::KeyRetired,
            CloseReason::MemoryFull => Self::MemoryFull,
            CloseReason::RecordBroken => Self::RecordBroken,
            CloseReason::Other(_) => Self::UnknownReason,
        }
    }
}

impl From<&DownReason> for Reason {
    fn from(why: &DownReason) -> Self {
        match why {
            DownReason::ByUs(why) | DownReason::ByPeer(why) => why.into(),
            // The other end may have heard nothing more where this one was told by its own
            // machine: both say the same.
            DownReason::Link(LinkDown::TimedOut | LinkDown::Unreachable(_)) => Self::Timeout,
            DownReason::Link(_) => Self::ConnectionLost,
        }
    }
}

/// What broke between the two is nobody's doing, whichever end noticed it first.
impl From<&DownReason> for By {
    fn from(why: &DownReason) -> Self {
        match why {
            DownReason::Link(_)
            | DownReason::ByUs(CloseReason::Timeout | CloseReason::RecordBroken)
            | DownReason::ByPeer(CloseReason::Timeout | CloseReason::RecordBroken) => Self::Network,
            DownReason::ByUs(_) => Self::Us,
            DownReason::ByPeer(_) => Self::Peer,
        }
    }
}

impl CloseReason {
    /// What is to be known beside its [`Reason`], for people: of what the peer said, escaped.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Violation(_)
            | Self::OtherProcess(_)
            | Self::Application { .. }
            | Self::Other(_) => Some(self.to_string()),
            _ => None,
        }
    }
}

impl DownReason {
    /// What is to be known beside its [`Reason`], for people.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::ByUs(why) | Self::ByPeer(why) => why.detail(),
            Self::Link(why) => why.detail(),
        }
    }
}

impl LinkDown {
    fn detail(&self) -> Option<String> {
        match self {
            Self::Unreachable(_) | Self::Other(_) => Some(self.to_string()),
            Self::Refused
            | Self::TimedOut
            | Self::Reset
            | Self::Eof
            | Self::HungUp
            | Self::BannedAddress => None,
        }
    }
}

impl DialFailure {
    /// What is to be known beside its [`Reason`], for people.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Link(why) => why.detail(),
            Self::Timeout | Self::Handshake(HandshakeFailure::Ourselves) => None,
            Self::Handshake(HandshakeFailure::Refused(why)) => why.detail(),
            Self::Handshake(why) => Some(why.to_string()),
        }
    }
}

impl From<&DialFailure> for Reason {
    fn from(why: &DialFailure) -> Self {
        match why {
            DialFailure::Link(LinkDown::Refused) => Self::ConnectionRefused,
            DialFailure::Link(LinkDown::TimedOut) => Self::NoAnswer,
            DialFailure::Link(LinkDown::Unreachable(_)) => Self::Unreachable,
            DialFailure::Link(LinkDown::BannedAddress) => Self::BannedAddress,
            DialFailure::Link(LinkDown::Other(_)) => Self::DialFailed,
            DialFailure::Link(LinkDown::Reset | LinkDown::Eof | LinkDown::HungUp) => {
                Self::ConnectionLost
            }
            DialFailure::Timeout => Self::HandshakeTimeout,
            DialFailure::Handshake(failure) => failure.into(),
        }
    }
}

impl From<&HandshakeFailure> for Reason {
    fn from(why: &HandshakeFailure) -> Self {
        match why {
            HandshakeFailure::NotPositron(_) => Self::NotPositron,
            HandshakeFailure::Broken(_) => Self::HandshakeFailed,
            HandshakeFailure::WrongNode { .. } => Self::WrongNode,
            HandshakeFailure::Ourselves => Self::SelfDial,
            HandshakeFailure::Refused(why) => why.into(),
        }
    }
}

impl From<&Undelivered> for Reason {
    fn from(why: &Undelivered) -> Self {
        match why {
            Undelivered::NoLink => Self::NoLink,
            Undelivered::NotAcknowledged => Self::NotAcknowledged,
            Undelivered::QueueFull => Self::QueueFull,
        }
    }
}

impl From<&Unanswered> for Reason {
    fn from(why: &Unanswered) -> Self {
        match why {
            Unanswered::NoLink => Self::NoLink,
            Unanswered::TimedOut => Self::NotAnswered,
            Unanswered::PeerGone => Self::PeerGone,
            Unanswered::NoHandler => Self::NoHandler,
            Unanswered::Busy => Self::Busy,
            Unanswered::Failed(_) => Self::RequestFailed,
            Unanswered::Stopped => Self::Stopping,
        }
    }
}

impl From<&NotOpened> for Reason {
    fn from(why: &NotOpened) -> Self {
        match why {
            NotOpened::NoLink => Self::NoLink,
            NotOpened::TooMany => Self::TooManyStreams,
            NotOpened::Stopping => Self::Stopping,
        }
    }
}

impl From<&SubstreamEnd> for Reason {
    fn from(why: &SubstreamEnd) -> Self {
        match why {
            SubstreamEnd::Application(_) => Self::StreamReset,
            SubstreamEnd::Busy => Self::TooManyStreams,
            SubstreamEnd::Gone | SubstreamEnd::SessionEnded => Self::SessionEnded,
        }
    }
}

impl Refused {
    /// Why a message was not taken; `None` where something else was wanted.
    pub const fn reason(&self) -> Option<Reason> {
        Some(match self {
            Self::TooLarge(_) => Reason::TooLarge,
            Self::TooManyPending => Reason::TooManyPending,
            Self::QueueFull => Reason::QueueFull,
            Self::TooManyRequests => Reason::TooManyRequests,
            Self::ToOurselves => Reason::ToOurselves,
            Self::UnknownPeer { .. } | Self::NotUsable(_) => Reason::UnknownPeer,
            Self::StorageWaits(_) => Reason::StorageWaits,
            Self::StorageFailed(_) => Reason::NotDurable,
            Self::Stream(NotOpened::NoLink) => Reason::NoLink,
            Self::Stream(NotOpened::TooMany) => Reason::TooManyStreams,
            Self::Stream(NotOpened::Stopping) | Self::Stopping => Reason::Stopping,
            Self::AgainstOurselves
            | Self::BanWords(_)
            | Self::TooManyBans
            | Self::TooManyAddressBans
            | Self::TooManyReserved
            | Self::IsBanned(_)
            | Self::IsReserved(_)
            | Self::NotConnected(_)
            | Self::NotReached(_)
            | Self::NotReachedDirectly(_)
            | Self::NoPong(_)
            | Self::TooManyPings
            | Self::TooManyLinks
            | Self::TooManyAddresses
            | Self::UnknownAddress(_)
            | Self::SubscriptionName(_)
            | Self::TooManySubscriptions
            | Self::NoSubscription(_)
            | Self::NotRecommended(_)
            | Self::Trace(_)
            | Self::Table(_) => return None,
        })
    }
}

impl Outcome {
    /// Why what a command asked for did not come to be; `None` where it did.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Undelivered(why) => Some(why.into()),
            Self::Unanswered(why) => Some(why.into()),
            Self::NotDurable(_) => Some(Reason::NotDurable),
            Self::StreamNotOpened(why) => Some(why.into()),
            Self::Refused(why) => why.reason(),
            Self::Durable(_)
            | Self::Delivered(_)
            | Self::Answered(_)
            | Self::StreamOpened(_)
            | Self::Linked
            | Self::Pong(_)
            | Self::Joining
            | Self::Noted
            | Self::Recommended(_)
            | Self::NotRecommended(_)
            | Self::Shared { .. }
            | Self::Table(_)
            | Self::Stopped => None,
        }
    }
}

/// Why a broadcast left the window: peers were too slow for it, or nobody was there.
pub const fn outrun(lacking: &[NodeId]) -> Reason {
    if lacking.is_empty() { Reason::NobodyHadIt } else { Reason::Outrun }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

    use bytes::Bytes;

    use super::*;
    use crate::{
        direct, gossip,
        identity::Identity,
        limits::MAX_PAYLOAD,
        node::{Command, Effect, Event, Input, NodeConfig, NodeCore, Outcome, Snapshot},
        peers::KnownPeer,
        reason::End,
        request,
        rng::Seed,
        substream,
        time::{Duration, Instant, Now, WallTime},
        wire::record::PeerRecord,
    };

    const NOW: Now = Now {
        mono: Instant::from_micros(1),
        wall: WallTime::from_unix_micros(1_800_000_000_000_000),
    };

    /// A node without links, which knows another one.
    fn alone() -> (NodeCore, NodeId) {
        let (me, other) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        let config = NodeConfig::default();
        let record = PeerRecord {
            key: *other.public_key(),
            sequence: 1,
            noise_static: [7; 32],
            capabilities: 0,
            addresses: vec![SocketAddr::from(([20, 1, 2, 3], 4000)).into()],
            carriers: Vec::new(),
            software: String::new(),
        };
        let known = KnownPeer {
            record: other.sign(record, &config.network),
            dialled: None,
            proven: None,
            last_seen: WallTime::default(),
            failures: 0,
            chosen_for: Duration::ZERO,
        };
        let snapshot = Snapshot { peers: vec![known], ..Snapshot::default() };
        let core = NodeCore::new(config, Arc::new(me), snapshot, &Seed::from_number(1), NOW);
        (core, other.node_id())
    }

    fn refused(core: &mut NodeCore, command: Command) -> Reason {
        let refused = core.command(NOW, command).expect_err("it is refused");
        refused.reason().expect("it is about a message")
    }

    /// What was taken, and not done after all.
    fn refused_later(core: &mut NodeCore, command: Command) -> Reason {
        core.command(NOW, command).expect("it is taken");
        let ended = |effect| match effect {
            Effect::Emit(Event::Completed { outcome: Outcome::Refused(why), .. }) => Some(why),
            _ => None,
        };
        let why = std::iter::from_fn(|| core.poll_effect()).find_map(ended);
        why.and_then(|why| why.reason()).expect("it is about a message")
    }

    fn send(to: NodeId, bytes: usize) -> Command {
        Command::Send { to, payload: Bytes::from(vec![7; bytes]) }
    }

    fn broadcast() -> Command {
        Command::Broadcast { payload: Bytes::from_static(b"x") }
    }

    /// Says something until nothing more is taken.
    fn filled(core: &mut NodeCore, command: impl Fn() -> Command) -> Reason {
        for _ in 0..1_000_000 {
            if let Err(refused) = core.command(NOW, command()) {
                return refused.reason().expect("it is about a message");
            }
        }
        panic!("everything is taken");
    }

    /// What a node does not take, and why.
    fn not_taken() -> Vec<Reason> {
        let (mut core, other) = alone();
        let (me, stranger) = (core.id(), NodeId::from_bytes([7; 32]));
        let timeout = Duration::from_secs(10);
        let ask = || Command::Ask { to: other, payload: Bytes::new(), timeout };
        let mut reasons = vec![
            refused(&mut core, send(other, MAX_PAYLOAD + 1)),
            refused(&mut core, send(me, 1)),
            refused_later(&mut core, send(stranger, 1)),
            filled(&mut core, || send(other, 1)),
            filled(&mut core, ask),
            filled(&mut core, || Command::OpenStream { to: other }),
            filled(&mut core, broadcast),
        ];
        core.handle(NOW, Input::StorageWaits { reason: Reason::DiskFull, why: "full".into() });
        reasons.push(filled(&mut core, broadcast));
        core.handle(NOW, Input::StorageFailed { reason: Reason::Corrupt, why: "gone".into() });
        reasons.push(refused(&mut core, broadcast()));
        core.command(NOW, Command::Stop).expect("it runs");
        reasons.push(refused(&mut core, broadcast()));
        reasons
    }

    /// What was taken and did not arrive: the machine of each room plays it.
    fn not_arrived() -> Vec<Reason> {
        let mut reasons: Vec<Reason> =
            direct::tests::undelivered().iter().map(Reason::from).collect();
        reasons.extend(request::tests::unanswered().iter().map(Reason::from));
        reasons.extend(substream::tests::ends().iter().map(Reason::from));
        reasons.extend(gossip::tests::pace::lacking().map(|peers| outrun(&peers)));
        reasons
    }

    #[test]
    fn what_is_not_taken_is_named_by_the_node() {
        use Reason::*;
        assert_eq!(
            not_taken(),
            [
                TooLarge,
                ToOurselves,
                UnknownPeer,
                QueueFull,
                TooManyRequests,
                TooManyStreams,
                TooManyPending,
                StorageWaits,
                NotDurable,
                Stopping,
            ]
        );
    }

    #[test]
    fn what_does_not_arrive_is_named_by_how_it_ended() {
        use Reason::*;
        assert_eq!(
            not_arrived(),
            [
                NoLink,
                NotAcknowledged,
                NotAnswered,
                PeerGone,
                NoHandler,
                Busy,
                RequestFailed,
                StreamReset,
                SessionEnded,
                Outrun,
                NobodyHadIt,
            ]
        );
    }

    #[test]
    fn every_reason_of_a_message_is_produced() {
        let produced: BTreeSet<Reason> = not_taken().into_iter().chain(not_arrived()).collect();
        let is_listed = |reason: &&Reason| reason.ends().contains(&End::Message);
        let listed: BTreeSet<Reason> = Reason::ALL.iter().filter(is_listed).copied().collect();
        assert_eq!(produced, listed, "a reason without a story, or none at all");
    }
}
