//! Searches where one side's port is another one for everybody: many sockets here, many ports
//! guessed there.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{Ipv4Addr, SocketAddr},
};

use super::NatEffect;
use crate::{
    datagram::contract::ExtraSocket,
    id::NodeId,
    limits::{
        FRESH_SOCKETS, MAX_EXTRA_SOCKETS, MAX_PUNCH_BUDGETS, MAX_PUNCHED, SEARCH_GUESSES,
        SEARCH_LIFE, SEARCH_LOOK, SEARCH_PACE, SECOND_PORTS,
    },
    lru::LruMap,
    rng::Rng,
    time::Instant,
};

/// Which searches may begin, and the sockets of those that did.
///
/// **Bounds**: one search at a time, one of each peer and one for ports of each address in
/// [`SEARCH_PACE`]; [`MAX_EXTRA_SOCKETS`], each of which is closed when it was of no use for
/// [`SEARCH_LIFE`].
#[derive(Debug)]
pub(super) struct Searches {
    searched: LruMap<NodeId, Instant>,
    /// Whose ports were guessed.
    guessed: LruMap<Ipv4Addr, Instant>,
    /// Until when one is under way.
    until: Option<Instant>,
    /// The name of the socket that was opened last.
    named: u16,
    /// When it is looked whether each is of use.
    open: BTreeMap<ExtraSocket, Instant>,
}

impl Default for Searches {
    fn default() -> Self {
        Self {
            searched: LruMap::new(MAX_PUNCHED),
            guessed: LruMap::new(MAX_PUNCH_BUDGETS),
            until: None,
            named: 0,
            open: BTreeMap::new(),
        }
    }
}

impl Searches {
    /// Whether one with this peer may begin.
    pub(super) fn may_begin(&self, now: Instant, peer: &NodeId) -> bool {
        let was_long_ago = |at: &Instant| now.since(*at) >= SEARCH_PACE;
        self.until.is_none_or(|until| until <= now)
            && self.searched.get(peer).is_none_or(was_long_ago)
    }

    /// Whether ports of an address may be guessed, which is noted: nobody makes us guess those of a
    /// third party again and again, by however many peers.
    pub(super) fn may_guess(&mut self, now: Instant, of: Ipv4Addr) -> bool {
        if self.guessed.get(&of).is_some_and(|at| now.since(*at) < SEARCH_PACE) {
            return false;
        }
        self.guessed.insert(of, now);
        true
    }

    /// One begins.
    pub(super) fn begin(&mut self, now: Instant, peer: NodeId) {
        self.until = Some(now + SEARCH_LIFE);
        self.searched.insert(peer, now);
    }

    /// Opens so many sockets, or as many as there may be: the paths over them to this address.
    pub(super) fn open(
        &mut self,
        now: Instant,
        to: SocketAddr,
        sockets: usize,
        out: &mut VecDeque<NatEffect>,
    ) -> Vec<SocketAddr> {
        let mut paths = Vec::with_capacity(sockets);
        while paths.len() < sockets && self.open.len() < MAX_EXTRA_SOCKETS {
            self.named = self.named.wrapping_add(1);
            let socket = ExtraSocket(self.named);
            let Some(path) = socket.path(to) else { break };
            let is_others = [FRESH_SOCKETS, SECOND_PORTS].iter().any(|it| it.contains(&socket.0));
            if is_others || self.open.contains_key(&socket) {
                continue;
            }
            self.open.insert(socket, now + SEARCH_LIFE);
            out.push_back(NatEffect::OpenSocket(socket));
            paths.push(path);
        }
        paths
    }

    /// When to look which sockets are of no use.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.open.values().min().copied()
    }

    /// Closes those over which no connection goes, if it is time.
    pub(super) fn close_unused(
        &mut self,
        now: Instant,
        used: impl FnOnce() -> BTreeSet<ExtraSocket>,
        out: &mut VecDeque<NatEffect>,
    ) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        let used = used();
        self.open.retain(|socket, look_at| {
            let is_due = *look_at <= now;
            let is_used = used.contains(socket);
            if is_due && is_used {
                *look_at = now + SEARCH_LOOK;
            } else if is_due {
                out.push_back(NatEffect::CloseSocket(*socket));
            }
            !is_due || is_used
        });
    }
}

/// Ports of one address, each guessed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guesses {
    of: Ipv4Addr,
    guessed: BTreeSet<u16>,
}

impl Guesses {
    /// None so far.
    pub(super) const fn new(of: Ipv4Addr) -> Self {
        Self { of, guessed: BTreeSet::new() }
    }

    /// Whose ports they are.
    pub(super) const fn of(&self) -> Ipv4Addr {
        self.of
    }

