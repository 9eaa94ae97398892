//! What is told of a message: for people, programs and pages.

use serde::Serialize;

use super::{
    errand::Errand,
    journeys::{Fate, HopKind, Journey},
    sum::{Loss, NodePrefix, SampledNode},
};
use crate::{
    id::{MessageId, NodeId},
    journey::{CameFrom, DropReason, Dropped, Forwarding},
    shown::{millis, seconds},
    time::Now,
};

/// What this node knows of the way of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageTrace {
    /// Which.
    pub message: MessageId,
    /// To whom it was said.
    pub kind: &'static str,
    /// Who signed it.
    pub sender: NodeId,
    /// Its number.
    pub sequence: u64,
    /// Its way through this node; `None`, if it was not taken.
    pub local: Option<LocalTrace>,
    /// That it was dropped, the last time that it was.
    pub dropped: Option<DroppedTrace>,
    /// Its way through the network, as others report it, if it was asked for.
    pub network: Option<NetworkTrace>,
}

/// The way of a message through one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalTrace {
    /// Whether this node wrote it.
    pub own: bool,
    /// From whom it came first.
    pub from: Option<NodeId>,
    /// How: `own`, `push` or `asked`.
    pub how: &'static str,
    /// When (RFC 3339).
    pub at: String,
    /// How long ago, in seconds.
    pub age_s: f64,
    /// How long after it came its signature was checked.
    pub verified_ms: Option<f64>,
    /// How long after it came the application had it.
    pub delivered_ms: Option<f64>,
    /// Times that it came again.
    pub duplicates: u32,
    /// From whom.
    pub duplicates_from: Vec<NodeId>,
    /// Where it went.
    pub forwarded: Vec<ForwardedTrace>,
}

/// One step to a peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForwardedTrace {
    /// To whom.
    pub peer: NodeId,
    /// How.
    pub how: Forwarding,
    /// How long after it came.
    pub after_ms: f64,
    /// Whether the peer had it already, as it says.
    pub had_it: bool,
    /// Whether the session did not take it.
    pub not_sent: bool,
    /// Whether it arrived, of a direct message; of a broadcast nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrived: Option<bool>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DroppedTrace {
    /// Why.
    pub reason: DropReason,
    /// The same in words.
    pub sentence: &'static str,
    /// Who brought it.
    pub from: NodeId,
    /// When (RFC 3339).
    pub at: String,
    /// How many times it was dropped.
    pub times: usize,
}

/// The way of a message through the network, as others report it: claims, which nobody can check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkTrace {
    /// Whether answers are waited for: `asking` or `done`.
    pub state: &'static str,
    /// All of it in words.
    pub sentence: String,
    /// Nodes that have it, this one included.
    pub reached: u32,
    /// Nodes that this one knows of.
    pub expected: usize,
    /// Nodes that say nothing of themselves.
    pub declined: u32,
    /// Nodes that did not answer in time.
    pub silent: u32,
    /// Nodes of which nothing is known for another reason.
    pub lost: LostTrace,
    /// Some answer claimed more nodes than there can be, and was cut.
    pub implausible: bool,
    /// How many nodes are how many hops away.
    pub by_depth: Vec<u32>,
    /// How long it lay at a node before it went on.
    pub hold_ms: HoldTimes,
    /// How long it took to a node.
    pub delay_ms: DelayTimes,
    /// The hop that took longest.
    pub slowest: Option<SlowestTrace>,
    /// Some nodes, drawn at random; all of them, if they are few.
    pub sample: Vec<SampleTrace>,
}

/// Nodes of which nothing is known, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LostTrace {
    /// Not connected any more to whom they have it from.
    pub gone: u32,
    /// They forgot it.
    pub forgotten: u32,
    /// They had too many traces to answer.
    pub busy: u32,
    /// Farther than a trace goes.
    pub too_deep: u32,
}

/// How long a message lay at nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoldTimes {
    /// Half of them at most so long.
    pub p50: f64,
    /// 99 of 100 at most so long.
    pub p99: f64,
    /// How many below 1 ms, 2 ms, 4 ms and so on.
    pub buckets: Vec<u32>,
}

