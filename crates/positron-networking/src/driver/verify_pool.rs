//! The threads that check signatures: one pool for all nodes of a process, as many threads as there
//! are processors, less the one of the core tasks; and one more, which gives way to all others, for
//! what takes long to hash, so that nothing waits behind that.
//!
//! Signatures are checked in batches, because each costs less the more there are. A batch is of one
//! node: one that is among others in its process saves no more by it than one that is alone.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use positron_proto::{
    id::NodeId,
    identity::{PublicKey, SignatureJob, Verdict},
    node::{CheckId, Input},
};

use super::{Arrivals, CoreInput};
use crate::limits::{BATCH_BYTES, CHECKS_PER_BATCH, QUICK_BYTES, SLOW_NICE};

/// The pool of this process. What waits in it is bounded by the cores that gave it.
#[derive(Debug)]
pub(super) struct VerifyPool {
    /// What costs little but the arithmetic of its signature.
    quick: Lane,
    /// What has more than [`QUICK_BYTES`].
    slow: Lane,
}

/// Threads, and what waits for them.
#[derive(Debug)]
struct Lane {
    threads: usize,
    waiting: Mutex<Waiting>,
    ready: Condvar,
    /// Checks that wait or run.
    unfinished: AtomicUsize,
}

/// A signature to be checked.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: CheckId,
    pub(super) job: SignatureJob,
    /// Who brought it.
    pub(super) from: NodeId,
}

/// What waits, by the node that asked, a batch of each in turn; and of one node by the peer that
/// brought it, and of that by who is to have signed it, one of each in turn. Who brings much waits
/// for it, and nobody else does; and an honest peer that passes on what somebody floods brings what
/// others say in time. Whoever makes up signers divides his own turns.
#[derive(Debug, Default)]
struct Waiting {
    turns: Turns<NodeId, OfNode>,
    count: usize,
}

/// What one node asked for.
type OfNode = Turns<NodeId, Turns<PublicKey, Checks>>;

/// In the order in which they came, each with whom to tell.
type Checks = VecDeque<(Check, Arrivals)>;

/// Queues that are not empty, one after the other.
#[derive(Debug)]
struct Turns<K, Q> {
    queues: BTreeMap<K, Q>,
    next: VecDeque<K>,
}

impl Check {
    /// What it came to, on its way into the core.
    pub(super) fn run(&self) -> CoreInput {
        self.came_to(self.job.run())
    }

    fn came_to(&self, verdict: Verdict) -> CoreInput {
        CoreInput::Input(Input::Verdict { check: self.id, verdict })
    }

    /// Whether to hash it costs less than to check its signature.
    pub(super) fn is_quick(&self) -> bool {
        self.job.bytes() <= QUICK_BYTES
    }
}

impl VerifyPool {
    /// The pool; its threads are started by the first call and end with the process.
    pub(super) fn shared() -> &'static Self {
        static POOL: OnceLock<VerifyPool> = OnceLock::new();
        static THREADS: OnceLock<()> = OnceLock::new();
        let pool = POOL.get_or_init(|| {
            let processors = thread::available_parallelism().map_or(1, usize::from);
            Self { quick: Lane::new(processors.saturating_sub(1).max(1)), slow: Lane::new(1) }
        });
        THREADS.get_or_init(|| {
            pool.quick.start("positron-check", 0);
            pool.slow.start("positron-hash", SLOW_NICE);
        });
        pool
    }

    /// Whether nothing that is quick waits or runs.
    pub(super) fn is_idle(&self) -> bool {
        self.quick.unfinished.load(Ordering::Acquire) == 0
    }

    /// Checks all of them on the pool's threads; the verdicts arrive.
    pub(super) fn submit(&self, node: NodeId, checks: Vec<Check>, arrivals: &Arrivals) {
        let (quick, slow) = checks.into_iter().partition(Check::is_quick);
        self.quick.submit(node, quick, arrivals);
        self.slow.submit(node, slow, arrivals);
    }
}

