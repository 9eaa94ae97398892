//! The addresses that the operator gave: not given up before the operator does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use super::{
    Bootstrap, BootstrapState, Given, PeersEffect,
    connected::ConnectedPeers,
    dial_schedule::backoff,
    dialer::{DialReason, Dialer},
    redial::Redial,
    target::{DialPlace, Target},
    turn::Turn,
};
use crate::{
    deadlines::Deadlines,
    handshake::{Expect, HandshakeFailure},
    id::NodeId,
    limits::{
        BOOTSTRAP_LONGEST, HEAD_START, LOST_LONGEST, MAX_BOOTSTRAP, MAX_RACING_ADDRESSES,
        MAX_RESOLVED, REDIAL_FIRST, REFUSED_PAUSE, SLOTS_FULL_PAUSE,
    },
    scope::with_zone,
    session::sessions::{DialFailure, DialOutcome, DialRequest, Effort, LinkDown, Purpose},
    time::{Duration, Instant},
    wire::frame::CloseReason,
};

/// One bootstrap address.
#[derive(Debug)]
struct BootstrapEntry {
    view: Bootstrap,
    target: Target,
    /// Addresses of the present attempt that were not dialled yet.
    queue: VecDeque<SocketAddr>,
    /// Dials of the present attempt that are not over; any other one was overtaken.
    under_way: Vec<(SocketAddr, Purpose)>,
    /// What it says about the present attempt if nothing better comes.
    failure: Option<DialFailure>,
    /// Somebody waits for an attempt: it is made even where we would leave the address in peace.
    asked: bool,
    /// The name is being looked up.
    resolving: bool,
    /// Attempts in a row that failed.
    failures: u32,
    /// Who answered there last.
    found: Option<NodeId>,
    /// No attempt before then, unless somebody asks: we let go of who was found there.
    left_alone_until: Instant,
}

/// The addresses that the operator gave, each dialled until its node is linked, and again when it
/// is lost, until it is [forgotten](Self::forget).
///
/// With enough peers, and a node that answers there, an address is left in peace, unless somebody
/// [asks](Self::ask). A name is looked up before each attempt ([`PeersEffect::Resolve`], answered
/// by [`handle_resolved`](Self::handle_resolved)), and each dial is answered by
/// [`handle_dial_ended`](Self::handle_dial_ended). Of the addresses of a name the next is dialled
/// [`HEAD_START`] after the last one, or as soon as one fails, and families take turns (RFC 8305, 4
/// and 5). At most [`MAX_BOOTSTRAP`] addresses, [`MAX_RESOLVED`] dials in an attempt and
/// [`MAX_RACING_ADDRESSES`] of them at once.
#[derive(Debug)]
pub(super) struct BootstrapAddresses {
    /// By numbers in the order in which they were given, none of which is used twice.
    entries: BTreeMap<usize, BootstrapEntry>,
    next: usize,
    deadlines: Deadlines<usize>,
    /// Peers with which an address that answers is left in peace.
    enough: usize,
    /// Who was reached last although it is refused, and why it is.
    unwelcome: Option<(NodeId, CloseReason)>,
}

impl BootstrapEntry {
    fn new(address: String, given: Given) -> Self {
        let (target, state) = match Target::read(&address) {
            Ok(target) => (target, BootstrapState::Trying),
            Err(why) => (Target::nobody(), BootstrapState::Unusable(why.to_owned())),
        };
        Self {
            view: Bootstrap { address, given, state, attempts: 0 },
            target,
            queue: VecDeque::new(),
            under_way: Vec::new(),
            failure: None,
            asked: false,
            resolving: false,
            failures: 0,
            found: None,
            left_alone_until: Instant::ORIGIN,
        }
    }

    /// What the other end said says more than that nobody answered.
    fn handle_failure(&mut self, failure: &DialFailure) {
        if !matches!(self.failure, Some(DialFailure::Handshake(HandshakeFailure::Refused(_)))) {
            self.failure = Some(failure.clone());
        }
    }

    fn is_banned(&self) -> bool {
        self.view.state == BootstrapState::Failed(DialFailure::refused(CloseReason::Banned))
    }
}