/// How long a message took to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DelayTimes {
    /// To half of the sample at most so long.
    pub p50: f64,
    /// To 99 of 100 of the sample at most so long.
    pub p99: f64,
    /// To the last of all that were reached.
    pub max: f64,
}

/// The hop that took longest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowestTrace {
    /// From whom: the beginning of the id, if that node allows it.
    pub a: Option<String>,
    /// To whom.
    pub b: Option<String>,
    /// How many hops away `b` is.
    pub depth: u8,
    /// How long it took.
    pub ms: f64,
}

/// One node of the sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleTrace {
    /// The beginning of its id, if it allows it.
    pub id: Option<String>,
    /// From whom it has the message: a place in the sample, if that is known.
    pub parent: Option<usize>,
    /// Whether it is the sender, from whom all others have it.
    pub origin: bool,
    /// How many hops away it is.
    pub depth: u8,
    /// How long the last hop took; `None` of the sender, to whom there is none.
    pub hop_ms: Option<f64>,
    /// How long all of them took.
    pub after_ms: f64,
}

impl MessageTrace {
    pub(super) fn new<'a>(
        now: Now,
        message: MessageId,
        journey: Option<&Journey>,
        drops: impl Iterator<Item = &'a (Now, Dropped)>,
        network: Option<NetworkTrace>,
    ) -> Option<Self> {
        let drops: Vec<_> = drops.collect();
        let last = drops.last();
        let dropped = last.map(|(at, dropped)| DroppedTrace {
            reason: dropped.why,
            sentence: dropped.why.sentence(),
            from: dropped.from,
            at: at.wall.rfc3339(),
            times: drops.len(),
        });
        let of_drop = last.map(|(_, dropped)| (dropped.sender, dropped.sequence));
        let (sender, sequence) =
            journey.map(|journey| (journey.sender, journey.sequence)).or(of_drop)?;
        let kind = if journey.is_some_and(Journey::is_direct) { "direct" } else { "broadcast" };
        let local = journey.map(|journey| LocalTrace::new(now, journey));
        Some(Self { message, kind, sender, sequence, local, dropped, network })
    }
}

impl LocalTrace {
    fn new(now: Now, journey: &Journey) -> Self {
        let heard = journey.heard();
        let (own, from, how) = match journey.arrival {
            CameFrom::Own => (true, None, "own"),
            CameFrom::Heard { from, asked: true, .. } => (false, Some(from), "asked"),
            CameFrom::Heard { from, .. } => (false, Some(from), "push"),
        };
        let checked = millis(journey.taken.mono.since(heard));
        let mut duplicates_from = Vec::new();
        let mut forwarded = Vec::new();
        for hop in &journey.hops {
            match hop.what {
                HopKind::Repeated => duplicates_from.push(hop.peer),
                HopKind::Sent { how, fate } => forwarded.push(ForwardedTrace {
                    peer: hop.peer,
                    how,
                    after_ms: micros_in_millis(hop.after),
                    had_it: fate == Fate::Had,
                    not_sent: fate == Fate::NotSent,
                    arrived: (how == Forwarding::Send).then_some(fate == Fate::Arrived),
                }),
            }
        }
        Self {
            own,
            from,
            how,
            at: (journey.taken.wall - journey.taken.mono.since(heard)).rfc3339(),
            age_s: seconds(now.mono.since(heard)),
            verified_ms: (!own).then_some(checked),
            delivered_ms: (!own).then_some(checked),
            duplicates: journey.repeated,
            duplicates_from,
            forwarded,
        }
    }
}

