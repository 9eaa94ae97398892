//! Whether strangers reach a node at the addresses of its record.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    PeersEffect, PeersMessage,
    address_book::AddressBook,
    connected::{ConnectedPeers, PeerLink},
    dialer::{DialReason, Dialer},
    entry::AddressEntry,
    redial::backoff,
    scope::{Scope, canonical},
    turn::Turn,
};
use crate::{
    deadlines::Deadlines,
    handshake::Expect,
    id::NodeId,
    identity::Signed,
    limits::{
        CHECK_TIMEOUT, HANDSHAKE_TIMEOUT, MAX_ADDRESSES_PER_QUESTION, MAX_PROBES_PER_PEER,
        MAX_QUESTIONS, QUESTION_INTERVAL, REDIAL_LONGEST,
    },
    misbehavior::Misbehavior,
    session::sessions::{DialRequest, Purpose},
    time::{Duration, Instant},
    wire::record::PeerRecord,
};

/// Proofs that strangers reach nodes at their addresses: only then are these passed on.
///
/// That a dial of ours gets through is not enough. Whoever has a link to us has opened whatever is
/// in front of it for our answers: for our address and port, or for our address whichever the port
/// (RFC 4787, 5), and for nobody else. A dial that finds the node proves its address
///
/// - if the node was not linked to us before, for as long as such a thing is remembered, and did
///   not dial us at the same time, which is known when its handshake would be over;
/// - if it went out from a port of its own, over a byte stream ([`Purpose::FreshProbe`]): the port
///   at which the node listens is one from which it never asks for a stream itself;
/// - if a peer at another address passed the record on: it had to prove it too.
///
/// Who is linked and unproven is probed from new ports. While that fails, one peer at a time, and
/// each that comes, is asked to dial it ([`PeersMessage::Check`]); who was not linked to it either
/// can tell, and answers by passing the record on, and then it is dialled once more in any way. So
/// nodes without byte streams are proven as well, nobody makes us pass on where we did not find
/// its node ourselves, and who vouches for what is not so only brings us to pass on what we reach.
///
/// Bounded: [`MAX_PROBES_PER_PEER`] a link, and as many when somebody vouched; one question of ours
/// in [`QUESTION_INTERVAL`], or as many to a newcomer as it takes; [`MAX_QUESTIONS`] of others, a
/// quarter of them by one peer, each for [`CHECK_TIMEOUT`] and [`MAX_ADDRESSES_PER_QUESTION`]
/// addresses.
#[derive(Debug)]
pub(super) struct Proofs {
    me: NodeId,
    /// When a node is to be probed.
    probes: Deadlines<NodeId>,
    /// When a node that was found and could have dialled us would have been heard of.
    settling: Deadlines<NodeId>,
    /// Whom others asked us to dial.
    questions: BTreeMap<NodeId, Question>,
    /// When we may ask somebody.
    next_question: Instant,
}

/// A wish of a peer that we dial a node.
#[derive(Debug)]
struct Question {
    asker: NodeId,
    /// Addresses that were dialled in vain.
    tried: usize,
    since: Instant,
}

impl Proofs {
    pub(super) fn new(me: NodeId) -> Self {
        Self {
            me,
            probes: Deadlines::new(),
            settling: Deadlines::new(),
            questions: BTreeMap::new(),
            next_question: Instant::ORIGIN,
        }
    }

    /// A dial found `node`.
    pub(super) fn handle_found(
        &mut self,
        dial: &DialRequest,
        node: NodeId,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let vouched = book.get(&node).is_some_and(|entry| entry.vouched);
        if dial.purpose == Purpose::FreshProbe || vouched {
            book.handle_answer(node, dial.to, true, turn.now.wall, turn.out);
            self.handle_proven(node, book, links, turn);
        } else {
            book.handle_answer(node, dial.to, false, turn.now.wall, turn.out);
            self.settle(node, dial.to, book, links, turn.now.mono);
        }
    }

    /// `node` answered us at an address. If it had not opened it for us that proves it, unless it
    /// proves to have dialled us at the same time.
    fn settle(
        &mut self,
        node: NodeId,
        at: SocketAddr,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        now: Instant,
    ) {
        let by_this_dial = |link: &PeerLink| link.dialled == Some(at);
        let was_closed = links.get(&node).is_none_or(by_this_dial)
            && book.get(&node).is_some_and(|entry| !entry.lets_us_in(now));
        if was_closed {
            book.change(&node, |entry| entry.found = Some(at));
            self.settling.set_earliest(node, now + HANDSHAKE_TIMEOUT);
        }
    }

    /// A node dialled us: that it answers proves nothing any more.
    pub(super) fn handle_contact(
        &mut self,
        node: NodeId,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        now: Instant,
    ) {
        let found = book.change(&node, |entry| {
            entry.spoke = Some(now);
            entry.found.take()
        });
        if found.flatten().is_some() && links.contains(&node) {
            self.probes.set_earliest(node, now);
        }
    }

