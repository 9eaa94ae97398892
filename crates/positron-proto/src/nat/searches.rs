//! Searches where one side's port is another one for everybody: many sockets here, many ports
//! guessed there.

use std::{
    collections::{BTreeSet, VecDeque},
    net::{Ipv4Addr, SocketAddr},
};

use super::NatEffect;
use crate::{
    datagram::contract::ExtraSocket,
    id::NodeId,
    limits::{MAX_PUNCHED, SEARCH_GUESSES, SEARCH_LIFE, SEARCH_LOOK, SEARCH_PACE},
    lru::LruMap,
    rng::Rng,
    time::Instant,
};

/// Which searches may begin, and the sockets of those that did.
///
/// **Bounds**: one search at a time, one of each peer in [`SEARCH_PACE`]; [`SEARCH_SOCKETS`] that
/// are open for it, one for each peer that is looked for again, and those over which a connection
/// goes.
#[derive(Debug)]
pub(super) struct Searches {
    searched: LruMap<NodeId, Instant>,
    /// Until when one is under way.
    until: Option<Instant>,
    /// The name of the socket that was opened last.
    named: u16,
    open: BTreeSet<ExtraSocket>,
    look_at: Option<Instant>,
}

impl Default for Searches {
    fn default() -> Self {
        Self {
            searched: LruMap::new(MAX_PUNCHED),
            until: None,
            named: 0,
            open: BTreeSet::new(),
            look_at: None,
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

    /// One begins.
    pub(super) fn begin(&mut self, now: Instant, peer: NodeId) {
        self.until = Some(now + SEARCH_LIFE);
        self.searched.insert(peer, now);
    }

    /// Opens so many sockets: the paths over them to this address.
    pub(super) fn open(
        &mut self,
        now: Instant,
        to: SocketAddr,
        sockets: usize,
        out: &mut VecDeque<NatEffect>,
    ) -> Vec<SocketAddr> {
        self.look_at = Some(now + SEARCH_LIFE);
        let mut paths = Vec::with_capacity(sockets);
        while paths.len() < sockets {
            self.named = self.named.wrapping_add(1);
            let socket = ExtraSocket(self.named);
            let Some(path) = socket.path(to) else { break };
            if self.open.insert(socket) {
                out.push_back(NatEffect::OpenSocket(socket));
                paths.push(path);
            }
        }
        paths
    }

    /// When to look which sockets are of no use.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.look_at
    }

    /// Closes those over which no connection goes, if it is time.
    pub(super) fn close_unused(
        &mut self,
        now: Instant,
        used: impl FnOnce() -> BTreeSet<ExtraSocket>,
        out: &mut VecDeque<NatEffect>,
    ) {
        if self.look_at.is_none_or(|at| at > now) {
            return;
        }
        let used = used();
        let unused = self.open.extract_if(.., |socket| !used.contains(socket));
        out.extend(unused.map(NatEffect::CloseSocket));
        self.look_at = (!self.open.is_empty()).then_some(now + SEARCH_LOOK);
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
            now = searches.poll_timeout().unwrap();
            searches.close_unused(now, || BTreeSet::from([used]), &mut out);
        }
        out.clear();
        now = searches.poll_timeout().unwrap();
        searches.close_unused(now, BTreeSet::new, &mut out);
        assert_eq!(Vec::from(out), [NatEffect::CloseSocket(used)]);
        assert_eq!(searches.poll_timeout(), None);
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