impl NetworkTrace {
    pub(super) fn new(errand: &Errand, me: NodeId) -> Self {
        let sum = &errand.sum;
        let lost = |why: Loss| sum.lost[why as usize];
        let mut nodes = sum.sample.clone();
        for node in nodes.iter_mut().filter(|node| node.depth == 0) {
            node.node = NodePrefix::of(Some(&me));
        }
        nodes.sort_by_key(|node| (node.total, node.depth));
        let mut totals: Vec<u32> = nodes.iter().map(|node| node.total).collect();
        totals.sort_unstable();
        let at = |part: usize| {
            let place = (totals.len() * part).div_ceil(100).saturating_sub(1);
            totals.get(place).map_or(0.0, |hundreds| f64::from(*hundreds) / 10.0)
        };
        let depth = sum.depths.iter().rposition(|count| *count > 0).unwrap_or_default();
        let is_done = errand.open.is_empty();
        let delay_ms = DelayTimes { p50: at(50), p99: at(99), max: micros_in_millis(sum.longest) };
        let mut trace = Self {
            state: if is_done { "done" } else { "asking" },
            sentence: String::new(),
            reached: sum.reached,
            expected: errand.expected,
            declined: sum.declined,
            silent: lost(Loss::Silent),
            lost: LostTrace {
                gone: lost(Loss::Gone),
                forgotten: lost(Loss::Forgotten),
                busy: lost(Loss::Busy),
                too_deep: lost(Loss::TooDeep),
            },
            implausible: sum.implausible,
            by_depth: sum.depths[..=depth].to_vec(),
            hold_ms: HoldTimes::new(&sum.holds),
            delay_ms,
            slowest: sum.slowest.map(|slowest| SlowestTrace {
                a: name(&slowest.from),
                b: name(&slowest.to),
                depth: slowest.depth,
                ms: micros_in_millis(slowest.micros),
            }),
            sample: nodes.iter().map(|node| SampleTrace::new(node, &nodes)).collect(),
        };
        trace.sentence = trace.in_words(depth, errand.open.len());
        trace
    }

    fn in_words(&self, depth: usize, open: usize) -> String {
        let Self { reached, expected, declined, silent, lost, delay_ms, .. } = self;
        let waiting = match open {
            0 => String::new(),
            open => format!("waiting for {open} peers; so far: "),
        };
        let implausible = match self.implausible {
            true => "; some answer claimed more nodes than there can be, and was cut",
            false => "",
        };
        let other = lost.gone + lost.forgotten + lost.busy + lost.too_deep;
        format!(
            "{waiting}{reached} node{many} report{one} it, of about {expected} that this node \
             knows of, {declined} decline to tell, {silent} did not answer, {other} could not; \
             it was {depth} hop{far} away within {max:.0} ms{implausible}",
            many = if *reached == 1 { "" } else { "s" },
            one = if *reached == 1 { "s" } else { "" },
            far = if depth == 1 { "" } else { "s" },
            max = delay_ms.max,
        )
    }
}

impl HoldTimes {
    fn new(buckets: &[u32]) -> Self {
        let all: u64 = buckets.iter().map(|count| u64::from(*count)).sum();
        let below = |part: u64| {
            let mut left = (all * part).div_ceil(100);
            let place = buckets.iter().position(|count| {
                left = left.saturating_sub(u64::from(*count));
                left == 0
            });
            let doublings = i32::try_from(place.unwrap_or_default()).unwrap_or_default();
            if all == 0 { 0.0 } else { 2_f64.powi(doublings) }
        };
        Self { p50: below(50), p99: below(99), buckets: buckets.to_vec() }
    }
}

impl SampleTrace {
    fn new(of: &SampledNode, all: &[SampledNode]) -> Self {
        let is_parent = |other: &SampledNode| {
            of.parent.is_named()
                && other.node.0[..3] == of.parent.0
                && Some(other.depth) == of.depth.checked_sub(1)
        };
        Self {
            id: name(&of.node),
            parent: all.iter().position(is_parent),
            origin: of.depth == 0,
            depth: of.depth,
            hop_ms: (of.depth > 0).then(|| f64::from(of.hop) / 10.0),
            after_ms: f64::from(of.total) / 10.0,
        }
    }
}

fn name(prefix: &NodePrefix<6>) -> Option<String> {
    prefix.is_named().then(|| prefix.0.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn micros_in_millis(micros: u32) -> f64 {
    f64::from(micros) / 1000.0
}