    /// `from` told the record of `node` that we have, which may be `news`.
    pub(super) fn handle_told(
        &mut self,
        from: NodeId,
        node: NodeId,
        news: bool,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        if from != node {
            self.handle_passed_on(from, node, book, links, turn);
        }
        if from == node || news {
            self.prove(node, book, links, turn);
        }
        if news && self.questions.contains_key(&node) {
            self.probes.set_earliest(node, turn.now.mono);
        }
    }

    /// A linked peer's record is in the book: is one of its addresses proven?
    fn prove(
        &mut self,
        node: NodeId,
        book: &mut AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(link) = links.get(&node) else { return };
        let Some(entry) = book.get(&node) else { return };
        if entry.is_verified() {
            return;
        }
        let lists = |at: &SocketAddr| entry.known.record.content().lists(canonical(*at));
        match link.dialled.filter(lists) {
            Some(at) if !entry.lets_us_in(turn.now.mono) => {
                self.settle(node, at, book, links, turn.now.mono);
            }
            _ => self.probes.set_earliest(node, turn.now.mono),
        }
    }

    /// A peer passed on the record that we have of a linked one.
    fn handle_passed_on(
        &mut self,
        from: NodeId,
        node: NodeId,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let (Some(witness), Some(link)) = (links.get(&from), links.get(&node)) else { return };
        if can_tell(witness, link) && book.get(&node).is_some_and(is_in_doubt) {
            book.change(&node, |entry| entry.vouched = true);
            if let Some(link) = links.get_mut(&node) {
                link.probes = 0;
            }
            self.probes.set(node, turn.now.mono);
        }
    }

    /// A probe of an address of `node` failed.
    pub(super) fn handle_failed(
        &mut self,
        node: NodeId,
        book: &AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        if let Some(link) = links.get(&node) {
            // The first doublings are skipped: nobody waits for a proof.
            let wait = backoff(turn.rng, link.probes + 2, REDIAL_LONGEST);
            self.probes.set(node, turn.now.mono + wait);
            let others: Vec<NodeId> = links.iter().map(|(other, _)| *other).collect();
            let able = |other: &NodeId| links.get(other).is_some_and(|other| can_tell(other, link));
            let able: Vec<NodeId> =
                others.into_iter().filter(|other| *other != node && able(other)).collect();
            if let Some(&witness) = turn.rng.choose(&able) {
                self.ask(witness, node, book, links, turn);
            }
        } else if let Some(question) = self.questions.get_mut(&node) {
            question.tried += 1;
            let addresses = book.get(&node).map_or(0, |entry| entry.usable.len());
            if question.tried < addresses.min(MAX_ADDRESSES_PER_QUESTION) {
                self.probes.set(node, turn.now.mono);
            } else {
                self.questions.remove(&node);
            }
        }
    }

    /// Somebody else answers at an address of `node`.
    pub(super) fn handle_wrong_node(
        &mut self,
        node: NodeId,
        dial: &DialRequest,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let to = canonical(dial.to);
        let lied = book.change(&node, |entry| {
            entry.usable.retain(|addr| *addr != to);
            let was_good = entry.is_verified();
            entry.known.dialled = entry.known.dialled.filter(|addr| *addr != to);
            let demoted = was_good && !entry.is_verified();
            // One network address translator with two nodes behind it makes honest nodes name a
            // false address: they are blamed once, not for ever.
            let named = entry.known.record.content().lists(to);
            let lied = named && entry.linked && !entry.blamed;
            entry.blamed |= lied;
            (lied, demoted)
        });
        let Some((lied, demoted)) = lied else { return };
        if lied && dial.purpose.is_probe() {
            turn.blame(node, Misbehavior::FalseAddress);
        }
        if demoted {
            book.forget_stored(node, turn.out);
        }
        book.report_evicted(turn.out);
        if dial.purpose.is_probe() {
            self.handle_failed(node, book, links, turn);
        }
    }

    /// A peer asks us to dial a node: whether we can tell, and its record is to be looked at.
    pub(super) fn handle_question(
        &mut self,
        from: NodeId,
        record: &Signed<PeerRecord>,
        book: &AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) -> bool {
        let node = record.content().node_id();
        let known = book.get(&node);
        let lets_us_in = known.is_some_and(|entry| entry.lets_us_in(turn.now.mono));
        let of_asker = self.questions.values().filter(|question| question.asker == from);
        let has_room = of_asker.count() < MAX_QUESTIONS / 4
            && self.questions.len() < MAX_QUESTIONS
            && !self.questions.contains_key(&node);
        if node == self.me || links.contains(&node) || lets_us_in || !has_room {
            turn.counters.checks_refused += 1;
            return false;
        }
        self.questions.insert(node, Question { asker: from, tried: 0, since: turn.now.mono });
        if known.is_some_and(|entry| entry.known.record.claim() == record) {
            self.probes.set_earliest(node, turn.now.mono);
        }
        true
    }

