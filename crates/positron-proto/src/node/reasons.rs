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
            Self::UnknownPeer(_) => Reason::UnknownPeer,
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
            | Self::TooManyAddresses
            | Self::UnknownAddress(_)
            | Self::SubscriptionName(_)
            | Self::TooManySubscriptions
            | Self::NoSubscription(_)
            | Self::Trace(_) => return None,
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
            Self::Durable(_)
            | Self::Delivered(_)
            | Self::Answered(_)
            | Self::StreamOpened(_)
            | Self::Joining
            | Self::Noted
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
    use std::{collections::BTreeSet, sync::Arc};

    use bytes::Bytes;

    use super::*;
    use crate::{
        identity::Identity,
        limits::{MAX_PAYLOAD, MAX_PENDING_BROADCASTS},
        node::{Command, Input, NodeConfig, NodeCore, Snapshot},
        reason::End,
        rng::Seed,
        time::{Instant, Now, WallTime},
    };

    const NOW: Now = Now {
        mono: Instant::from_micros(1),
        wall: WallTime::from_unix_micros(1_800_000_000_000_000),
    };

    fn alone() -> NodeCore {
        let (me, seed) = (Arc::new(Identity::from_seed([1; 32])), Seed::from_number(1));
        NodeCore::new(NodeConfig::default(), me, Snapshot::default(), &seed, NOW)
    }

    fn refused(core: &mut NodeCore, command: Command) -> Reason {
        let refused = core.command(NOW, command).expect_err("it is refused");
        refused.reason().expect("it is about a message")
    }

    fn send(to: NodeId, bytes: usize) -> Command {
        Command::Send { to, payload: Bytes::from(vec![7; bytes]) }
    }

    fn broadcast() -> Command {
        Command::Broadcast { payload: Bytes::from_static(b"x") }
    }

    /// Says something until nothing more is taken.
    fn filled(core: &mut NodeCore) -> Reason {
        for _ in 0..=MAX_PENDING_BROADCASTS {
            if let Err(refused) = core.command(NOW, broadcast()) {
                return refused.reason().expect("it is about a message");
            }
        }
        panic!("everything is taken");
    }

    /// What a node does not take.
    fn not_taken(produced: &mut BTreeSet<Reason>) {
        let mut core = alone();
        let (me, other) = (core.id(), NodeId::from_bytes([7; 32]));
        produced.insert(refused(&mut core, send(other, MAX_PAYLOAD + 1)));
        produced.insert(refused(&mut core, send(me, 1)));
        produced.insert(refused(&mut core, send(other, 1)));
        produced.insert(filled(&mut core));
        core.handle(NOW, Input::StorageWaits { reason: Reason::DiskFull, why: "full".into() });
        produced.insert(filled(&mut core));
        core.handle(NOW, Input::StorageFailed { reason: Reason::Corrupt, why: "gone".into() });
        produced.insert(refused(&mut core, broadcast()));
        core.command(NOW, Command::Stop).expect("it runs");
        produced.insert(refused(&mut core, broadcast()));
    }

    const GREEDY: &str =
        "who_reads_nothing_is_granted_no_more_than_his_share_however_many_streams_there_are";
    const UNHEARD: &str =
        "what_reached_nobody_because_the_peers_left_is_counted_and_told_when_it_is_pushed_out";

    /// Reasons, with the tests of their rooms that produce them: the file, the name, and the word
    /// of the room that it makes sure of.
    fn scenarios() -> [(Reason, &'static str, &'static str, &'static str); 17] {
        let direct = include_str!("../direct/tests.rs");
        let request = include_str!("../request/tests.rs");
        let substream = include_str!("../substream/tests.rs");
        let pace = include_str!("../gossip/tests/pace.rs");
        let in_time = "out_of_time_a_message_ends_with_the_reason";
        let told = "a_request_ends_with_the_reason_that_the_other_end_gives";
        let unwanted =
            "out_of_time_and_unwanted_the_other_end_is_told_and_an_answer_comes_too_late";
        let gone = "the_end_of_a_session_ends_its_streams_at_both_nodes_even_if_one_saw_no_end";
        let peer = NodeId::from_bytes([7; 32]);
        [
            ((&Undelivered::NoLink).into(), direct, in_time, "Undelivered::NoLink"),
            (
                (&Undelivered::NotAcknowledged).into(),
                direct,
                in_time,
                "Undelivered::NotAcknowledged",
            ),
            (
                (&Undelivered::QueueFull).into(),
                direct,
                "what_waits_is_bounded_in_messages_and_bytes",
                "QueueFull",
            ),
            (
                (&Unanswered::NoLink).into(),
                request,
                "a_request_waits_for_a_link_until_it_is_out_of_time",
                "Unanswered::NoLink",
            ),
            ((&Unanswered::TimedOut).into(), request, unwanted, "Unanswered::TimedOut"),
            (
                (&Unanswered::PeerGone).into(),
                request,
                "a_session_that_is_down_ends_what_it_took_and_what_waits_goes_on",
                "Unanswered::PeerGone",
            ),
            ((&Unanswered::NoHandler).into(), request, told, "Unanswered::NoHandler"),
            ((&Unanswered::Busy).into(), request, told, "Unanswered::Busy"),
            ((&Unanswered::Failed("\u{1b}[2J".into())).into(), request, told, "Unanswered::Failed"),
            (
                (&Unanswered::Stopped).into(),
                request,
                "a_node_that_stops_owes_nobody_anything",
                "Unanswered::Stopped",
            ),
            (
                Refused::TooManyRequests.reason().expect("a message"),
                request,
                "what_is_asked_is_bounded_in_number_and_bytes",
                "TooManyRequests",
            ),
            ((&NotOpened::TooMany).into(), substream, GREEDY, "NotOpened::TooMany"),
            (
                (&SubstreamEnd::Application(9)).into(),
                substream,
                "who_gives_up_ends_its_half_and_the_other_end_is_told_its_code",
                "SubstreamEnd::Application",
            ),
            ((&SubstreamEnd::SessionEnded).into(), substream, gone, "SubstreamEnd::SessionEnded"),
            ((&SubstreamEnd::Gone).into(), substream, gone, "SubstreamEnd::Gone"),
            (
                outrun(&[peer]),
                pace,
                "a_peer_that_takes_nothing_is_waited_for_once_and_what_it_lacks_is_told",
                "*peers == [peer]",
            ),
            (outrun(&[]), pace, UNHEARD, "peers.is_empty()"),
        ]
    }

    /// What comes of what was taken: each is produced by the scenario that is named, which makes
    /// sure of the word of its room; here is made sure of what becomes of that word.
    fn in_the_rooms(produced: &mut BTreeSet<Reason>) {
        for (reason, file, scenario, word) in scenarios() {
            let body = file.split("#[test]").find(|test| test.contains(&format!("fn {scenario}(")));
            let body = body.unwrap_or_else(|| panic!("{reason}: there is no {scenario}"));
            assert!(body.contains(word), "{reason}: {scenario} does not make sure of {word}");
            produced.insert(reason);
        }
    }

    #[test]
    fn every_reason_of_a_message_is_named() {
        let mut produced = BTreeSet::new();
        for scenario in [not_taken, in_the_rooms] {
            scenario(&mut produced);
        }
        let is_listed = |reason: &&Reason| reason.ends().contains(&End::Message);
        let listed: BTreeSet<Reason> = Reason::ALL.iter().filter(is_listed).copied().collect();
        assert_eq!(produced, listed, "a reason without a scenario, or none at all");
    }
}
