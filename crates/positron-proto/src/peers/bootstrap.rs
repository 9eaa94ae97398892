//! The addresses that the operator gave: never given up, and how it goes with each in words.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    PeersEffect,
    connected::ConnectedPeers,
    dialer::{DialReason, Dialer},
    redial::{Redial, backoff},
    scope::canonical,
    turn::Turn,
};
use crate::{
    deadlines::Deadlines,
    handshake::Expect,
    id::NodeId,
    limits::{
        BOOTSTRAP_LONGEST, LOST_LONGEST, MAX_BOOTSTRAP, MAX_RESOLVED, REDIAL_FIRST, REFUSED_PAUSE,
    },
    session::sessions::{DialFailure, DialOutcome, DialRequest, Purpose},
    time::{Duration, Instant},
    wire::frame::CloseReason,
};

/// How it goes with one bootstrap address: in words for `start` and `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// As configured.
    pub address: String,
    /// What happened last.
    pub state: BootstrapState,
    /// Dials so far.
    pub attempts: u32,
}

/// See [`Bootstrap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapState {
    /// Not tried yet, or being tried for the first time.
    Trying,
    /// Linked, or it answered before.
    Reached(NodeId),
    /// The address does not read as `host:port`.
    Unusable(String),
    /// The name has no address, and why.
    Unresolved(String),
    /// The last dial failed, and why.
    Failed(DialFailure),
}

/// One bootstrap address.
#[derive(Debug)]
struct BootstrapEntry {
    view: Bootstrap,
    place: Place,
    /// Addresses of the present attempt that were not dialled yet.
    queue: VecDeque<SocketAddr>,
    /// The name is being looked up.
    resolving: bool,
    /// Attempts in a row that failed.
    failures: u32,
    /// Who answered there last.
    found: Option<NodeId>,
}

/// The addresses that the operator gave, each dialled until its node is linked, and again when it
/// is lost.
///
/// With enough peers, and a node that answers there, an address is left in peace. A name is looked
/// up before each attempt ([`PeersEffect::Resolve`], answered by
/// [`handle_resolved`](Self::handle_resolved)), and each dial is answered by
/// [`handle_dial_ended`](Self::handle_dial_ended). At most [`MAX_BOOTSTRAP`] addresses, and
/// [`MAX_RESOLVED`] dials for one name.
#[derive(Debug)]
pub(super) struct BootstrapAddresses {
    entries: Vec<BootstrapEntry>,
    deadlines: Deadlines<usize>,
    /// Peers with which an address that answers is left in peace.
    enough: usize,
    /// Who was reached last although it is banned.
    banned_contact: Option<NodeId>,
}

/// What stands in front of the port.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    Name,
    Nowhere,
}

impl BootstrapEntry {
    fn new(address: String) -> Self {
        let (place, state) = match parse(&address) {
            Ok(place) => (place, BootstrapState::Trying),
            Err(why) => (Place::Nowhere, BootstrapState::Unusable(why.to_owned())),
        };
        Self {
            view: Bootstrap { address, state, attempts: 0 },
            place,
            queue: VecDeque::new(),
            resolving: false,
            failures: 0,
            found: None,
        }
    }

    fn is_banned(&self) -> bool {
        self.view.state == BootstrapState::Failed(DialFailure::Closed(CloseReason::Banned))
    }
}

impl BootstrapAddresses {
    pub(super) fn new(addresses: &[String], enough: usize) -> Self {
        let mut all =
            Self { entries: Vec::new(), deadlines: Deadlines::new(), enough, banned_contact: None };
        for address in addresses {
            all.insert(address.clone());
        }
        all
    }

