//! At the end every live node holds every broadcast, and handed it over.

use positron_proto::{
    node::{NodeCore, SequenceKind},
    wire::holdings::Holdings,
};

use super::{delivery::Delivery, retention::Retention};
use crate::published::Published;

/// What the live nodes hold at the end.
#[derive(Debug, Default)]
pub(crate) struct Convergence {
    /// Times that a broadcast should have been handed over.
    pub(crate) expected: u64,
    /// Broadcasts that died with their sender.
    pub(crate) lost: usize,
    /// Times that nobody could hand one over any more when its receiver was back.
    pub(crate) excused: u64,
    /// What is wrong, with the node.
    pub(crate) wrong: Vec<(usize, String)>,
}

/// One live node.
pub(crate) struct Live<'a> {
    pub(crate) host: usize,
    pub(crate) life: u32,
    pub(crate) core: &'a NodeCore,
}

impl Convergence {
    /// Of what was said from the thing with the index `since` on.
    pub(crate) fn of(
        live: &[Live<'_>],
        (said, since): (&[Published], usize),
        delivery: &Delivery,
        retention: &Retention<'_>,
    ) -> Self {
        let mut this = Self::default();
        for (index, one) in said.iter().enumerate().skip(since) {
            if one.kind == SequenceKind::Broadcast {
                this.expect(index, one, live, delivery, retention);
            }
        }
        this
    }

    /// Everyone holds what the first one holds.
    pub(crate) fn compare_holdings(&mut self, live: &[Live<'_>]) {
        let Some((first, others)) = live.split_first() else { return };
        let reference = first.core.gossip().holdings();
        for other in others {
            let holdings = other.core.gossip().holdings();
            if holdings != reference {
                let lacks = count_missing(&reference, &holdings);
                let has = count_missing(&holdings, &reference);
                let than = first.host;
                let what =
                    format!("holds {has} messages that node {than} lacks, and lacks {lacks}");
                self.wrong.push((other.host, what));
            }
        }
    }

    /// A broadcast whose sender died before it was durable may be gone, but not half gone.
    fn expect(
        &mut self,
        index: usize,
        one: &Published,
        live: &[Live<'_>],
        delivery: &Delivery,
        retention: &Retention<'_>,
    ) {
        let sender_lives = live.iter().any(|l| l.host == one.from && l.life == one.life);
        let heard = |l: &&Live<'_>| l.host != one.from && delivery.has(l.host, index);
        let hearers = live.iter().filter(heard).count();
        let others = live.iter().filter(|l| l.host != one.from).count();
        let promised = sender_lives || (one.durable && live.iter().any(|l| l.host == one.from));
        // Whoever heard it in this life holds it now; what earlier lives heard may be gone.
        let held = live.iter().any(|l| l.host != one.from && delivery.has_now(l.host, index));
        if !held && !promised {
            self.lost += 1;
            return;
        }
        self.expected += others as u64;
        let lacking = live.iter().filter(|l| l.host != one.from && !delivery.has(l.host, index));
        let (excused, wrong): (Vec<_>, Vec<_>) =
            lacking.map(|l| l.host).partition(|host| retention.excuses(*host, one));
        self.excused += excused.len() as u64;
        if let Some(&host) = wrong.first() {
            let what = format!(
                "message {index} of node {} (said at {} µs, life {}, id {:?}) reached {hearers} of \
                 {others}",
                one.from,
                one.at.as_micros(),
                one.life,
                one.id,
            );
            self.wrong.push((host, what));
        }
    }
}

fn count_missing(of: &Holdings, from: &Holdings) -> usize {
    let mut missing = 0;
    for (sender, ranges) in of.iter() {
        missing += match from.of(sender) {
            Some(others) => ranges.missing_from(others, usize::MAX).count(),
            None => ranges.iter().flatten().count(),
        };
    }
    missing
}
