//! When a peer may be dialled again, and peers that were lost: they are redialled although there
//! are enough others, which makes two satisfied halves one network again.

use super::{
    address_book::AddressBook,
    connected::{ConnectedPeers, PeerLink},
    dial_schedule::{DialSchedule, backoff},
    dialer::{DialReason, Dialer},
    entry::AddressEntry,
    turn::Turn,
};
use crate::{
    handshake::{Direction, HandshakeFailure},
    id::NodeId,
    limits::{
        GOOD_SILENCE, LOST_LONGEST, LOST_WINDOW, MAX_GOOD_FAILURES, MAX_HEARSAY_FAILURES, MAX_LOST,
        REDIAL_FIRST, REDIAL_LONGEST, REFUSED_PAUSE, SLOTS_FULL_PAUSE,
    },
    lru::LruMap,
    session::sessions::{DialFailure, DownReason},
    standings::TrustTable,
    time::{Duration, Instant},
    wire::frame::CloseReason,
};

/// Peers that fell silent, and the back-off of all that are in the book.
///
/// The ends of sessions ([`handle_disconnect`](Self::handle_disconnect)) and of dials
/// ([`handle_failure`](Self::handle_failure)) decide until when a node is left alone and whether it
/// is missed. Who is missed is dialled at every [`handle_timeout`](Self::handle_timeout) that is
/// due, until [`LOST_WINDOW`] is over, it is linked, or [`forget`](Self::forget) says so. At most
/// [`MAX_LOST`] are.
#[derive(Debug)]
pub(super) struct Redial {
    /// Since when each of them is missed.
    lost: DialSchedule<Instant>,
    /// Peers that let us go for another process with our key, and how often.
    replaced: LruMap<NodeId, u32>,
}

impl Redial {
    pub(super) fn new() -> Self {
        Self { lost: DialSchedule::new(), replaced: LruMap::new(MAX_LOST) }
    }

    pub(super) fn is_lost(&self, node: &NodeId) -> bool {
        self.lost.contains(node)
    }