    /// How it goes with each address, in the order in which they were given.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bootstrap> {
        self.entries.iter().map(|entry| &entry.view)
    }

    /// One more address, dialled as soon as possible.
    pub(super) fn add(&mut self, now: Instant, address: String) {
        if let Some(index) = self.insert(address) {
            self.deadlines.set_earliest(index, now);
        }
    }

    /// Dials every address as soon as possible.
    pub(super) fn hurry(&mut self, now: Instant) {
        for index in 0..self.entries.len() {
            self.deadlines.set_earliest(index, now);
        }
    }

    pub(super) fn handle_peer_up(&mut self, peer: &NodeId) {
        self.banned_contact = self.banned_contact.filter(|id| id != peer);
    }

    /// A link is gone: the address where its node was found is tried soon, and all of them when
    /// nobody is left.
    pub(super) fn handle_peer_down(
        &mut self,
        peer: NodeId,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let alone = links.is_empty();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if (alone || entry.found == Some(peer)) && !entry.is_banned() {
                entry.failures = 0;
                let soon = turn.now.mono + turn.rng.jitter(REDIAL_FIRST);
                self.deadlines.set_earliest(index, soon);
            }
        }
    }

    /// A banned node came up, and is let go.
    pub(super) fn handle_banned_contact(&mut self, peer: NodeId, turn: &mut Turn<'_>) {
        self.banned_contact = Some(peer);
        self.handle_banned(peer, turn);
    }

    /// Nobody there may stay linked: says so, and leaves it alone for long.
    pub(super) fn handle_banned(&mut self, peer: NodeId, turn: &mut Turn<'_>) {
        for index in 0..self.entries.len() {
            if self.entries[index].found == Some(peer) {
                let banned = DialFailure::Closed(CloseReason::Banned);
                self.entries[index].view.state = BootstrapState::Failed(banned);
                self.postpone(index, REFUSED_PAUSE, turn);
            }
        }
    }

    /// A name was looked up.
    pub(super) fn handle_resolved(
        &mut self,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        let waits = |entry: &BootstrapEntry| entry.resolving && entry.view.address == name;
        let Some(index) = self.entries.iter().position(waits) else { return };
        match outcome {
            Ok(addresses) if !addresses.is_empty() => {
                let entry = &mut self.entries[index];
                entry.resolving = false;
                entry.queue = addresses.into_iter().map(canonical).take(MAX_RESOLVED).collect();
                self.dial(index, dialer, turn);
            }
            Ok(_) => self.handle_unresolved(index, "no address".to_owned(), turn),
            Err(why) => self.handle_unresolved(index, why, turn),
        }
    }

    /// A dial for one of them is over.
    pub(super) fn handle_dial_ended(
        &mut self,
        index: usize,
        outcome: &DialOutcome,
        dialer: &mut Dialer,
        redial: &Redial,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        match outcome {
            DialOutcome::Connected(node) | DialOutcome::Probed(node) => {
                entry.found = Some(*node);
                if self.banned_contact == Some(*node) {
                    return self.handle_banned(*node, turn);
                }
                entry.failures = 0;
                entry.queue.clear();
                entry.view.state = BootstrapState::Reached(*node);
                self.postpone(index, BOOTSTRAP_LONGEST, turn);
            }
            DialOutcome::Failed(why) => {
                let hopeless = is_hopeless(why);
                if !matches!(why, DialFailure::Closed(CloseReason::Duplicate)) {
                    entry.view.state = BootstrapState::Failed(why.clone());
                }
                if !entry.queue.is_empty() {
                    return self.dial(index, dialer, turn);
                }
                entry.failures = entry.failures.saturating_add(1);
                let failures = if hopeless { u32::MAX } else { entry.failures };
                // Who was here a moment ago may be back any moment.
                let lost = entry.found.is_some_and(|node| redial.is_lost(&node));
                let longest = if lost { LOST_LONGEST } else { BOOTSTRAP_LONGEST };
                let wait = backoff(turn.rng, failures, longest);
                self.deadlines.set(index, turn.now.mono + wait);
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Tries the addresses that are due.
    pub(super) fn handle_timeout(
        &mut self,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        while let Some(index) = self.deadlines.pop_due(turn.now.mono) {
            self.attempt(index, links, dialer, turn);
        }
    }

    fn insert(&mut self, address: String) -> Option<usize> {
        let known = self.entries.iter().position(|entry| entry.view.address == address);
        if known.is_some() {
            return known;
        }
        if self.entries.len() >= MAX_BOOTSTRAP {
            return None;
        }
        self.entries.push(BootstrapEntry::new(address));
        Some(self.entries.len() - 1)
    }

    fn attempt(
        &mut self,
        index: usize,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = self.entries.get(index) else { return };
        if entry.resolving {
            let silent = "the resolver does not answer".to_owned();
            return self.handle_unresolved(index, silent, turn);
        }
        let linked = entry.found.is_some_and(|found| links.contains(&found));
        // A node that answers, if only to say that it is full, is known to be there: with enough
        // peers it is left in peace, or a large network would knock on its bootstrap nodes forever.
        let full = DialFailure::Closed(CloseReason::SlotsFull);
        let answers = entry.found.is_some() || entry.view.state == BootstrapState::Failed(full);
        let content = links.len() >= self.enough && answers;
        if linked || content || dialer.free_slots(links) == 0 {
            return self.postpone(index, BOOTSTRAP_LONGEST, turn);
        }
        let entry = &mut self.entries[index];
        if entry.queue.is_empty() {
            match entry.place {
                Place::Nowhere => return,
                Place::Address(addr) => entry.queue.push_back(addr),
                Place::Name => {
                    entry.resolving = true;
                    turn.push(PeersEffect::Resolve(entry.view.address.clone()));
                    self.deadlines.set(index, turn.now.mono + RESOLVE_TIMEOUT);
                    return;
                }
            }
        }
        self.dial(index, dialer, turn);
    }

    /// Dials the next address of this attempt.
    fn dial(&mut self, index: usize, dialer: &mut Dialer, turn: &mut Turn<'_>) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let Some(&to) = entry.queue.front() else { return };
        let purpose = Purpose::Connect;
        let request = DialRequest { to, expect: Expect::Anyone, noise_static: None, purpose };
        if dialer.dial(request, DialReason::Bootstrap(index), turn) {
            entry.queue.pop_front();
            entry.view.attempts = entry.view.attempts.saturating_add(1);
            // Only a lost answer lets this one fire.
            self.postpone(index, BOOTSTRAP_LONGEST, turn);
        } else {
            // Every dial is taken, or this address is being dialled for another reason.
            self.postpone(index, REDIAL_FIRST, turn);
        }
    }

    fn handle_unresolved(&mut self, index: usize, why: String, turn: &mut Turn<'_>) {
        let entry = &mut self.entries[index];
        entry.resolving = false;
        entry.failures = entry.failures.saturating_add(1);
        entry.view.state = BootstrapState::Unresolved(why);
        let wait = backoff(turn.rng, entry.failures, BOOTSTRAP_LONGEST);
        self.deadlines.set(index, turn.now.mono + wait);
    }

    fn postpone(&mut self, index: usize, wait: Duration, turn: &mut Turn<'_>) {
        let at = turn.now.mono + turn.rng.jitter(wait);
        self.deadlines.set(index, at);
    }
}

/// What the next attempt will hardly change: asked again, but not eagerly.
const fn is_hopeless(why: &DialFailure) -> bool {
    use CloseReason::{Banned, SelfDial, WrongFeatures, WrongNetwork, WrongVersion};
    matches!(
        why,
        DialFailure::Ourselves
            | DialFailure::Closed(WrongNetwork | WrongVersion | WrongFeatures | Banned | SelfDial)
    )
}

fn parse(address: &str) -> Result<Place, &'static str> {
    if let Ok(addr) = address.parse::<SocketAddr>() {
        return match addr {
            _ if addr.port() == 0 => Err("port 0 is no port"),
            _ if addr.ip().is_unspecified() => {
                Err("this IP address means any, dial a specific one")
            }
            _ if addr.ip().is_multicast() => Err("this IP address is of a group, not of a node"),
            _ => Ok(Place::Address(canonical(addr))),
        };
    }
    if address.parse::<IpAddr>().is_ok() {
        return Err("the port is missing: write host:port, an IPv6 address as [address]:port");
    }
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing: write host:port")?;
    match port.parse::<u16>() {
        Ok(0) => return Err("port 0 is no port"),
        Ok(_) => {}
        Err(_) => return Err("the port is not a number from 1 to 65535"),
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let readable = !host.is_empty() && host.len() <= MAX_NAME && host.chars().all(is_name);
    if readable { Ok(Place::Name) } else { Err("the host is neither a name nor an IP address") }
}

/// Guess: a resolver gives up on its own before that.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes in a host name (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_host_and_port_or_says_why_not() {
        for good in ["1.2.3.4:8888", "[::1]:8888", "seed.example.org:1", "localhost:8888"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "8888",
            "1.2.3.4",
            "::1",
            "host",
            "host:",
            "host:x",
            "host:0",
            "1.2.3.4:0",
            "host:70000",
            ":8888",
            "a b:1",
            "http://host:80",
            "0.0.0.0:8888",
            "224.0.0.1:1",
        ];
        for bad in bad {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
