//! The addresses that the operator gave: never given up, and how it goes with each in words.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    Peers, PeersEffect,
    dialer::{Attempt, DialReason},
    netgroup::canonical,
    peers::PeersWake,
};
use crate::{
    handshake::Expect,
    id::NodeId,
    limits::{
        BOOTSTRAP_LONGEST, LOST_LONGEST, MAX_BOOTSTRAP, MAX_RESOLVED, REDIAL_FIRST, REFUSED_PAUSE,
    },
    session::sessions::{DialFailure, DialOutcome, Purpose},
    time::{Duration, Now},
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
pub(super) struct BootstrapEntry {
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

    pub(super) const fn view(&self) -> &Bootstrap {
        &self.view
    }
}

impl Peers {
    pub(super) fn insert_bootstrap(&mut self, address: String) -> Option<usize> {
        let known = self.bootstraps.iter().position(|door| door.view.address == address);
        if known.is_some() {
            return known;
        }
        if self.bootstraps.len() >= MAX_BOOTSTRAP {
            return None;
        }
        self.bootstraps.push(BootstrapEntry::new(address));
        Some(self.bootstraps.len() - 1)
    }

    /// Dials every bootstrap address as soon as possible.
    pub(super) fn hurry_bootstraps(&mut self, now: Now) {
        for index in 0..self.bootstraps.len() {
            self.deadlines.set_earliest(PeersWake::Bootstrap(index), now.mono);
        }
    }

    /// A link is gone: the address where its node was found is tried soon, and all of them when
    /// nobody is left.
    pub(super) fn bootstrap_lost(&mut self, now: Now, peer: NodeId) {
        let alone = self.links.is_empty();
        for index in 0..self.bootstraps.len() {
            let door = &self.bootstraps[index];
            if (alone || door.found == Some(peer)) && !door.is_banned() {
                self.bootstraps[index].failures = 0;
                let soon = now.mono + self.rng.jitter(REDIAL_FIRST);
                self.deadlines.set_earliest(PeersWake::Bootstrap(index), soon);
            }
        }
    }

    /// Nobody there may stay linked: says so, and leaves it alone for long.
    pub(super) fn bootstrap_banned(&mut self, now: Now, peer: NodeId) {
        for index in 0..self.bootstraps.len() {
            if self.bootstraps[index].found == Some(peer) {
                let banned = DialFailure::Closed(CloseReason::Banned);
                self.bootstraps[index].view.state = BootstrapState::Failed(banned);
                self.postpone(now, index, REFUSED_PAUSE);
            }
        }
    }

    pub(super) fn bootstrap_due(
        &mut self,
        now: Now,
        index: usize,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let Some(door) = self.bootstraps.get(index) else { return };
        if door.resolving {
            let silent = "the resolver does not answer".to_owned();
            return self.bootstrap_unresolved(now, index, silent);
        }
        let linked = door.found.is_some_and(|found| self.links.contains(&found));
        // A node that answers, if only to say that it is full, is known to be there: with enough
        // peers it is left in peace, or a large network would knock on its bootstrap nodes forever.
        let full = DialFailure::Closed(CloseReason::SlotsFull);
        let answers = door.found.is_some() || door.view.state == BootstrapState::Failed(full);
        let content = self.links.len() >= self.config.min_peers && answers;
        if linked || content || self.free_slots() == 0 {
            return self.postpone(now, index, BOOTSTRAP_LONGEST);
        }
        let door = &mut self.bootstraps[index];
        if door.queue.is_empty() {
            match door.place {
                Place::Nowhere => return,
                Place::Address(addr) => door.queue.push_back(addr),
                Place::Name => {
                    door.resolving = true;
                    out.push_back(PeersEffect::Resolve(door.view.address.clone()));
                    self.deadlines.set(PeersWake::Bootstrap(index), now.mono + RESOLVE_TIMEOUT);
                    return;
                }
            }
        }
        self.dial_bootstrap(now, index, out);
    }

    pub(super) fn bootstrap_resolved(
        &mut self,
        now: Now,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let waits = |door: &BootstrapEntry| door.resolving && door.view.address == name;
        let Some(index) = self.bootstraps.iter().position(waits) else { return };
        match outcome {
            Ok(addresses) if !addresses.is_empty() => {
                let door = &mut self.bootstraps[index];
                door.resolving = false;
                door.queue = addresses.into_iter().map(canonical).take(MAX_RESOLVED).collect();
                self.dial_bootstrap(now, index, out);
            }
            Ok(_) => self.bootstrap_unresolved(now, index, "no address".to_owned()),
            Err(why) => self.bootstrap_unresolved(now, index, why),
        }
    }

    /// Dials the next address of this attempt.
    fn dial_bootstrap(&mut self, now: Now, index: usize, out: &mut VecDeque<PeersEffect>) {
        let Some(door) = self.bootstraps.get_mut(index) else { return };
        let Some(&to) = door.queue.front() else { return };
        let attempt = Attempt {
            to,
            expect: Expect::Anyone,
            noise_static: None,
            purpose: Purpose::Connect,
            why: DialReason::Bootstrap(index),
        };
        if self.dial(now, attempt, out) {
            let door = &mut self.bootstraps[index];
            door.queue.pop_front();
            door.view.attempts = door.view.attempts.saturating_add(1);
            // Only a lost answer lets this one fire.
            self.postpone(now, index, BOOTSTRAP_LONGEST);
        } else {
            // Every dial is taken, or this address is being dialled for another reason.
            self.postpone(now, index, REDIAL_FIRST);
        }
    }

    pub(super) fn bootstrap_dialled(
        &mut self,
        now: Now,
        index: usize,
        outcome: &DialOutcome,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let Some(door) = self.bootstraps.get_mut(index) else { return };
        match outcome {
            DialOutcome::Connected(node) | DialOutcome::Probed(node) => {
                door.found = Some(*node);
                if self.banned_contact == Some(*node) {
                    return self.bootstrap_banned(now, *node);
                }
                door.failures = 0;
                door.queue.clear();
                door.view.state = BootstrapState::Reached(*node);
                self.postpone(now, index, BOOTSTRAP_LONGEST);
            }
            DialOutcome::Failed(why) => {
                let hopeless = is_hopeless(why);
                if !matches!(why, DialFailure::Closed(CloseReason::Duplicate)) {
                    door.view.state = BootstrapState::Failed(why.clone());
                }
                if !door.queue.is_empty() {
                    return self.dial_bootstrap(now, index, out);
                }
                door.failures = door.failures.saturating_add(1);
                let failures = if hopeless { u32::MAX } else { door.failures };
                // Who was here a moment ago may be back any moment.
                let lost = door.found.is_some_and(|node| self.lost.contains_key(&node));
                let longest = if lost { LOST_LONGEST } else { BOOTSTRAP_LONGEST };
                let wait = self.backoff(failures, longest);
                self.deadlines.set(PeersWake::Bootstrap(index), now.mono + wait);
            }
        }
    }

    fn bootstrap_unresolved(&mut self, now: Now, index: usize, why: String) {
        let door = &mut self.bootstraps[index];
        door.resolving = false;
        door.failures = door.failures.saturating_add(1);
        door.view.state = BootstrapState::Unresolved(why);
        let wait = self.backoff(self.bootstraps[index].failures, BOOTSTRAP_LONGEST);
        self.deadlines.set(PeersWake::Bootstrap(index), now.mono + wait);
    }

    fn postpone(&mut self, now: Now, index: usize, wait: Duration) {
        let at = now.mono + self.rng.jitter(wait);
        self.deadlines.set(PeersWake::Bootstrap(index), at);
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
