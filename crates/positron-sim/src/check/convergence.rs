//! At the end every live node holds every broadcast, and handed it over.

use positron_proto::{
    node::{NodeCore, SequenceKind},
    wire::holdings::Holdings,
};

use super::delivery::Delivery;
use crate::published::Published;

/// What the live nodes hold at the end.
#[derive(Debug, Default)]
pub(crate) struct Convergence {
    /// Times that a broadcast should have been handed over.
    pub(crate) expected: u64,
    /// Broadcasts that died with their sender.
    pub(crate) lost: usize,
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
    pub(crate) fn of(live: &[Live<'_>], said: &[Published], delivery: &Delivery) -> Self {
        let mut this = Self::default();
        this.compare_holdings(live);
        for (index, one) in said.iter().enumerate() {
            if one.kind == SequenceKind::Broadcast {
                this.expect(index, one, live, delivery);
            }
        }
        this
    }

    /// Everyone holds what the first one holds.
    fn compare_holdings(&mut self, live: &[Live<'_>]) {
        let Some((first, others)) = live.split_first() else { return };
        let reference = first.core.holdings();
        for other in others {
            let holdings = other.core.holdings();
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
    fn expect(&mut self, index: usize, one: &Published, live: &[Live<'_>], delivery: &Delivery) {
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
        if hearers < others {
            let missing = live.iter().find(|l| l.host != one.from && !delivery.has(l.host, index));
            let host = missing.map_or(one.from, |l| l.host);
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