impl Lane {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            waiting: Mutex::default(),
            ready: Condvar::new(),
            unfinished: AtomicUsize::new(0),
        }
    }

    fn start(&'static self, name: &str, nice: i32) {
        for n in 0..self.threads {
            let named = thread::Builder::new().name(format!("{name}-{n}"));
            let work = move || {
                // A system that refuses gives it its share.
                let _ = rustix::process::nice(nice);
                self.work();
            };
            if let Err(error) = named.spawn(work) {
                assert!(n > 0, "the first thread that checks signatures cannot start: {error}");
            }
        }
    }

    fn submit(&self, node: NodeId, checks: Vec<Check>, arrivals: &Arrivals) {
        if checks.is_empty() {
            return;
        }
        self.unfinished.fetch_add(checks.len(), Ordering::AcqRel);
        let mut waiting = self.lock();
        checks.into_iter().for_each(|check| waiting.push(node, check, arrivals));
        drop(waiting);
        self.ready.notify_all();
    }

    fn work(&self) {
        loop {
            let batch = self.next_batch();
            let jobs: Vec<SignatureJob> =
                batch.iter().map(|(check, _)| check.job.clone()).collect();
            for ((check, arrivals), verdict) in batch.iter().zip(SignatureJob::run_all(&jobs)) {
                // A node that is gone has no use for it.
                let _ = arrivals.send(check.came_to(verdict));
            }
            self.unfinished.fetch_sub(batch.len(), Ordering::AcqRel);
        }
    }

    /// This thread's share of what waits.
    fn next_batch(&self) -> Vec<(Check, Arrivals)> {
        let mut waiting = self
            .ready
            .wait_while(self.lock(), |waiting| waiting.count == 0)
            .unwrap_or_else(PoisonError::into_inner);
        let share = waiting.count.div_ceil(self.threads).min(CHECKS_PER_BATCH);
        waiting.take_batch(share)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, node: NodeId, check: Check, arrivals: &Arrivals) {
        let brought = self.turns.queue(node).queue(check.from);
        brought.queue(*check.job.signer()).push_back((check, arrivals.clone()));
        self.count += 1;
    }

    /// The next ones of the node whose turn it is, at most so many, and no more after
    /// [`BATCH_BYTES`].
    fn take_batch(&mut self, most: usize) -> Vec<(Check, Arrivals)> {
        let fill = |of_node: &mut OfNode| {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < most && bytes < BATCH_BYTES {
                let Some(next) = next_of(of_node) else { break };
                bytes += next.0.job.bytes();
                batch.push(next);
            }
            Some(batch)
        };
        let batch = self.turns.take(fill, Turns::is_empty).unwrap_or_default();
        self.count -= batch.len();
        batch
    }
}

fn next_of(node: &mut OfNode) -> Option<(Check, Arrivals)> {
    node.take(|brought| brought.take(VecDeque::pop_front, VecDeque::is_empty), Turns::is_empty)
}

impl<K, Q> Default for Turns<K, Q> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), next: VecDeque::new() }
    }
}

impl<K: Copy + Ord, Q: Default> Turns<K, Q> {
    /// The queue to put something into.
    fn queue(&mut self, whose: K) -> &mut Q {
        if !self.queues.contains_key(&whose) {
            self.next.push_back(whose);
        }
        self.queues.entry(whose).or_default()
    }

    /// Takes something out of the queue whose turn it is.
    fn take<T>(
        &mut self,
        take: impl FnOnce(&mut Q) -> Option<T>,
        is_empty: impl FnOnce(&Q) -> bool,
    ) -> Option<T> {
        let whose = self.next.pop_front()?;
        let queue = self.queues.get_mut(&whose)?;
        let taken = take(queue);
        if is_empty(queue) {
            self.queues.remove(&whose);
        } else {
            self.next.push_back(whose);
        }
        taken
    }

    fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::{
        id::NetworkId,
        identity::{Identity, Signed},
        time::WallTime,
        wire::message::{AppMessage, Audience},
    };
    use tokio::sync::mpsc;

    use super::*;

    /// Brought by one, signed by the other.
    fn check(id: u64, from: u8, signer: u8) -> Check {
        said(id, from, signer, 4)
    }

    fn said(id: u64, from: u8, signer: u8, bytes: usize) -> Check {
        let me = Identity::from_seed([signer; 32]);
        let message = AppMessage {
            sender: *me.public_key(),
            audience: Audience::Everyone,
            sequence: id,
            timestamp: WallTime::default(),
            payload: vec![0; bytes].into(),
        };
        let network = NetworkId::from_name("test");
        let claim: Signed<AppMessage> = me.sign(message, &network).claim().clone();
        let from = NodeId::from_bytes([from; 32]);
        Check { id: CheckId(id), job: claim.job(&network), from }
    }

