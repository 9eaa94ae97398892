//! Whose signatures wait so that those of others are checked at once.

use std::collections::VecDeque;

use crate::{
    id::NodeId,
    limits::{
        CHECK_BYTES, LEAST_CHECKS_PER_SECOND, MOST_CHECKS_PER_SECOND, PACE_WINDOW, PACED_WAITING,
        RELAYED_CHECKS, SLOW_CHECK,
    },
    time::{Duration, Instant},
};

/// Claims of whoever brings more than all others together, checked at a pace that lets others be
/// checked at once.
///
/// A machine that has nothing else to do checks all that comes. When a claim of somebody else
/// takes longer than [`SLOW_CHECK`], it is busy: from then on the one who brings most is checked at
/// [`LEAST_CHECKS_PER_SECOND`], and at more and more for as long as nobody waits again. This is
/// overload control by response time (Welsh and Culler 2003), of the one who causes the load: the
/// rate falls at once, because everybody waits meanwhile, and rises slowly, because each time that
/// it is too high everybody waits.
///
/// Whoever brings less than that in a window is never the one: where a flood pauses, those who talk
/// a little are most of those who talk.
///
/// What a peer signed and what it passes on are told apart. So who passes on a flood is heard at
/// once in its own name; and what is passed on, whoever is said to have signed it, may be a little
/// more, so that the flood is slowed where it comes in and not behind that.
#[derive(Debug)]
pub(super) struct CheckPace<T> {
    /// When the window began that runs, and what was brought in it.
    began: Instant,
    bringers: Majority<Bringer>,
    signers: Majority<NodeId>,
    /// Who brought most in the last window, and who signed most; who has something waiting stays.
    most: Option<Bringer>,
    most_signed: Option<NodeId>,
    /// Units a second of who brings most.
    rate: u64,
    /// When the next of its claims may be checked.
    next: Instant,
    /// What waits until then, with its units.
    waiting: VecDeque<(u64, T)>,
}

/// Where a claim comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bringer {
    /// The neighbour.
    peer: NodeId,
    /// Whether it is another that signed.
    is_relayed: bool,
}

/// Who brought more than half of something, found in one pass (Boyer and Moore 1991). What is
/// counted of the candidate may be less than it brought, so that it is never more than one.
#[derive(Debug)]
struct Majority<K> {
    candidate: Option<K>,
    lead: u64,
    counted: u64,
    total: u64,
}

impl Bringer {
    pub(super) fn new(peer: NodeId, signer: NodeId) -> Self {
        Self { peer, is_relayed: peer != signer }
    }
}

impl<T> Default for CheckPace<T> {
    fn default() -> Self {
        Self {
            began: Instant::ORIGIN,
            bringers: Majority::default(),
            signers: Majority::default(),
            most: None,
            most_signed: None,
            rate: MOST_CHECKS_PER_SECOND,
            next: Instant::ORIGIN,
            waiting: VecDeque::new(),
        }
    }
}

impl<T> CheckPace<T> {
    /// A claim of so many bytes came. It is given back if it may be checked at once.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        bringer: Bringer,
        signer: NodeId,
        bytes: usize,
        check: T,
    ) -> Option<T> {
        self.turn_window(now);
        let units = 1 + u64::try_from(bytes / CHECK_BYTES).unwrap_or(u64::MAX);
        self.bringers.add(bringer, units);
        self.signers.add(signer, units);
        if self.most != Some(bringer) || !self.is_paced() {
            return Some(check);
        }
        if self.waiting.is_empty() && self.next <= now {
            self.note_begun(now, units);
            return Some(check);
        }
        self.waiting.push_back((units, check));
        None
    }

    /// A claim was checked that had not to wait here.
    pub(super) fn handle_checked(
        &mut self,
        now: Instant,
        bringer: Bringer,
        signer: NodeId,
        since: Instant,
    ) {
        if now.since(since) < SLOW_CHECK {
            return;
        }
        if let Some(most) = self.bringers.winner().or(self.most) {
            self.choose(now, Some(most), self.signers.winner().or(self.most_signed));
        }
        let is_of_most = Some(bringer) == self.most || Some(signer) == self.most_signed;
        if !is_of_most && self.most.is_some() {
            self.rate = LEAST_CHECKS_PER_SECOND;
        }
    }

    /// The next that may be checked now; call until `None`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        self.turn_window(now);
        if self.is_paced() && self.next > now {
            return None;
        }
        let (units, check) = self.waiting.pop_front()?;
        self.note_begun(now, units);
        Some(check)
    }

    /// When to ask [`pop_due`](Self::pop_due).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// Whether so much waits of what `peer` signed that nothing more is to be read of it.
    pub(super) fn is_crowded(&self, peer: &NodeId) -> bool {
        self.waiting.len() > PACED_WAITING
            && self.most.is_some_and(|most| most.peer == *peer && !most.is_relayed)
    }

    const fn is_paced(&self) -> bool {
        self.rate < MOST_CHECKS_PER_SECOND
    }

    fn note_begun(&mut self, now: Instant, units: u64) {
        let is_relayed = self.most.is_some_and(|most| most.is_relayed);
        let rate = self.rate * if is_relayed { RELAYED_CHECKS } else { 1 };
        let from = self.next.max(now - LATE);
        self.next = from + Duration::from_micros(units.saturating_mul(1_000_000) / rate);
    }

    /// These bring and sign most, unless somebody has something waiting. A pace is one's own:
    /// nobody waits for what another brought.
    fn choose(&mut self, now: Instant, most: Option<Bringer>, most_signed: Option<NodeId>) {
        if !self.waiting.is_empty() {
            return;
        }
        if self.most != most {
            self.next = now;
        }
        (self.most, self.most_signed) = (most, most_signed);
    }

    fn turn_window(&mut self, now: Instant) {
        let windows = now.since(self.began).as_micros() / PACE_WINDOW.as_micros();
        if windows == 0 {
            return;
        }
        for _ in 0..windows {
            if !self.is_paced() {
                break;
            }
            self.rate += self.rate / RISE;
        }
        self.choose(now, self.bringers.winner(), self.signers.winner());
        self.began = now;
        (self.bringers, self.signers) = (Majority::default(), Majority::default());
    }
}

