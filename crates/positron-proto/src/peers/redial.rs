//! What makes two satisfied halves one network again: lost peers are redialled although there are
//! enough others, strangers are explored, and what that leaves too much is pruned slowly.

use std::collections::VecDeque;

use super::{Peers, PeersEffect, peers::PeersWake};
use crate::{
    handshake::Direction,
    id::NodeId,
    limits::{LOST_LONGEST, LOST_WINDOW, MAX_LOST, REDIAL_FIRST, REFUSED_PAUSE, SLOTS_FULL_PAUSE},
    session::sessions::DownReason,
    standings::TrustTable,
    time::{Duration, Now},
    wire::frame::CloseReason,
};

impl Peers {
    /// A session is over: is its peer missed, or is it better left alone?
    pub(super) fn handle_disconnect(
        &mut self,
        now: Now,
        peer: NodeId,
        dialled: Direction,
        why: &DownReason,
    ) {
        use CloseReason::{
            Banned, Pruned, SelfDial, ShuttingDown, SlotsFull, SlowReader, Timeout, Violation,
            WrongFeatures, WrongNetwork, WrongVersion,
        };
        match why {
            DownReason::Link(_)
            | DownReason::ByPeer(Timeout | SlowReader)
            | DownReason::ByUs(Timeout | SlowReader) => {
                if self.lost.len() < MAX_LOST {
                    self.lost.insert(peer, now.mono);
                }
                // Who dialled before dials first, so that the two do not meet halfway.
                let first = match dialled {
                    Direction::Outbound => REDIAL_FIRST,
                    Direction::Inbound => REDIAL_FIRST * 3,
                };
                self.leave_alone(now, peer, first);
            }
            DownReason::ByPeer(ShuttingDown) => self.leave_alone(now, peer, LOST_LONGEST),
            DownReason::ByPeer(SlotsFull) | DownReason::ByUs(SlotsFull) => {
                self.leave_alone(now, peer, SLOTS_FULL_PAUSE);
            }
            DownReason::ByPeer(
                Banned | Pruned | Violation(_) | WrongNetwork | WrongVersion | WrongFeatures
                | SelfDial,
            )
            | DownReason::ByUs(Banned | Pruned | Violation(_)) => {
                self.leave_alone(now, peer, REFUSED_PAUSE);
            }
            DownReason::ByPeer(_) | DownReason::ByUs(_) => {
                self.leave_alone(now, peer, REDIAL_FIRST);
            }
        }
    }

    /// Wakes for a lost peer when it may be dialled again.
    pub(super) fn retry_lost(&mut self, peer: NodeId) {
        if self.lost.contains_key(&peer)
            && let Some(entry) = self.book.get(&peer)
        {
            self.deadlines.set(PeersWake::Redial(peer), entry.next_dial);
        }
    }

    pub(super) fn redial_lost(
        &mut self,
        now: Now,
        peer: NodeId,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let Some(&since) = self.lost.get(&peer) else { return };
        let over = now.mono.since(since) > LOST_WINDOW || self.book.get(&peer).is_none();
        if over || standings.is_banned(&peer, now.wall) || self.links.contains(&peer) {
            self.lost.remove(&peer);
            return;
        }
        let dialled = self.free_slots() > 0 && self.dial_known(now, peer, out);
        if !dialled {
            let later = now.mono + self.rng.jitter(NO_ROOM);
            self.deadlines.set(PeersWake::Redial(peer), later);
        }
    }

    /// Once a discovery interval: look at somebody new, let go of one too many, and note who is
    /// still here.
    pub(super) fn tidy(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let next = now.mono + self.rng.jitter(self.config.discovery_interval);
        self.deadlines.set(PeersWake::Tidy, next);
        self.dials.expire(now.mono);
        self.expire_checks(now);
        self.lost.retain(|_, since| now.mono.since(*since) <= LOST_WINDOW);
        self.note_linked(now, out);
        let outbound = self.links.outbound().count();
        let too_many = outbound > self.config.min_peers + SLACK;
        self.too_many = if too_many { self.too_many + 1 } else { 0 };
        if self.too_many > PATIENCE {
            self.prune(now, standings, out);
        } else if !too_many && self.free_slots() > 0 {
            let mut candidates = self.candidates(now, standings, &mut None);
            let stranger = candidates.take(&mut self.rng);
            if let Some(node) = stranger.or_else(|| candidates.take_crowded(&mut self.rng)) {
                self.dial_known(now, node, out);
            }
        }
    }

    /// Ends one outbound link: never a young one or one of a peer that has few others, the least
    /// trusted first.
    fn prune(&mut self, now: Now, standings: &TrustTable, out: &mut VecDeque<PeersEffect>) {
        let enough = u32::try_from(self.config.min_peers).unwrap_or(u32::MAX);
        let old = |since| now.mono.since(since) > PRUNABLE_AFTER;
        let links = self.links.outbound();
        let links = links.filter(|(_, link)| old(link.since) && link.active_peers > enough);
        let mut links: Vec<(NodeId, f64)> =
            links.map(|(id, _)| (*id, standings.of(id).score)).collect();
        self.rng.shuffle(&mut links);
        if let Some(&(peer, _)) = links.iter().min_by(|a, b| a.1.total_cmp(&b.1)) {
            out.push_back(PeersEffect::Disconnect { peer, reason: CloseReason::Pruned });
        }
    }

    /// Who was linked until a crash is known to have been alive until shortly before it.
    fn note_linked(&mut self, now: Now, out: &mut VecDeque<PeersEffect>) {
        let stale = |node: &&NodeId| {
            let entry = self.book.get(node);
            entry.is_some_and(|entry| {
                entry.is_verified() && now.wall.since(entry.known.last_seen) > NOTE_INTERVAL
            })
        };
        let stale: Vec<NodeId> =
            self.links.iter().map(|(id, _)| id).filter(stale).copied().collect();
        for node in stale {
            self.book.change(&node, |entry| entry.known.last_seen = now.wall);
            self.remember(node, out);
        }
    }
}

/// Outbound links above the target that exploration and redials may leave standing.
const SLACK: usize = 2;
/// Discovery intervals that too many outbound links are borne.
const PATIENCE: u32 = 2;
/// Guess: a link that carries direct messages or a repair is used within this time.
const PRUNABLE_AFTER: Duration = Duration::from_secs(60);
/// Wait for a free slot or dial.
const NO_ROOM: Duration = Duration::from_secs(2);
/// How old the note may be that a linked peer is alive.
const NOTE_INTERVAL: Duration = Duration::from_secs(300);