impl BootstrapAddresses {
    pub(super) fn new(addresses: &[String], enough: usize) -> Self {
        let mut all = Self {
            entries: BTreeMap::new(),
            next: 0,
            deadlines: Deadlines::new(),
            enough,
            unwelcome: None,
        };
        for address in addresses {
            all.insert(address.clone(), Given::Configured);
        }
        all
    }

    /// How it goes with each address, in the order in which they were given.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bootstrap> {
        self.entries.values().map(|entry| &entry.view)
    }

    /// Somebody wants to know who answers there *now*: an attempt begins as soon as possible, and
    /// until it is over the address is being tried. Whether there is room for the address.
    pub(super) fn ask(&mut self, now: Instant, address: String) -> bool {
        let Some(index) = self.insert(address, Given::Joined) else { return false };
        let Some(entry) = self.entries.get_mut(&index) else { return false };
        if entry.target.place != DialPlace::Nowhere {
            entry.asked = true;
            entry.view.state = BootstrapState::Trying;
            self.deadlines.set_earliest(index, now);
        }
        true
    }

    /// The operator gives an address up. A dial that is under way is carried out. Whether it was
    /// there.
    pub(super) fn forget(&mut self, address: &str) -> bool {
        let Some(index) = self.place(address) else { return false };
        self.deadlines.clear(index);
        self.entries.remove(&index).is_some()
    }

    /// Dials every address as soon as possible.
    pub(super) fn hurry(&mut self, now: Instant) {
        for &index in self.entries.keys() {
            self.deadlines.set_earliest(index, now);
        }
    }

    /// Whether this node was found at one of them.
    pub(super) fn found(&self, peer: &NodeId) -> bool {
        self.entries.values().any(|entry| entry.found.as_ref() == Some(peer))
    }

    pub(super) fn handle_peer_up(&mut self, peer: &NodeId) {
        self.welcome(peer);
    }

    /// A link is gone: the address where its node was found is tried after about `wait`, and all of
    /// them when nobody is left, or when there are too few from now on: then none is left in peace.
    pub(super) fn handle_peer_down(
        &mut self,
        peer: NodeId,
        wait: Duration,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let alone = links.is_empty();
        let few_from_now_on = links.len() + 1 == self.enough;
        for (&index, entry) in &mut self.entries {
            if few_from_now_on && !entry.is_banned() {
                self.deadlines.set_earliest(index, turn.now.mono + turn.rng.jitter(wait));
            }
            if (alone || entry.found == Some(peer)) && !entry.is_banned() {
                entry.failures = 0;
                // That somebody was there is no reason why nobody is.
                if alone && matches!(entry.view.state, BootstrapState::Reached(_)) {
                    entry.view.state = BootstrapState::Trying;
                }
                self.deadlines.set_earliest(index, turn.now.mono + turn.rng.jitter(wait));
            }
        }
    }

    /// We let go of a peer: the address where it was found is not tried before `until`.
    pub(super) fn leave_alone(&mut self, peer: NodeId, until: Instant) {
        for entry in self.entries.values_mut().filter(|entry| entry.found == Some(peer)) {
            entry.left_alone_until = until;
        }
    }

    /// A ban was lifted: the address where its node was found is tried at once.
    pub(super) fn handle_unbanned(&mut self, now: Instant, peer: NodeId) {
        self.welcome(&peer);
        for (&index, entry) in &mut self.entries {
            if entry.found == Some(peer) {
                entry.view.state = BootstrapState::Trying;
                self.deadlines.set_earliest(index, now);
            }
        }
    }

    /// A node came up that is refused, and is let go.
    pub(super) fn handle_unwelcome(&mut self, peer: NodeId, why: CloseReason, turn: &mut Turn<'_>) {
        self.unwelcome = Some((peer, why.clone()));
        self.handle_refused(peer, &why, turn);
    }

    /// Nobody there may stay linked: says so, and leaves it alone for long.
    pub(super) fn handle_refused(&mut self, peer: NodeId, why: &CloseReason, turn: &mut Turn<'_>) {
        for (&index, entry) in &mut self.entries {
            if entry.found == Some(peer) {
                let refused = DialFailure::refused(why.clone());
                entry.view.state = BootstrapState::Failed(refused);
                self.deadlines.set(index, turn.now.mono + turn.rng.jitter(REFUSED_PAUSE));
            }
        }
    }

    /// A key gave way to another: who must answer there is the new one.
    pub(super) fn handle_succession(&mut self, old: NodeId, new: NodeId) {
        for entry in self.entries.values_mut() {
            if entry.target.expect == Expect::Node(old) {
                entry.target.expect = Expect::Node(new);
            }
            entry.found = entry.found.filter(|found| *found != old);
        }
    }

    fn welcome(&mut self, peer: &NodeId) {
        self.unwelcome.take_if(|(id, _)| id == peer);
    }

    /// A name was looked up.
    pub(super) fn handle_resolved(
        &mut self,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        let waits = |entry: &BootstrapEntry| entry.resolving && entry.target.host_and_port == name;
        let waiting = self.entries.iter_mut().find(|(_, entry)| waits(entry));
        let Some((&index, entry)) = waiting else { return };
        match outcome {
            Ok(addresses) if !addresses.is_empty() => {
                entry.resolving = false;
                entry.queue = in_turns(addresses, entry.failures);
                self.race_next_address(index, links, dialer, turn);
            }
            Ok(_) => self.handle_unresolved(index, "no address".to_owned(), turn),
            Err(why) => self.handle_unresolved(index, why, turn),
        }
    }

    /// A dial for one of them is over.
    pub(super) fn handle_dial_ended(
        &mut self,
        index: usize,
        (dial, outcome): (&DialRequest, &DialOutcome),
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        redial: &Redial,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        let is_this = |other: &(SocketAddr, Purpose)| *other == (dial.to, dial.purpose);
        let Some(at) = entry.under_way.iter().position(is_this) else { return };
        entry.under_way.swap_remove(at);
        match outcome {
            DialOutcome::Connected(node, _) => self.handle_reached(index, *node, turn),
            DialOutcome::Probed(node, _) if links.contains(node) => {
                self.handle_reached(index, *node, turn);
            }
            DialOutcome::Probed(node, _) => {
                entry.queue.clear();
                entry.under_way.clear();
                entry.found = None;
                let free = dialer.free_slots(links) > 0;
                entry.asked &= free;
                entry.view.state = if free {
                    BootstrapState::Trying
                } else if links.free_outbound() < links.free() {
                    BootstrapState::NoFreeOutbound(*node)
                } else {
                    BootstrapState::NoFreeSlot(*node)
                };
                let wait = if free { Duration::ZERO } else { BOOTSTRAP_LONGEST };
                self.postpone(index, wait, turn);
            }
            DialOutcome::Failed(failure) => {
                entry.handle_failure(failure);
                if !entry.queue.is_empty() {
                    self.race_next_address(index, links, dialer, turn);
                } else if entry.under_way.is_empty() {
                    self.handle_all_failed(index, links, redial, turn);
                }
            }
        }
    }

    fn handle_reached(&mut self, index: usize, node: NodeId, turn: &mut Turn<'_>) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        entry.found = Some(node);
        entry.queue.clear();
        entry.under_way.clear();
        entry.failure = None;
        entry.asked = false;
        if let Some((_, why)) = self.unwelcome.clone().filter(|(id, _)| *id == node) {
            return self.handle_refused(node, &why, turn);
        }
        entry.failures = 0;
        entry.view.state = BootstrapState::Reached(node);
        self.postpone(index, BOOTSTRAP_LONGEST, turn);
    }

    /// The present attempt is over.
    fn handle_all_failed(
        &mut self,
        index: usize,
        links: &ConnectedPeers,
        redial: &Redial,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        let Some(failure) = entry.failure.take() else { return };
        let hopeless = is_hopeless(&failure);
        // Who is full told us of others, and is no less full in a second: where many begin at the
        // same time, most of what they did was to knock again. Nobody at all is another matter.
        let is_full = failure.is_for_want_of_room() && !links.is_empty();
        if failure != DialFailure::refused(CloseReason::Duplicate) {
            entry.asked = false;
            entry.view.state = BootstrapState::Failed(failure);
        }
        entry.failures = entry.failures.saturating_add(1);
        let failures = if hopeless { u32::MAX } else { entry.failures };
        // Who was here a moment ago may be back any moment.
        let lost = entry.found.is_some_and(|node| redial.is_lost(&node));
        let longest = if lost { LOST_LONGEST } else { BOOTSTRAP_LONGEST };
        let wait = backoff(turn.rng, failures, longest);
        let least = if is_full { turn.rng.jitter(SLOTS_FULL_PAUSE) } else { Duration::ZERO };
        self.deadlines.set(index, turn.now.mono + wait.max(least));
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

    fn place(&self, address: &str) -> Option<usize> {
        let mut all = self.entries.iter();
        all.find(|(_, entry)| entry.view.address == address).map(|(index, _)| *index)
    }

    fn insert(&mut self, address: String, given: Given) -> Option<usize> {
        if let Some(index) = self.place(&address) {
            return Some(index);
        }
        if self.entries.len() >= MAX_BOOTSTRAP {
            return None;
        }
        let index = self.next;
        self.next += 1;
        self.entries.insert(index, BootstrapEntry::new(address, given));
        Some(index)
    }

    fn attempt(
        &mut self,
        index: usize,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        if entry.resolving {
            let silent = "the resolver does not answer".to_owned();
            return self.handle_unresolved(index, silent, turn);
        }
        if !entry.queue.is_empty() {
            return self.race_next_address(index, links, dialer, turn);
        }
        if !entry.asked && entry.left_alone_until > turn.now.mono {
            self.deadlines.set(index, entry.left_alone_until);
            return;
        }
        let linked = entry.found.is_some_and(|found| links.contains(&found));
        // A node that answers, if only to say that it is full, is known to be there: with enough
        // peers it is left in peace, or a large network would knock on its bootstrap nodes forever.
        let is_full = match &entry.view.state {
            BootstrapState::Failed(failure) => failure.is_for_want_of_room(),
            _ => false,
        };
        let answers = entry.found.is_some() || is_full;
        let content = links.len() >= self.enough && answers;
        if !entry.asked && (linked || content || dialer.free_slots(links) == 0) {
            return self.postpone(index, BOOTSTRAP_LONGEST, turn);
        }
        if !entry.asked {
            // Whatever is still under way by now has lost its answer.
            entry.under_way.clear();
            entry.failure = None;
        }
        match entry.target.place {
            DialPlace::Nowhere => {}
            DialPlace::Address(addr) => {
                entry.queue.push_back(addr);
                self.race_next_address(index, links, dialer, turn);
            }
            DialPlace::Name => {
                entry.resolving = true;
                turn.push(PeersEffect::Resolve(entry.target.host_and_port.clone()));
                self.deadlines.set(index, turn.now.mono + RESOLVE_TIMEOUT);
            }
        }
    }

    /// Dials the next address of this attempt. One that is there only to be asked gets no link.
    fn race_next_address(
        &mut self,
        index: usize,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        let Some(&to) = entry.queue.front() else { return };
        let linked = entry.found.is_some_and(|found| links.contains(&found));
        let only_ask = entry.asked && (linked || dialer.free_slots(links) == 0);
        let purpose = if only_ask { Purpose::Probe } else { Purpose::Connect };
        let (expect, effort) = (entry.target.expect, Effort::Full);
        let request = DialRequest { to, expect, noise_static: None, purpose, effort };
        let reason = DialReason::Bootstrap(index);
        if entry.under_way.len() < MAX_RACING_ADDRESSES && dialer.dial(request, reason, links, turn)
        {
            entry.queue.pop_front();
            entry.under_way.push((to, purpose));
            entry.view.attempts = entry.view.attempts.saturating_add(1);
            if entry.queue.is_empty() {
                // Only a lost answer lets this one fire.
                self.postpone(index, BOOTSTRAP_LONGEST, turn);
            } else {
                self.deadlines.set(index, turn.now.mono + HEAD_START);
            }
        } else {
            // Every dial is taken, or this address is being dialled for another reason.
            self.postpone(index, REDIAL_FIRST, turn);
        }
    }

    fn handle_unresolved(&mut self, index: usize, why: String, turn: &mut Turn<'_>) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        entry.resolving = false;
        entry.asked = false;
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

/// The addresses of a name, families in turn (RFC 8305, 4). Where there are more than one attempt
/// tries, each attempt begins where the one before it ended.
fn in_turns(addresses: Vec<SocketAddr>, failures: u32) -> VecDeque<SocketAddr> {
    let mut known = BTreeSet::new();
    let addresses = addresses.into_iter().map(with_zone).filter(|addr| known.insert(*addr));
    let (mut preferred, mut others) = (VecDeque::new(), VecDeque::new());
    let mut preferred_family = None;
    for addr in addresses {
        let is_preferred = *preferred_family.get_or_insert(addr.is_ipv6()) == addr.is_ipv6();
        if is_preferred { preferred.push_back(addr) } else { others.push_back(addr) }
    }
    let mut all = VecDeque::with_capacity(preferred.len() + others.len());
    while !preferred.is_empty() || !others.is_empty() {
        all.extend(preferred.pop_front());
        all.extend(others.pop_front());
    }
    if all.len() > MAX_RESOLVED {
        let tried = usize::try_from(failures).unwrap_or(0).wrapping_mul(MAX_RESOLVED);
        all.rotate_left(tried % all.len());
        all.truncate(MAX_RESOLVED);
    }
    all
}

/// What the next attempt will hardly change: asked again, but not eagerly.
const fn is_hopeless(why: &DialFailure) -> bool {
    use CloseReason::{Banned, KeyRetired, SelfDial, WrongFeatures, WrongNetwork, WrongVersion};
    use HandshakeFailure::{Ourselves, Refused};
    matches!(
        why,
        DialFailure::Link(LinkDown::BannedAddress)
            | DialFailure::Handshake(
                Ourselves
                    | Refused(
                        WrongNetwork
                            | WrongVersion
                            | WrongFeatures
                            | Banned
                            | KeyRetired
                            | SelfDial
                    )
            )
    )
}

/// Guess: a resolver gives up on its own before that.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(20);
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_an_address_is_dialled_with_it() {
        for zoned in ["[fe80::1%3]:8888", "[fe80::1%4]:8888", "[::ffff:192.0.2.1]:1"] {
            let addr: SocketAddr = zoned.parse().unwrap();
            let target = Target::read(zoned).unwrap();
            for place in [target.place, DialPlace::Address(in_turns(vec![addr], 0)[0])] {
                let DialPlace::Address(to) = place else { panic!("{zoned} is an address") };
                let expected = zoned.replace("[::ffff:192.0.2.1]", "192.0.2.1");
                assert_eq!(to.to_string(), expected);
            }
        }
    }

    #[test]
    fn the_addresses_of_a_name_take_turns_by_family_and_none_is_left_out() {
        let text = |all: &VecDeque<SocketAddr>| {
            all.iter().map(|addr| addr.ip().to_string()).collect::<Vec<_>>().join(" ")
        };
        let parse = |ips: &str| -> Vec<SocketAddr> {
            ips.split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), 1)).collect()
        };
        let mixed = parse("::1 ::2 ::3 1.1.1.1 ::2 1.1.1.2");
        assert_eq!(text(&in_turns(mixed, 0)), "::1 1.1.1.1 ::2 1.1.1.2 ::3");
        let many: Vec<_> = (0..=u8::MAX).map(|n| SocketAddr::from(([10, 0, 0, n], 1))).collect();
        let attempts = u32::try_from(many.len().div_ceil(MAX_RESOLVED)).unwrap();
        let tried: BTreeSet<_> = (0..attempts).flat_map(|n| in_turns(many.clone(), n)).collect();
        assert_eq!(tried.len(), many.len());
    }
}
