//! The closed list of what a peer can do wrong, and of what it can do well; why one is refused.

use core::fmt;
use std::sync::Arc;

/// What a peer did wrong. Only what an authenticated peer sent can be held against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehavior {
    /// Bytes inside the sealed link that are no frame or message of this protocol.
    Malformed,
    /// A frame or message that its state does not allow, such as a number that skips others.
    ProtocolViolation,
    /// Passed on a message or record whose signature is not its sender's.
    ForgedSignature,
    /// Signed two contents under one sequence number.
    Equivocation,
    /// More than a limit allows.
    Flooding,
    /// Announced a message and then did not send it.
    WithheldMessage,
    /// Signed a record with an address at which somebody else answers. Nobody is blamed for it,
    /// because others tell a node where it is: the name is here for audit rows that have it.
    FalseAddress,
}

impl Misbehavior {
    /// Every kind, in order.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::ProtocolViolation,
        Self::ForgedSignature,
        Self::Equivocation,
        Self::Flooding,
        Self::WithheldMessage,
        Self::FalseAddress,
    ];

    /// The name, as logs and audit events show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ProtocolViolation => "protocol_violation",
            Self::ForgedSignature => "forged_signature",
            Self::Equivocation => "equivocation",
            Self::Flooding => "flooding",
            Self::WithheldMessage => "withheld_message",
            Self::FalseAddress => "false_address",
        }
    }
}

/// One thing that was seen of a peer; what trust is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Observation {
    /// It was the first to bring a message that proved valid.
    ValidMessage,
    /// It answered what it was asked.
    Answered,
    /// It let a question or a probe time out.
    TimedOut,
    /// It did wrong.
    Misbehaved(Misbehavior),
    /// The application says that it did wrong, by rules of its own.
    Reported,
}

impl Observation {
    /// The name, as logs and audit events show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ValidMessage => "valid_message",
            Self::Answered => "answered",
            Self::TimedOut => "timed_out",
            Self::Misbehaved(what) => what.name(),
            Self::Reported => "reported",
        }
    }

    /// The observation of this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        let others = [Self::ValidMessage, Self::Answered, Self::TimedOut, Self::Reported];
        let wrong = Misbehavior::ALL.into_iter().map(Self::Misbehaved);
        others.into_iter().chain(wrong).find(|observation| observation.name().as_bytes() == name)
    }
}

/// Why a peer is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanReason {
    /// Its score fell below the threshold, at last by this.
    Observed(Observation),
    /// Its score fell below the threshold, at last by a report of the application in these words.
    Reported(Arc<str>),
    /// The application wants it so, in these words.
    Ordered(Arc<str>),
    /// The key that it succeeds was refused.
    Inherited,
}

impl fmt::Display for BanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observed(what) => f.write_str(what.name()),
            Self::Reported(why) => write!(f, "reported by the application: {why}"),
            Self::Ordered(why) => write!(f, "by the application: {why}"),
            Self::Inherited => f.write_str("the key that it succeeds is banned"),
        }
    }
}
