//! What we say to linked peers: hello, heartbeats, questions, our record.

use std::collections::VecDeque;

use super::{Peers, PeersEffect, PeersMessage, peers::PeersWake};
use crate::{
    id::NodeId,
    limits::{ANSWER_TIMEOUT, RECORDS_PER_ANSWER},
    standings::TrustTable,
    time::{Duration, Now},
};

impl Peers {
    /// Says hello, or answers it.
    pub(super) fn greet(
        &mut self,
        now: Now,
        to: NodeId,
        answer: bool,
        standings: &TrustTable,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let Some(link) = self.links.get(&to) else { return };
        let (scope, observed) = (link.scope, link.peer.addr.into());
        let peers = self.sample(now, to, scope, RECORDS_PER_ANSWER, standings);
        let record = self.own.claim().clone();
        let message = PeersMessage::Hello { answer, record, observed, peers };
        out.push_back(PeersEffect::Send { to, message });
        if !answer {
            self.deadlines.set(PeersWake::HelloAnswer(to), now.mono + ANSWER_TIMEOUT);
        }
    }

    pub(super) fn heartbeat(&mut self, now: Now, to: NodeId, out: &mut VecDeque<PeersEffect>) {
        if self.links.contains(&to) {
            let active_peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
            out.push_back(PeersEffect::Send { to, message: PeersMessage::Heartbeat(active_peers) });
            let next = now.mono + self.config.heartbeat_interval;
            self.deadlines.set(PeersWake::Heartbeat(to), next);
        }
    }

    /// Asks one random peer for records.
    pub(super) fn discover(&mut self, now: Now, out: &mut VecDeque<PeersEffect>) {
        let peers: Vec<NodeId> = self.links.iter().map(|(id, _)| *id).collect();
        if let Some(&to) = self.rng.choose(&peers)
            && let Some(link) = self.links.get_mut(&to)
        {
            self.fruitless_rounds = self.fruitless_rounds.saturating_add(1);
            if link.may_ask(now.mono) {
                link.asked = true;
                let count = u8::try_from(RECORDS_PER_ANSWER).unwrap_or(u8::MAX);
                out.push_back(PeersEffect::Send { to, message: PeersMessage::Discovery(count) });
                self.deadlines.set_earliest(PeersWake::Answer(to), now.mono + ANSWER_TIMEOUT);
            }
        }
        self.discover_later(now);
    }

    /// Plans the next question: soon while we have too few peers and questions bring new ones.
    pub(super) fn discover_later(&mut self, now: Now) {
        let interval = self.config.discovery_interval;
        let few = self.links.len() < self.config.min_peers && !self.links.is_empty();
        let wait = if few {
            DISCOVERY_BACKOFF.saturating_mul(1 << self.fruitless_rounds.min(16)).min(interval)
        } else {
            interval
        };
        let at = now.mono + self.rng.jitter(wait);
        self.deadlines.set_earliest(PeersWake::Discover, at);
    }

    /// Makes and announces a new record if our addresses changed; later if it is too early.
    pub(super) fn refresh_own(&mut self, now: Now, out: &mut VecDeque<PeersEffect>) {
        if self.own.refresh(now) {
            out.push_back(PeersEffect::OwnAddresses(self.own_addresses()));
            self.announce(out);
        } else if self.own.is_stale() {
            self.deadlines.set_earliest(PeersWake::Announce, self.own.next());
        }
    }

    /// Tells every peer our record.
    pub(super) fn announce(&self, out: &mut VecDeque<PeersEffect>) {
        for (&to, _) in self.links.iter() {
            let peers = vec![self.own.claim().clone()];
            out.push_back(PeersEffect::Send { to, message: PeersMessage::Announcement(peers) });
        }
    }
}

/// Wait between the first two questions of a node with too few peers.
const DISCOVERY_BACKOFF: Duration = Duration::from_millis(250);
