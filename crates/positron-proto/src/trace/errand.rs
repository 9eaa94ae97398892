//! One trace that is under way: who is asked, and what was said so far.

use std::collections::{BTreeMap, BTreeSet};

use super::{TraceConfig, journeys::micros, sum::TraceSum};
use crate::{
    id::{MessageId, NodeId},
    limits::{TRACE_PATIENCE, TRACE_PATIENCE_PER_HOP},
    time::{Duration, Instant},
};

/// See the module.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) message: MessageId,
    /// Who waits for us; nobody, if the trace is ours.
    pub(super) parent: Option<NodeId>,
    /// When its question came.
    pub(super) arrived: Instant,
    /// When the message came.
    pub(super) heard: Instant,
    /// What we say of ourselves.
    pub(super) says: TraceConfig,
    /// Who has not answered.
    pub(super) open: BTreeMap<NodeId, Asked>,
    /// Who has.
    pub(super) answered: BTreeSet<NodeId>,
    pub(super) sum: TraceSum,
    /// How many nodes there are, as far as is known here.
    pub(super) expected: usize,
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// When it was asked.
    pub(super) at: Instant,
    /// How long the message lay here before it went there.
    pub(super) held: Duration,
}

impl Errand {
    /// Nobody is asked yet.
    pub(super) fn new(
        message: MessageId,
        (parent, arrived): (Option<NodeId>, Instant),
        (heard, says): (Instant, TraceConfig),
        expected: usize,
    ) -> Self {
        let (open, answered) = (BTreeMap::new(), BTreeSet::new());
        let sum = TraceSum::of_itself(says);
        Self { message, parent, arrived, heard, says, open, answered, sum, expected }
    }

    /// Whether it is a trace of ours, of this message.
    pub(super) fn is_own(&self, message: &MessageId) -> bool {
        self.parent.is_none() && self.message == *message
    }

    /// How long to wait for those below, who may pass the question on so many times.
    pub(super) fn patience(hops: u8) -> Duration {
        TRACE_PATIENCE + TRACE_PATIENCE_PER_HOP * u32::from(hops)
    }

    /// Microseconds between the moment at which we had the message and that at which who answers
    /// now had it.
    ///
    /// The question arrived half a round trip after it was asked. From there both count back, each
    /// on its own clock, so no clocks have to agree. If the question was lost and sent again this
    /// is too little, less than the way takes: then it is what the message lay here, and the way.
    pub(super) fn hop(
        &self,
        now: Instant,
        asked: &Asked,
        rtt: Option<Duration>,
        (age, held): (u32, u32),
    ) -> u32 {
        let (age, held) =
            (Duration::from_micros(u64::from(age)), Duration::from_micros(u64::from(held)));
        let exchange = now.since(asked.at).saturating_sub(held);
        let way = rtt.unwrap_or(exchange).min(exchange) / 2;
        let counted_back = (asked.at.since(self.heard) + way).saturating_sub(age);
        micros(counted_back.max(asked.held + way).min(now.since(self.heard)))
    }
}