impl<K> Default for Majority<K> {
    fn default() -> Self {
        Self { candidate: None, lead: 0, counted: 0, total: 0 }
    }
}

impl<K: PartialEq + Copy> Majority<K> {
    fn add(&mut self, key: K, units: u64) {
        self.total = self.total.saturating_add(units);
        if self.candidate == Some(key) {
            self.lead = self.lead.saturating_add(units);
            self.counted = self.counted.saturating_add(units);
        } else if self.lead >= units {
            self.lead -= units;
        } else {
            (self.candidate, self.lead, self.counted) = (Some(key), units - self.lead, units);
        }
    }

    fn winner(&self) -> Option<K> {
        self.candidate
            .filter(|_| self.counted > self.total / 2 && u128::from(self.counted) > LITTLE)
    }
}

/// What is checked of anybody in a window, however busy the machine is.
const LITTLE: u128 = LEAST_CHECKS_PER_SECOND as u128 * PACE_WINDOW.as_micros() / 1_000_000;
/// What a timer may be late without that anything is lost of the rate.
const LATE: Duration = Duration::from_millis(2);
/// By what part of it the rate rises in a window: a flood that takes eight times the least has its
/// rate again after seven seconds, and others wait for it in one window of seventy.
const RISE: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_PARKED_BYTES_PER_PEER, MAX_PARKED_PER_PEER};

    /// A processor checks 25,000 signatures a second, in the order in which they come.
    const ONE_CHECK: Duration = Duration::from_micros(40);
    const ONE_SECOND: Duration = Duration::from_secs(1);

    fn node(n: u64) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        NodeId::from_bytes(bytes)
    }

    /// A claim on its way: who brought and signed it, its size, when it came.
    #[derive(Clone, Copy)]
    struct Said {
        peer: u64,
        signer: u64,
        bytes: usize,
        came: Instant,
    }

    /// Peers, a pace, and a processor with a queue.
    struct Machine {
        now: Instant,
        pace: CheckPace<Said>,
        queue: VecDeque<Said>,
        /// How much of the first is done.
        done: Duration,
        checked: Vec<(Said, Duration)>,
    }

    impl Machine {
        fn new() -> Self {
            let (now, queue) = (Instant::from_micros(1 << 40), VecDeque::new());
            let pace = CheckPace::default();
            Self { now, pace, queue, done: Duration::ZERO, checked: Vec::new() }
        }

        fn say(&mut self, peer: u64, signer: u64, bytes: usize) {
            let said = Said { peer, signer, bytes, came: self.now };
            let bringer = Bringer::new(node(peer), node(signer));
            self.queue.extend(self.pace.offer(self.now, bringer, node(signer), bytes, said));
        }

        /// `peer` says as much as is read of it.
        fn flood(&mut self, peer: u64, mut signer: impl FnMut() -> u64, bytes: usize) {
            let room = (MAX_PARKED_PER_PEER / 2).min(MAX_PARKED_BYTES_PER_PEER / 4 / (256 + bytes));
            let waiting = self.pace.waiting.iter().map(|(_, said)| said);
            let mut parked =
                self.queue.iter().chain(waiting).filter(|said| said.peer == peer).count();
            while parked < room && !self.pace.is_crowded(&node(peer)) {
                self.say(peer, signer(), bytes);
                parked += 1;
            }
        }

        /// One check's time passes.
        fn step(&mut self) {
            self.now = self.now + ONE_CHECK;
            self.queue.extend(core::iter::from_fn(|| self.pace.pop_due(self.now)));
            let Some(first) = self.queue.front().copied() else { return };
            self.done += ONE_CHECK;
            let units = u32::try_from(1 + first.bytes / CHECK_BYTES).unwrap();
            if self.done >= ONE_CHECK * units {
                self.done = Duration::ZERO;
                self.queue.pop_front();
                self.checked.push((first, self.now.since(first.came)));
                let bringer = Bringer::new(node(first.peer), node(first.signer));
                self.pace.handle_checked(self.now, bringer, node(first.signer), first.came);
            }
        }

        /// For some seconds, with somebody else saying something now and then. How long that took,
        /// 99 times of a hundred.
        fn run(&mut self, seconds: u32, mut flood: impl FnMut(&mut Self)) -> Duration {
            self.checked.clear();
            let (end, mut step) = (self.now + ONE_SECOND * seconds, 0_u64);
            while self.now < end {
                flood(self);
                if step.is_multiple_of(300) {
                    self.say(2, 2, 128);
                }
                step += 1;
                self.step();
            }
            let others = self.checked.iter().filter(|(said, _)| said.peer == 2);
            let mut waits: Vec<Duration> = others.map(|(_, wait)| *wait).collect();
            waits.sort_unstable();
            waits[waits.len() * 99 / 100]
        }

        fn checked_of(&self, peer: u64) -> usize {
            self.checked.iter().filter(|(said, _)| said.peer == peer).count()
        }
    }

    #[test]
    fn whoever_signs_more_than_all_others_keeps_nobody_waiting() {
        for bytes in [16, 16 << 10, 64 << 10] {
            let mut machine = Machine::new();
            let p99 = machine.run(10, |machine| machine.flood(1, || 1, bytes));
            // One that is being checked is checked to its end.
            let longest = SLOW_CHECK + ONE_CHECK * u32::try_from(bytes / CHECK_BYTES).unwrap();
            assert!(p99 <= longest, "{bytes} bytes: {p99:?}");
            let units = machine.checked_of(1) * (1 + bytes / CHECK_BYTES);
            assert!(units >= 10 * 1_000, "{bytes} bytes: it had {units} in ten seconds");
        }
    }

    #[test]
    fn who_talks_a_little_between_large_messages_of_another_does_not_pay_for_them() {
        let (mut machine, bytes) = (Machine::new(), 1 << 20);
        let mut next = machine.now;
        let p99 = machine.run(10, |machine| {
            // Three or four in a second, as fast as it may send them.
            if machine.now >= next {
                next = machine.now + ONE_SECOND * 3 / 10;
                machine.say(1, 1, bytes);
            }
        });
        let longest = SLOW_CHECK + ONE_CHECK * u32::try_from(bytes / CHECK_BYTES).unwrap();
        assert!(p99 <= longest, "{p99:?}");
    }

    #[test]
    fn whoever_passes_on_what_ever_new_names_signed_keeps_nobody_waiting() {
        let (mut machine, mut names) = (Machine::new(), 1_000..);
        let mut flood = |machine: &mut Machine| machine.flood(1, || names.next().unwrap(), 16);
        let p99 = machine.run(10, &mut flood);
        assert!(p99 <= SLOW_CHECK, "{p99:?}");
        // What it says in its own name is checked at once all the same.
        machine.checked.clear();
        machine.say(1, 1, 16);
        for _ in 0..100 {
            flood(&mut machine);
            machine.step();
        }
        assert!(machine.checked.iter().any(|(said, _)| said.signer == 1));
    }

    #[test]
    fn a_machine_with_nothing_else_to_do_checks_all_that_comes() {
        let mut machine = Machine::new();
        let end = machine.now + ONE_SECOND * 5;
        while machine.now < end {
            machine.flood(1, || 1, 16);
            machine.step();
        }
        assert!(machine.checked.len() > 5 * 24_900, "{}", machine.checked.len());
    }

    #[test]
    fn when_the_others_are_silent_again_the_flood_has_all_of_the_machine_after_a_while() {
        let mut machine = Machine::new();
        machine.run(5, |machine| machine.flood(1, || 1, 16));
        machine.checked.clear();
        let end = machine.now + ONE_SECOND * 20;
        while machine.now < end {
            machine.flood(1, || 1, 16);
            machine.step();
        }
        let rate = machine.checked.len() / 20;
        assert!(rate > 12_000, "{rate} a second, of 25,000");
    }

    #[test]
    fn of_peers_that_bring_as_much_as_each_other_nobody_waits_for_a_turn() {
        let mut machine = Machine::new();
        machine.run(5, |machine| {
            (3..7).for_each(|peer| machine.flood(peer, || peer, 16));
        });
        assert!(machine.checked.len() > 5 * 24_900, "{}", machine.checked.len());
    }
}
