//! Who was connected, what came of dials, and why: in the words that everybody uses.

use std::net::SocketAddr;

use positron_proto::{
    handshake::{Direction, Expect},
    id::NodeId,
    node::{self, DialState, DialTarget, NodeCore},
    reason::{By, Reason},
    session::sessions::{DialFailure, DownReason, LinkKind, Purpose},
    shown::{millis, seconds},
    time::Now,
    wire::frame::CloseReason,
};
use serde::{Serialize, Serializer};

/// A reason as it is told: the word, what it means, what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The word.
    pub reason: Reason,
    /// What it means.
    pub sentence: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl From<Reason> for Explained {
    fn from(reason: Reason) -> Self {
        Self { reason, sentence: reason.sentence(), remedy: reason.remedy() }
    }
}

/// A peer that was connected and left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LostPeer {
    /// Who.
    pub node_id: NodeId,
    /// Where it was last; `None` behind a relay.
    pub address: Option<SocketAddr>,
    /// Who forwarded last, if it was behind a relay.
    pub relay: Option<NodeId>,
    /// What its last link was made of.
    pub transport: LinkKind,
    /// Who dialled.
    pub direction: Direction,
    /// When it left, by the clock of this node (RFC 3339).
    pub lost_at: String,
    /// Seconds since then.
    pub age_s: f64,
    /// Seconds for which it was connected.
    pub connected_s: f64,
    /// Who ended it.
    pub by: By,
    /// Why.
    #[serde(flatten)]
    pub why: Explained,
}

/// A dial, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecentDial {
    /// Who answered; of one that failed or is under way, who was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<NodeId>,
    /// `ip:port`; `host:port` of a name that has no address.
    pub address: String,
    /// What the link is made of, if there is one. One that failed tried every kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<LinkKind>,
    /// What for.
    pub purpose: DialPurpose,
    /// When it began, by the clock of this node (RFC 3339).
    pub at: String,
    /// Seconds since then.
    pub age_s: f64,
    /// Milliseconds from then until it was over, or until now.
    pub took_ms: f64,
    /// What came of it.
    pub outcome: DialResult,
    /// Why it failed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub why: Option<Explained>,
}

/// What a dial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DialPurpose {
    /// A link to keep.
    Connect,
    /// To see who answers at the address.
    Probe,
}

/// What came of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DialResult {
    /// Somebody answered, and is connected or was only to be seen.
    Connected,
    /// There is no link.
    Failed,
    /// Nothing yet.
    UnderWay,
}

/// Everybody of whom the core still knows that and why they left, the newest first.
pub(crate) fn lost_peers(core: &NodeCore, now: Now) -> Vec<LostPeer> {
    let told = |lost: &node::LostPeer| LostPeer {
        node_id: lost.peer,
        address: lost.place.address,
        relay: lost.place.relay,
        transport: lost.transport,
        direction: lost.direction,
        lost_at: lost.at.wall.rfc3339(),
        age_s: seconds(now.mono.since(lost.at.mono)),
        connected_s: seconds(lost.lasted),
        by: lost.by,
        why: lost.reason.into(),
    };
    core.lost_peers().map(told).collect()
}

/// The last dials, the newest first.
pub(crate) fn recent_dials(core: &NodeCore, now: Now) -> Vec<RecentDial> {
    core.recent_dials().map(|dial| RecentDial::new(dial, now)).collect()
}

impl RecentDial {
    fn new(dial: &node::RecentDial, now: Now) -> Self {
        let (address, expected, purpose) = match &dial.to {
            DialTarget::Name(name) => (name.clone(), None, DialPurpose::Connect),
            DialTarget::Address(to) => {
                let expected = match to.expect {
                    Expect::Node(node) => Some(node),
                    Expect::Anyone => None,
                };
                let purpose = match to.purpose {
                    Purpose::Connect => DialPurpose::Connect,
                    Purpose::Probe => DialPurpose::Probe,
                };
                (to.to.to_string(), expected, purpose)
            }
        };
        let age = now.mono.since(dial.began.mono);
        let (outcome, node_id, transport, took, why) = match dial.state {
            DialState::UnderWay => (DialResult::UnderWay, expected, None, age, None),
            DialState::Answered(node, kind, took) => {
                (DialResult::Connected, Some(node), Some(kind), took, None)
            }
            DialState::Failed(reason, took) => {
                (DialResult::Failed, expected, None, took, Some(reason.into()))
            }
        };
        Self {
            node_id,
            address,
            transport,
            purpose,
            at: dial.began.wall.rfc3339(),
            age_s: seconds(age),
            took_ms: millis(took),
            outcome,
            why,
        }
    }
}

/// How the end of a session is told beside who left.
pub(crate) fn of_session<S: Serializer>(why: &DownReason, to: S) -> Result<S::Ok, S::Error> {
    Told::new(Some(why.into()), why.into(), why.detail()).serialize(to)
}

/// How it is told beside whom this node refused.
pub(crate) fn of_refusal<S: Serializer>(why: &CloseReason, to: S) -> Result<S::Ok, S::Error> {
    Told::new(Some(By::Us), why.into(), why.detail()).serialize(to)
}

/// How a dial that failed is told beside its address.
pub(crate) fn of_dial<S: Serializer>(why: &DialFailure, to: S) -> Result<S::Ok, S::Error> {
    Told::new(None, why.into(), why.detail()).serialize(to)
}

/// How a reason is told beside what it is of.
pub(crate) fn explained<S: Serializer>(reason: &Reason, to: S) -> Result<S::Ok, S::Error> {
    Explained::from(*reason).serialize(to)
}

/// A reason with everything that belongs to it in an event.
#[derive(Serialize)]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<By>,
    #[serde(flatten)]
    why: Explained,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Told {
    fn new(by: Option<By>, reason: Reason, detail: Option<String>) -> Self {
        Self { by, why: reason.into(), detail }
    }
}

/// The same for people, in one line: the word, the sentence, the remedy, and what else is known.
pub(crate) fn in_a_line(reason: Reason, detail: Option<String>) -> String {
    let line = format!("{reason}: {} {}", reason.sentence(), reason.remedy());
    match detail {
        Some(detail) => format!("{line} ({detail})"),
        None => line,
    }
}
