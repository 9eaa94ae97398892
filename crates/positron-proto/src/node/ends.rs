//! Why sessions and dials ended, as labels.

use crate::{
    handshake::HandshakeFailure,
    metric::label,
    session::sessions::{DialFailure, DialOutcome, DownReason, LinkDown},
    wire::frame::CloseReason,
};

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// This node.
    Us,
    /// The other one.
    Peer,
    /// Neither: what is between them.
    Network,
}

label! { EndedBy as "by" { Us => "us", Peer => "peer", Network => "network" } }

impl EndedBy {
    pub(super) const fn of(why: &DownReason) -> Self {
        match why {
            DownReason::Link(_)
            | DownReason::ByUs(CloseReason::Timeout)
            | DownReason::ByPeer(CloseReason::Timeout) => Self::Network,
            DownReason::ByUs(_) => Self::Us,
            DownReason::ByPeer(_) => Self::Peer,
        }
    }
}

/// Declares an enum of reasons with their words.
macro_rules! ends {
    ($(#[$meta:meta])* $name:ident as $key:literal { $($variant:ident => $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`.")] $variant,)+
        }

        label! { $name as $key { $($variant => $word,)+ } }
    };
}

ends! {
    /// Why a session ended.
    SessionEnd as "reason" {
        ShuttingDown => "shutting_down",
        Duplicate => "duplicate",
        WrongNetwork => "wrong_network",
        WrongVersion => "wrong_version",
        WrongFeatures => "wrong_features",
        SlotsFull => "slots_full",
        InboundFull => "inbound_full",
        AddressFull => "address_full",
        ConnectionsFull => "connections_full",
        Banned => "banned",
        WrongNode => "wrong_node",
        SelfDial => "self_dial",
        ProtocolViolation => "protocol_violation",
        SlowReader => "slow_reader",
        Timeout => "timeout",
        Pruned => "pruned",
        Probe => "probe",
        OtherProcess => "other_process",
        ClosedByApplication => "closed_by_application",
        KeyRetired => "key_retired",
        MemoryFull => "memory_full",
        RecordBroken => "record_broken",
        UnknownReason => "unknown_reason",
        ConnectionLost => "connection_lost",
    }
}

impl From<&CloseReason> for SessionEnd {
    fn from(why: &CloseReason) -> Self {
        match why {
            CloseReason::ShuttingDown => Self::ShuttingDown,
            CloseReason::Duplicate => Self::Duplicate,
            CloseReason::WrongNetwork => Self::WrongNetwork,
            CloseReason::WrongVersion => Self::WrongVersion,
            CloseReason::WrongFeatures => Self::WrongFeatures,
            CloseReason::SlotsFull => Self::SlotsFull,
            CloseReason::InboundFull => Self::InboundFull,
            CloseReason::AddressFull => Self::AddressFull,
            CloseReason::ConnectionsFull => Self::ConnectionsFull,
            CloseReason::Banned => Self::Banned,
            CloseReason::WrongNode => Self::WrongNode,
            CloseReason::SelfDial => Self::SelfDial,
            CloseReason::Violation(_) => Self::ProtocolViolation,
            CloseReason::SlowReader => Self::SlowReader,
            CloseReason::Timeout => Self::Timeout,
            CloseReason::Pruned => Self::Pruned,
            CloseReason::Probe => Self::Probe,
            CloseReason::OtherProcess(_) => Self::OtherProcess,
            CloseReason::Application { .. } => Self::ClosedByApplication,
            CloseReason::KeyRetired => Self::KeyRetired,
            CloseReason::MemoryFull => Self::MemoryFull,
            CloseReason::RecordBroken => Self::RecordBroken,
            CloseReason::Other(_) => Self::UnknownReason,
        }
    }
}

impl From<&DownReason> for SessionEnd {
    fn from(why: &DownReason) -> Self {
        match why {
            DownReason::ByUs(why) | DownReason::ByPeer(why) => why.into(),
            DownReason::Link(LinkDown::TimedOut | LinkDown::Unreachable(_)) => Self::Timeout,
            DownReason::Link(_) => Self::ConnectionLost,
        }
    }
}

ends! {
    /// What came of a dial.
    DialEnd as "outcome" {
        Connected => "connected",
        Probed => "probed",
        ConnectionRefused => "connection_refused",
        NoAnswer => "no_answer",
        ConnectionLost => "connection_lost",
        Unreachable => "unreachable",
        BannedAddress => "banned_address",
        DialFailed => "dial_failed",
        HandshakeTimeout => "handshake_timeout",
        HandshakeFailed => "handshake_failed",
        NotPositron => "not_positron",
        WrongNode => "wrong_node",
        SelfDial => "self_dial",
        WrongNetwork => "wrong_network",
        WrongVersion => "wrong_version",
        SlotsFull => "slots_full",
        Banned => "banned",
        Duplicate => "duplicate",
        Refused => "refused",
    }
}

impl From<&DialOutcome> for DialEnd {
    fn from(outcome: &DialOutcome) -> Self {
        match outcome {
            DialOutcome::Connected(..) => Self::Connected,
            DialOutcome::Probed(..) => Self::Probed,
            DialOutcome::Failed(why) => why.into(),
        }
    }
}

impl From<&DialFailure> for DialEnd {
    fn from(why: &DialFailure) -> Self {
        match why {
            DialFailure::Link(LinkDown::Refused) => Self::ConnectionRefused,
            DialFailure::Link(LinkDown::TimedOut) => Self::NoAnswer,
            DialFailure::Link(LinkDown::Unreachable(_)) => Self::Unreachable,
            DialFailure::Link(LinkDown::BannedAddress) => Self::BannedAddress,
            DialFailure::Link(LinkDown::Reset | LinkDown::Eof | LinkDown::HungUp) => {
                Self::ConnectionLost
            }
            DialFailure::Link(_) => Self::DialFailed,
            DialFailure::Timeout => Self::HandshakeTimeout,
            DialFailure::Handshake(HandshakeFailure::NotPositron(_)) => Self::NotPositron,
            DialFailure::Handshake(HandshakeFailure::Broken(_)) => Self::HandshakeFailed,
            DialFailure::Handshake(HandshakeFailure::WrongNode { .. }) => Self::WrongNode,
            DialFailure::Handshake(HandshakeFailure::Ourselves) => Self::SelfDial,
            DialFailure::Handshake(HandshakeFailure::Refused(why)) => match why {
                CloseReason::SlotsFull
                | CloseReason::InboundFull
                | CloseReason::AddressFull
                | CloseReason::ConnectionsFull => Self::SlotsFull,
                CloseReason::Banned => Self::Banned,
                CloseReason::Duplicate => Self::Duplicate,
                CloseReason::WrongNode => Self::WrongNode,
                CloseReason::SelfDial => Self::SelfDial,
                CloseReason::WrongNetwork => Self::WrongNetwork,
                CloseReason::WrongVersion | CloseReason::WrongFeatures => Self::WrongVersion,
                _ => Self::Refused,
            },
        }
    }
}