    /// An address of `node` is proven: who asked is told.
    fn handle_proven(
        &mut self,
        node: NodeId,
        book: &AddressBook,
        links: &ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(Question { asker, .. }) = self.questions.remove(&node) else { return };
        if let Some(entry) = book.get(&node).filter(|entry| entry.is_verified())
            && links.contains(&asker)
        {
            let message = PeersMessage::Announcement(vec![entry.known.record.claim().clone()]);
            turn.push(PeersEffect::Send { to: asker, message });
        }
    }

    /// Somebody came, who can tell of peers that we can not tell of.
    pub(super) fn peer_up(
        &mut self,
        newcomer: NodeId,
        book: &AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(witness) = links.get(&newcomer) else { return };
        let in_doubt = |(node, link): &(&NodeId, &PeerLink)| {
            **node != newcomer
                && link.probes > 0
                && can_tell(witness, link)
                && book.get(node).is_some_and(is_in_doubt)
        };
        let mut in_doubt: Vec<NodeId> =
            links.iter().filter(in_doubt).map(|(node, _)| *node).collect();
        turn.rng.shuffle(&mut in_doubt);
        if turn.now.mono >= self.next_question {
            for &node in in_doubt.iter().take(MAX_QUESTIONS / 4) {
                self.next_question = turn.now.mono;
                self.ask(newcomer, node, book, links, turn);
            }
        }
    }

    pub(super) fn peer_down(&mut self, peer: NodeId) {
        self.probes.clear(peer);
    }

    /// Forgets questions that came to nothing.
    pub(super) fn expire(&mut self, now: Instant) {
        self.questions.retain(|_, question| now.since(question.since) < CHECK_TIMEOUT);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let next = [self.probes.next(), self.settling.next()];
        next.into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Dials addresses to see whether others may be told of them.
    pub(super) fn handle_timeout(
        &mut self,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        while let Some(node) = self.settling.pop_due(turn.now.mono) {
            if let Some(at) = book.change(&node, |entry| entry.found.take()).flatten() {
                book.change(&node, |entry| entry.proven_at(at));
                book.remember(node, turn.out);
                self.handle_proven(node, book, links, turn);
            }
        }
        while let Some(node) = self.probes.pop_due(turn.now.mono) {
            let Some(entry) = book.get(&node) else { continue };
            let (purpose, tried) = match links.get(&node) {
                Some(link) if entry.is_verified() || link.probes >= MAX_PROBES_PER_PEER => continue,
                Some(link) if entry.vouched => (Purpose::Probe, link.probes),
                Some(link) => (Purpose::FreshProbe, link.probes),
                None => match self.questions.get(&node) {
                    Some(question) => (Purpose::Probe, u32::try_from(question.tried).unwrap_or(0)),
                    None => continue,
                },
            };
            let turns = usize::try_from(tried).unwrap_or(0) % entry.usable.len().max(1);
            let Some(&to) = entry.usable.get(turns) else { continue };
            let probe = DialRequest {
                to,
                expect: Expect::Node(node),
                noise_static: Some(entry.known.record.content().noise_static),
                purpose,
            };
            if !dialer.dial(probe, DialReason::Probe, turn) {
                let later = turn.now.mono + turn.rng.jitter(PROBE_LATER);
                self.probes.set(node, later);
            } else if let Some(link) = links.get_mut(&node) {
                link.probes += 1;
            }
        }
    }

    /// Asks `witness` to dial a linked peer that is neither proven nor vouched for.
    fn ask(
        &mut self,
        witness: NodeId,
        node: NodeId,
        book: &AddressBook,
        links: &mut ConnectedPeers,
        turn: &mut Turn<'_>,
    ) {
        let Some(entry) = book.get(&node).filter(|entry| is_in_doubt(entry)) else { return };
        let now = turn.now.mono;
        let is_due = now >= self.next_question;
        if is_due && links.get_mut(&witness).is_some_and(|link| link.may_ask(now)) {
            self.next_question = now + QUESTION_INTERVAL;
            turn.counters.checks_asked += 1;
            let message = PeersMessage::Check(entry.known.record.claim().clone());
            turn.push(PeersEffect::Send { to: witness, message });
        }
    }
}

/// Whether nobody found the node of an entry as strangers would.
const fn is_in_doubt(entry: &AddressEntry) -> bool {
    !entry.is_verified() && !entry.vouched
}

/// Whether a peer that finds the node of a link finds it as strangers do: it is at another address
/// than we are, which who is as far away surely is, and not with the node behind one translator.
fn can_tell(witness: &PeerLink, of: &PeerLink) -> bool {
    let [witness_ip, of_ip] = [witness, of].map(|link| link.peer.addr.ip().to_canonical());
    witness.scope >= of.scope && (of.scope < Scope::Public || witness_ip != of_ip)
}

/// Wait for a free probe.
const PROBE_LATER: Duration = Duration::from_millis(500);