    /// The next one, unless it was enough.
    pub(super) fn next(&mut self, rng: &mut Rng) -> Option<SocketAddr> {
        if self.guessed.len() >= SEARCH_GUESSES {
            return None;
        }
        loop {
            let port = u16::from_be_bytes(rng.bytes());
            if port >= FIRST_PORT && self.guessed.insert(port) {
                return Some(SocketAddr::new(self.of.into(), port));
            }
        }
    }
}

/// The first port that a translator gives (RFC 6335, 6: those below are the system's).
const FIRST_PORT: u16 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits::SEARCH_SOCKETS, rng::Seed};

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn there() -> SocketAddr {
        "20.1.1.1:4000".parse().unwrap()
    }

    #[test]
    fn one_search_is_under_way_at_a_time_and_one_of_a_peer_in_a_minute() {
        let (mut searches, mut now) = (Searches::default(), Instant::ORIGIN);
        assert!(searches.may_begin(now, &peer(1)));
        searches.begin(now, peer(1));
        assert!(!searches.may_begin(now, &peer(2)));
        now = now + SEARCH_LIFE;
        assert!(searches.may_begin(now, &peer(2)) && !searches.may_begin(now, &peer(1)));
        now = now + SEARCH_PACE;
        assert!(searches.may_begin(now, &peer(1)));
    }

    #[test]
    fn the_socket_over_which_a_connection_goes_stays_open_and_no_other() {
        let (mut searches, mut out, mut now) =
            (Searches::default(), VecDeque::new(), Instant::ORIGIN);
        let paths = searches.open(now, there(), SEARCH_SOCKETS, &mut out);
        assert_eq!((paths.len(), out.len()), (SEARCH_SOCKETS, SEARCH_SOCKETS));
        let used = ExtraSocket::split(paths[7]).0.unwrap();
        out.clear();
        searches.close_unused(now, || panic!("it is not time"), &mut out);
        now = searches.poll_timeout().unwrap();
        searches.close_unused(now, || BTreeSet::from([used]), &mut out);
        assert_eq!(out.len(), SEARCH_SOCKETS - 1);
        assert!(!out.contains(&NatEffect::CloseSocket(used)));
        // What is open is not given again, and ends with its connection.
        for _ in 0..=usize::from(u16::MAX) / SEARCH_SOCKETS {
            let again = searches.open(now, there(), SEARCH_SOCKETS, &mut out);
            assert!(again.iter().all(|path| ExtraSocket::split(*path).0 != Some(used)));
            now = now + SEARCH_LIFE;
            searches.close_unused(now, || BTreeSet::from([used]), &mut out);
        }
        out.clear();
        now = now + SEARCH_LOOK;
        searches.close_unused(now, BTreeSet::new, &mut out);
        assert_eq!(Vec::from(out), [NatEffect::CloseSocket(used)]);
        assert_eq!(searches.poll_timeout(), None);
    }

    #[test]
    fn however_often_sockets_are_opened_there_are_so_many_and_each_is_closed_in_time() {
        let (mut searches, mut now) = (Searches::default(), Instant::ORIGIN);
        let (mut open, mut most) = (BTreeSet::new(), 0);
        for _ in 0..2 * MAX_EXTRA_SOCKETS {
            let mut out = VecDeque::new();
            searches.open(now, there(), 1, &mut out);
            searches.open(now, there(), 1, &mut out);
            searches.close_unused(now, BTreeSet::new, &mut out);
            for effect in out {
                match effect {
                    NatEffect::OpenSocket(socket) => assert!(open.insert(socket)),
                    NatEffect::CloseSocket(socket) => assert!(open.remove(&socket)),
                    _ => {}
                }
            }
            most = most.max(open.len());
            // Others come before the first are due.
            now = now + SEARCH_LIFE / 1_000;
        }
        assert_eq!(most, MAX_EXTRA_SOCKETS);
        assert!(searches.poll_timeout().is_some_and(|at| at <= now + SEARCH_LIFE));
    }

    #[test]
    fn ports_of_one_address_are_guessed_once_in_a_minute() {
        let (mut searches, now) = (Searches::default(), Instant::ORIGIN);
        let [one, other] = [Ipv4Addr::new(20, 1, 1, 1), Ipv4Addr::new(20, 1, 1, 2)];
        assert!(searches.may_guess(now, one) && searches.may_guess(now, other));
        assert!(!searches.may_guess(now + SEARCH_PACE / 2, one));
        assert!(searches.may_guess(now + SEARCH_PACE, one));
    }

    #[test]
    fn no_port_is_guessed_twice_and_none_after_the_last() {
        let mut rng = Seed::from_number(1).stream("guesses");
        let mut guesses = Guesses::new(Ipv4Addr::new(20, 1, 1, 1));
        let all: BTreeSet<_> = core::iter::from_fn(|| guesses.next(&mut rng)).collect();
        assert_eq!(all.len(), SEARCH_GUESSES);
        assert!(all.iter().all(|at| at.port() >= FIRST_PORT));
    }
}
