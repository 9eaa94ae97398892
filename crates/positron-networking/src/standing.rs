//! Why a peer's score is what it is, and how near it is to each of its bounds.

use positron_proto::{
    id::NodeId,
    node::NodeCore,
    shown::ratio,
    time::{Now, WallTime},
    trust::{TrustAccount, TrustEvent, TrustTotal, TrustWord},
};
pub use positron_proto::{
    metric::Level,
    node::PeerBounds,
    session::sessions::{LaneLevels, SessionBounds},
};
use serde::Serialize;

/// What there is to say of one peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerDetail {
    /// Who.
    pub node_id: NodeId,
    /// What this node makes of it, and why. Of somebody of whom nothing was seen: a stranger's.
    pub standing: PeerStanding,
    /// How near it is to each of its bounds, if it is connected.
    pub bounds: Option<PeerBounds>,
}

/// What this node makes of a peer, and why: `opening_score`, the changes of all `totals` and
/// `drift` make the score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerStanding {
    /// From 0.0 to `max_score`.
    pub trust_score: f64,
    /// What a stranger has.
    pub initial_score: f64,
    /// Below it a peer is banned.
    pub ban_below: f64,
    /// The highest score.
    pub max_score: f64,
    /// Until when it is banned, if it is (RFC 3339).
    pub banned_until: Option<String>,
    /// For what, if that is known.
    pub banned_for: Option<String>,
    /// Since when what follows is counted: the start of this node, for whom it knew before
    /// (RFC 3339).
    pub since: String,
    /// The score at that time.
    pub opening_score: f64,
    /// What each kind of observation made of it since then.
    pub totals: Vec<StandingTotal>,
    /// What everything else made of it: the drift back to a stranger's score, the end of a ban, the
    /// standing of a key that it took the place of.
    pub drift: f64,
    /// The last 16 wrongs, the newest first; those of one kind within a second are one. They are
    /// remembered across restarts.
    pub recent: Vec<StandingEvent>,
    /// The score, and what the words of others add to it while it is about a stranger's: by it the
    /// peer is preferred to others or not.
    pub regard: f64,
    /// Who recommends it, the weightiest first. The first alone counts.
    pub recommended_by: Vec<StandingWord>,
}

/// What somebody said for a peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandingWord {
    /// Who.
    pub node_id: NodeId,
    /// How much it trusts it, from 0.0 to 1.0.
    pub strength: f64,
    /// What its word weighs by what it did itself, from 0.0 to 1.0.
    pub weight: f64,
}

/// What one kind of observation made of a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandingTotal {
    /// Which: `valid_message`, `answered`, `timed_out`, `reported`, or what was done wrong.
    pub observation: &'static str,
    /// How often it was made.
    pub times: u64,
    /// By how much the score changed, in all.
    pub change: f64,
    /// When it was made last (RFC 3339).
    pub last_at: String,
}

/// One wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandingEvent {
    /// When (RFC 3339).
    pub at: String,
    /// Which.
    pub observation: &'static str,
    /// By how much the score changed.
    pub change: f64,
    /// To what.
    pub score: f64,
}

/// What the core has to say of one peer.
pub(crate) fn peer_detail(core: &NodeCore, now: Now, node_id: NodeId) -> PeerDetail {
    let standing = core.trust().account(now, &node_id).into();
    PeerDetail { node_id, standing, bounds: core.bounds_of(now, &node_id) }
}

impl From<TrustAccount> for PeerStanding {
    fn from(account: TrustAccount) -> Self {
        Self {
            trust_score: ratio(account.standing.score),
            initial_score: ratio(account.initial),
            ban_below: ratio(account.threshold),
            max_score: ratio(account.max),
            banned_until: account.standing.banned_until.map(WallTime::rfc3339),
            banned_for: account.refused_for.map(|why| why.to_string()),
            since: account.since.rfc3339(),
            opening_score: ratio(account.opening),
            totals: account.totals.iter().map(StandingTotal::from).collect(),
            drift: ratio(account.drift),
            recent: account.recent.iter().rev().map(StandingEvent::from).collect(),
            regard: ratio(account.regard),
            recommended_by: account.words.iter().map(StandingWord::from).collect(),
        }
    }
}

impl From<&TrustTotal> for StandingTotal {
    fn from(total: &TrustTotal) -> Self {
        Self {
            observation: total.observation.name(),
            times: total.times,
            change: ratio(total.change),
            last_at: total.last.rfc3339(),
        }
    }
}

impl From<&TrustWord> for StandingWord {
    fn from(word: &TrustWord) -> Self {
        let (strength, weight) = (ratio(word.strength), ratio(word.weight));
        Self { node_id: word.from, strength, weight }
    }
}

impl From<&TrustEvent> for StandingEvent {
    fn from(event: &TrustEvent) -> Self {
        Self {
            at: event.at.rfc3339(),
            observation: event.observation.name(),
            change: ratio(event.change),
            score: ratio(event.score),
        }
    }
}
