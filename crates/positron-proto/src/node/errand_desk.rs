//! What this node does in the hash table for peers that reach nobody by datagrams.

use std::collections::BTreeMap;

use crate::{
    allowance::Allowance,
    id::{NodeId, Ticket},
    limits::{ERRAND_BURST, ERRAND_INTERVAL, MAX_ERRAND_PEERS, MAX_ERRANDS, MAX_ERRANDS_PER_PEER},
    lru::LruMap,
    time::Instant,
};

/// Errands of others: how many each may have, and whom to tell what came of one.
///
/// Bounded by [`MAX_ERRANDS`] and [`MAX_ERRANDS_PER_PEER`] at once, and in time by
/// [`ERRAND_BURST`] and [`ERRAND_INTERVAL`].
#[derive(Debug)]
pub(super) struct ErrandDesk {
    /// Whose, and by which number the peer knows it.
    open: BTreeMap<Ticket, (NodeId, u64)>,
    allowances: LruMap<NodeId, Allowance>,
}

impl Default for ErrandDesk {
    fn default() -> Self {
        Self { open: BTreeMap::new(), allowances: LruMap::new(MAX_ERRAND_PEERS) }
    }
}

impl ErrandDesk {
    /// Whether one more errand of this peer is done; it has paid for it then.
    pub(super) fn take(&mut self, now: Instant, peer: NodeId) -> bool {
        let its = self.open.values().filter(|(of, _)| *of == peer).count();
        if self.open.len() >= MAX_ERRANDS || its >= MAX_ERRANDS_PER_PEER {
            return false;
        }
        if !self.allowances.contains(&peer) {
            self.allowances.insert(peer, Allowance::new());
        }
        self.allowances.touch(&peer);
        let allowance = self.allowances.get_mut(&peer);
        allowance.is_some_and(|paid| paid.pay(now, ERRAND_INTERVAL, ERRAND_BURST))
    }

    /// It is done under this ticket.
    pub(super) fn begin(&mut self, ticket: Ticket, peer: NodeId, number: u64) {
        self.open.insert(ticket, (peer, number));
    }

    /// Whom to tell what came of this, if it is an errand.
    pub(super) fn end(&mut self, ticket: Ticket) -> Option<(NodeId, u64)> {
        self.open.remove(&ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn ten_a_second_of_each_peer_are_done_and_others_have_theirs_beside_it() {
        let (mut desk, mut now) = (ErrandDesk::default(), Instant::from_micros(1_000_000_000));
        let mut done = [0_u32; 2];
        for _ in 0..1_000 {
            for (who, done) in done.iter_mut().enumerate() {
                // The first one asks a hundred times as often as the second.
                for _ in 0..[100, 1][who] {
                    *done += u32::from(desk.take(now, peer(u8::try_from(who).unwrap())));
                }
            }
            now = now + Duration::from_millis(100);
        }
        assert_eq!(done[0], 1_000 + ERRAND_BURST - 1, "a burst, and then one in 100 ms");
        assert_eq!(done[1], 1_000);
    }

    #[test]
    fn so_many_are_under_way_of_one_and_of_all_and_who_ends_makes_room() {
        let (mut desk, now) = (ErrandDesk::default(), Instant::from_micros(1_000_000_000));
        let mut tickets = (0..).map(Ticket);
        let mut taken = [0; 20];
        for (who, taken) in taken.iter_mut().enumerate() {
            let peer = peer(u8::try_from(who).unwrap());
            while *taken < 100 && desk.take(now, peer) {
                desk.begin(tickets.next().unwrap(), peer, 7);
                *taken += 1;
            }
        }
        assert_eq!(taken[..8], [MAX_ERRANDS_PER_PEER; 8]);
        assert_eq!(taken[8..], [0; 12], "{MAX_ERRANDS} in all");
        assert_eq!(desk.end(Ticket(0)), Some((peer(0), 7)));
        assert_eq!(desk.end(Ticket(0)), None);
        assert!(desk.take(now, peer(19)));
    }
}