    #[test]
    fn what_takes_long_to_hash_is_no_batch_with_what_does_not() {
        let (arrivals, _verdicts) = mpsc::unbounded_channel();
        let node = NodeId::from_bytes([100; 32]);
        let mut waiting = Waiting::default();
        (0..4).for_each(|id| waiting.push(node, said(id, 1, 1, 1 << 20), &arrivals));
        (4..100).for_each(|id| waiting.push(node, check(id, 2, 2), &arrivals));
        let ids = |batch: Vec<(Check, Arrivals)>| {
            batch.iter().map(|(check, _)| check.id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids(waiting.take_batch(CHECKS_PER_BATCH)), [0]);
        assert_eq!(ids(waiting.take_batch(CHECKS_PER_BATCH)), [4, 1]);
    }

    fn drain(waiting: &mut Waiting) -> Vec<u64> {
        let one = |waiting: &mut Waiting| Some(waiting.take_batch(1)).filter(|it| !it.is_empty());
        let all = std::iter::from_fn(|| one(waiting)).flatten();
        let order = all.map(|(check, _)| check.id.0).collect();
        assert!(waiting.turns.is_empty() && waiting.turns.next.is_empty());
        assert_eq!(waiting.count, 0);
        order
    }

    #[test]
    fn whoever_brings_little_does_not_wait_for_whoever_brings_much() {
        let (arrivals, _verdicts) = mpsc::unbounded_channel();
        let node = NodeId::from_bytes([100; 32]);
        let mut waiting = Waiting::default();
        (0..500).for_each(|id| waiting.push(node, check(id, 1, 1), &arrivals));
        waiting.push(node, check(500, 2, 1), &arrivals);
        let order = drain(&mut waiting);
        assert_eq!(order[..2], [0, 500], "one of each");
        assert!(order[2..].iter().copied().eq(1..500), "in the order in which they came");
    }

    #[test]
    fn a_batch_is_of_one_node_and_the_next_one_of_the_next_node() {
        let (arrivals, _verdicts) = mpsc::unbounded_channel();
        let [busy, beside, calm] = [100, 101, 102].map(|n| NodeId::from_bytes([n; 32]));
        let mut waiting = Waiting::default();
        (0..10).for_each(|id| waiting.push(busy, check(id, 1, 1), &arrivals));
        (10..14).for_each(|id| waiting.push(beside, check(id, 1, 1), &arrivals));
        waiting.push(calm, check(14, 1, 1), &arrivals);
        let mut batch = || {
            let batch = waiting.take_batch(4);
            batch.into_iter().map(|(check, _)| check.id.0).collect::<Vec<_>>()
        };
        assert_eq!(batch(), [0, 1, 2, 3]);
        assert_eq!(batch(), [10, 11, 12, 13]);
        assert_eq!(batch(), [14], "what a batch has room for is not filled by others");
        assert_eq!(batch(), [4, 5, 6, 7]);
        assert_eq!(batch(), [8, 9]);
        assert!(batch().is_empty());
        assert_eq!(waiting.count, 0);
        assert!(waiting.turns.is_empty() && waiting.turns.next.is_empty());
    }

    #[test]
    fn whoever_says_little_does_not_wait_for_whoever_says_much_by_the_same_peer() {
        let (arrivals, _verdicts) = mpsc::unbounded_channel();
        let node = NodeId::from_bytes([100; 32]);
        let mut waiting = Waiting::default();
        (0..500).for_each(|id| waiting.push(node, check(id, 1, 9), &arrivals));
        waiting.push(node, check(500, 1, 2), &arrivals);
        // Made up, and all of them brought by one: they take no turn of anybody else.
        (100..200).for_each(|made_up| {
            waiting.push(node, check(500 + u64::from(made_up), 3, made_up), &arrivals);
        });
        let order = drain(&mut waiting);
        let place = |id| order.iter().position(|&other| other == id).unwrap();
        assert!(place(500) <= 3, "{order:?}");
        assert!(place(99) < 2 * 101, "half of the turns are theirs: {order:?}");
    }
}