    /// It is here again, or not wanted any more.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.lost.remove(node);
    }

    /// Dials everyone who is missed as soon as possible.
    pub(super) fn hurry(&mut self, now: Instant, book: &mut AddressBook) {
        let missed: Vec<NodeId> = self.lost.iter().map(|(peer, _)| *peer).collect();
        for peer in missed {
            book.change(&peer, |entry| entry.next_dial = entry.next_dial.min(now));
            self.retry(peer, book);
        }
    }

    /// Forgets who was missed for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        self.lost.retain(|since| now.since(*since) <= LOST_WINDOW);
    }

    /// A session is over: is its peer missed, or is it better left alone? Returns for about how
    /// long.
    pub(super) fn handle_disconnect(
        &mut self,
        peer: NodeId,
        link: &PeerLink,
        why: &DownReason,
        book: &mut AddressBook,
        turn: &mut Turn<'_>,
    ) -> Duration {
        use CloseReason::{
            Banned, KeyRetired, MemoryFull, OtherProcess, Pruned, RecordBroken, SelfDial,
            ShuttingDown, SlowReader, Timeout, Violation, WrongFeatures, WrongNetwork,
            WrongVersion,
        };
        let dialled = link.peer.direction;
        let pause = match why {
            DownReason::ByUs(Timeout) if !link.has_greeted => REFUSED_PAUSE,
            DownReason::ByPeer(why) | DownReason::ByUs(why) if why.is_for_want_of_room() => {
                SLOTS_FULL_PAUSE
            }
            DownReason::Link(_)
            | DownReason::ByPeer(Timeout | SlowReader | MemoryFull | RecordBroken)
            | DownReason::ByUs(
                Timeout | SlowReader | MemoryFull | RecordBroken | OtherProcess(_),
            ) => {
                // Where nobody was ever reached nobody is looked for: a guest may have named
                // somebody else's address.
                let was_reached = dialled == Direction::Outbound
                    || book.get(&peer).is_some_and(AddressEntry::is_verified);
                if was_reached && self.lost.len() < MAX_LOST {
                    self.lost.insert(peer, turn.now.mono);
                }
                // Who dialled before dials first, so that the two do not meet halfway.
                match dialled {
                    Direction::Outbound => REDIAL_FIRST,
                    Direction::Inbound => REDIAL_FIRST * 3,
                }
            }
            // Each of the two would take the place of the other for ever.
            DownReason::ByPeer(OtherProcess(_)) => {
                let times = self.replaced.get(&peer).map_or(1, |times| times.saturating_add(1));
                self.replaced.insert(peer, times);
                backoff(turn.rng, times, REFUSED_PAUSE)
            }
            DownReason::ByPeer(ShuttingDown) => LOST_LONGEST,
            DownReason::ByPeer(
                Banned | KeyRetired | Pruned | Violation(_) | WrongNetwork | WrongVersion
                | WrongFeatures | SelfDial,
            )
            | DownReason::ByUs(Banned | KeyRetired | Pruned | Violation(_)) => REFUSED_PAUSE,
            DownReason::ByPeer(_) | DownReason::ByUs(_) => REDIAL_FIRST,
        };
        self.leave_alone(peer, pause, book, turn);
        pause
    }

    /// A dial that was to become a link to `node` failed, and nobody else answered there.
    pub(super) fn handle_failure(
        &mut self,
        node: NodeId,
        failure: &DialFailure,
        book: &mut AddressBook,
        turn: &mut Turn<'_>,
    ) {
        use CloseReason::{
            Banned, Duplicate, KeyRetired, Pruned, WrongFeatures, WrongNetwork, WrongVersion,
        };
        let DialFailure::Handshake(HandshakeFailure::Refused(reason)) = failure else {
            return self.count_failure(node, book, turn);
        };
        match reason {
            full if full.is_for_want_of_room() => {
                self.leave_alone(node, SLOTS_FULL_PAUSE, book, turn);
            }
            Duplicate => self.leave_alone(node, REDIAL_FIRST, book, turn),
            Banned | KeyRetired | Pruned | WrongNetwork | WrongVersion | WrongFeatures => {
                self.lost.remove(&node);
                self.leave_alone(node, REFUSED_PAUSE, book, turn);
            }
            _ => self.count_failure(node, book, turn),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.lost.poll_timeout()
    }

    /// Dials who is due.
    pub(super) fn handle_timeout(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.now;
        while let Some(peer) = self.lost.pop_due(now.mono) {
            let Some(&mut since) = self.lost.get_mut(&peer) else { continue };
            let entry = book.get(&peer).filter(|_| now.mono.since(since) <= LOST_WINDOW);
            let Some(entry) = entry else {
                self.lost.remove(&peer);
                continue;
            };
            if standings.is_banned(&peer, now.wall) || links.contains(&peer) {
                self.lost.remove(&peer);
                continue;
            }
            let has_room = dialer.free_slots(links) > 0;
            if !(has_room && dialer.dial_known(peer, DialReason::Lost, book, links, turn)) {
                let later = now.mono + turn.rng.jitter(NO_ROOM);
                let silent_until = dialer.silent_until(entry, now.mono);
                self.lost.set(peer, silent_until.map_or(later, |at| at.max(later)));
            }
        }
    }

    /// Does not dial `node` for about `pause`; it did not fail.
    fn leave_alone(
        &mut self,
        node: NodeId,
        pause: Duration,
        book: &mut AddressBook,
        turn: &mut Turn<'_>,
    ) {
        let until = turn.now.mono + turn.rng.jitter(pause);
        book.change(&node, |entry| entry.next_dial = until);
        self.retry(node, book);
    }

    /// Nobody answered: later and later, and in the end not at all.
    fn count_failure(&mut self, node: NodeId, book: &mut AddressBook, turn: &mut Turn<'_>) {
        let Some(entry) = book.get(&node) else { return };
        let failures = entry.known.failures.saturating_add(1);
        let silent = turn.now.wall.since(entry.known.last_seen) > GOOD_SILENCE;
        let is_lost = self.lost.contains(&node);
        let hopeless = if entry.is_verified() {
            failures >= MAX_GOOD_FAILURES && silent
        } else {
            failures >= MAX_HEARSAY_FAILURES
        };
        if hopeless && !is_lost && !entry.linked && !book.is_pinned(&node) {
            book.remove(&node);
            return book.report_evicted(turn.out);
        }
        let longest = if is_lost { LOST_LONGEST } else { REDIAL_LONGEST };
        let until = turn.now.mono + backoff(turn.rng, failures, longest);
        book.change(&node, |entry| {
            entry.known.failures = failures;
            entry.next_dial = until;
        });
        self.retry(node, book);
        // Storage hears of the first failures and then of fewer and fewer.
        if failures.is_power_of_two() {
            book.remember(node, turn.out);
        }
    }

    /// Wakes for a lost peer when it may be dialled again.
    fn retry(&mut self, node: NodeId, book: &AddressBook) {
        if let Some(entry) = book.get(&node) {
            self.lost.set(node, entry.next_dial);
        }
    }
}

/// Wait for a free slot or dial.
const NO_ROOM: Duration = Duration::from_secs(2);
