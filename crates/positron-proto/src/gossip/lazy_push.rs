//! The lazy half of the machine: announcements and requests.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Gossip, GossipEffect, GossipMessage,
    announcements::{Unannounced, send_all},
    anti_entropy::AntiEntropy,
    comparison::Comparison,
    config::interval,
    eager_push::EagerPush,
    fetches::{Announced, Asked},
    gossip::GossipWake,
    message_key::MessageKey,
    peer_state::{Suspicion, places},
    reach::PlaceSet,
    telling::trace,
    tree_links::TreeLinks,
    unserved::Question,
    validation::Validating,
};
use crate::{
    id::NodeId,
    identity::Verified,
    journey::{Forwarding, JourneyStep, Nth},
    limits::{
        LARGE_GOSSIP, OFFER_INTERVAL, PUSHED_WITHIN, SERVED_LEAST, SERVED_OF_ONE, WITHHELD_AFTER,
    },
    misbehavior::{Misbehavior, Observation},
    standings::TrustTable,
    time::Now,
    wire::{
        holdings::{Holdings, Ranges},
        message::AppMessage,
    },
};

/// The parts of it that are lent what they need.
impl Gossip {
    /// What grafts and prunes.
    pub(super) fn tree_links(&mut self) -> TreeLinks<'_> {
        TreeLinks {
            fanout: self.config.fanout,
            tree: &mut self.tree,
            links: &mut self.links,
            wanted: &mut self.wanted,
            rng: &mut self.rng,
            counters: &mut self.counters,
        }
    }

    /// What pushes.
    pub(super) const fn eager_push(&mut self) -> EagerPush<'_> {
        EagerPush(self)
    }

    /// What the application says of the broadcasts that it is asked about.
    pub const fn validating(&mut self) -> Validating<'_> {
        Validating(self)
    }

    /// What compares notes.
    pub(super) fn anti_entropy(&mut self) -> AntiEntropy<'_> {
        AntiEntropy {
            me: self.me,
            interval: interval(&self.config),
            store: &mut self.store,
            links: &mut self.links,
            rng: &mut self.rng,
            unheard: &mut self.unheard,
            counters: &mut self.counters,
        }
    }
}

/// Announcements and requests.
impl Gossip {
    /// Tells the peer that waits for it longest what is new and not known to be there; all of them,
    /// if there is much.
    pub(super) fn announce(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let (tells_all, end) = (self.announcements.is_full(), self.announcements.end());
        while let Some(peer) = self.announcements.next(&self.links)
            && let Some(link) = self.links.get_mut(&peer)
        {
            let mut list = Holdings::new();
            if !standings.is_banned(&peer, now.wall) {
                for (item, nth) in self.announcements.for_peer(link, &self.store) {
                    self.counters.ihave_sent += 1;
                    list.insert(item.sender, item.sequence);
                    let (to, how) = (vec![peer], Forwarding::Announce);
                    trace(nth, JourneyStep::Forwarded { to, how }, out);
                }
            }
            link.told = end;
            let is_over = !tells_all && !list.is_empty();
            send_all(vec![peer], list, GossipMessage::IHave, out);
            if is_over {
                break;
            }
        }
        self.announcements.forget_told(&self.links);
        self.announce_soon(now);
    }

    /// What is new is announced to one peer after the other.
    pub(super) fn announce_soon(&mut self, now: Now) {
        let told = self.links.values().filter(|link| link.is_announced_to).count();
        if let Some(turn) = self.announcements.turn(told) {
            self.deadlines.set_earliest(GossipWake::Announce, now.mono + turn);
        }
    }

    /// `peer` wants to be told of what is new, or not; if so, of what came since it did not, too,
    /// as far as others still wait to hear of it.
    pub(super) fn handle_announce(&mut self, now: Now, peer: &NodeId, wanted: bool) {
        let Some(link) = self.links.get_mut(peer) else { return };
        if wanted && !link.is_announced_to {
            link.told = link.told_until.max(self.announcements.first());
        } else if link.is_announced_to {
            link.told_until = link.told;
        }
        link.is_announced_to = wanted;
        self.announce_soon(now);
    }

    pub(super) fn handle_ihave(
        &mut self,
        now: Now,
        from: NodeId,
        holdings: &Holdings,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let peers = self.links.len();
        if holdings.is_empty() {
            self.anti_entropy().handle_end_of_list(now, from, out);
            return;
        }
        let none = Ranges::new();
        // Who names far less than there is names what is new.
        let named = holdings.iter().flat_map(|(_, of)| of.iter());
        let named = named
            .fold(0_u64, |sum, of| sum.saturating_add(of.end() - of.start()).saturating_add(1));
        let few = named < u64::try_from(self.store.size().0 / 2).unwrap_or(u64::MAX);
        for (sender, ranges) in holdings.iter() {
            let Some(link) = self.links.get_mut(&from) else { return };
            if !link.examining.take(now.mono, ranges.len()) {
                self.counters.rate_limited += 1;
                return;
            }
            // Who keeps the same does not answer.
            link.comparison.take_if(|comparison| !comparison.is_current(now.mono));
            let is_young = |it: &Comparison| it.is_young(now.mono);
            let is_answer = link.comparison.as_ref().is_some_and(is_young);
            let mut contested = Vec::new();
            if let Some(comparison) = &mut link.comparison {
                comparison.add(*sender, ranges, self.store.numbers(sender).unwrap_or(&none));
                contested = comparison.take_contested(*sender, ranges);
            }
            let unknown = self.store.unknown(sender, ranges, link.examining.handle_left(now.mono));
            link.examining.take(now.mono, unknown.len());
            // A list of everything may have said it a moment before: it is news all the same.
            self.note_all_reached(now, from, *sender, ranges, |nth, lacked| {
                if few || lacked && !is_answer {
                    trace(nth, JourneyStep::Had(from), out);
                }
            });
            self.handle_contested(now, from, contested, out);
            for sequence in unknown {
                let item = MessageKey { sender: *sender, sequence };
                let announced = Announced { by: from, bytes: None };
                if !self.wanted.handle_announcement(now.mono, item, announced, peers) {
                    break;
                }
            }
        }
        self.trim(now, out);
    }

    /// `peer` has another content under each of these numbers, or lacks the proof that there are
    /// two. It is asked for it, or shown both as if it had asked.
    fn handle_contested(
        &mut self,
        now: Now,
        peer: NodeId,
        items: Vec<MessageKey>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let (mut proved, mut wanted) = (Holdings::new(), Holdings::new());
        for item in items {
            let is_proved = self.store.get(&item).is_some_and(|kept| kept.rival().is_some());
            let list = if is_proved { &mut proved } else { &mut wanted };
            list.insert(item.sender, item.sequence);
        }
        send_all(vec![peer], wanted, GossipMessage::IWant, out);
        if !proved.is_empty() {
            self.handle_iwant(now, peer, &proved, out);
        }
    }

    /// Whatever takes longer to send than a round trip is sent to who asks: nobody gets it twice.
    pub(super) fn tell_of_large(
        &mut self,
        item: MessageKey,
        nth: Nth,
        message: &Verified<AppMessage>,
        to: Vec<NodeId>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        if to.is_empty() {
            return;
        }
        for peer in &to {
            self.counters.ihave_sent += 1;
            if let Some(link) = self.links.get_mut(peer) {
                link.owed.add(item);
            }
        }
        let step = JourneyStep::Forwarded { to: to.clone(), how: Forwarding::Announce };
        trace(nth, step, out);
        let MessageKey { sender, sequence } = item;
        let bytes = message.content().payload.len();
        let message = GossipMessage::Large { sender, sequence, bytes };
        out.push_back(GossipEffect::Send { to, message });
    }

    /// `from` has a large message, and waits to be asked for it.
    pub(super) fn handle_large(
        &mut self,
        now: Now,
        from: NodeId,
        item: MessageKey,
        bytes: usize,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let peers = self.links.len();
        let Some(link) = self.links.get_mut(&from) else { return };
        if !link.examining.take(now.mono, 1) {
            self.counters.rate_limited += 1;
            return;
        }
        self.note_reached(now, from, item);
        if let Some(kept) = self.store.get(&item) {
            trace(kept.nth, JourneyStep::Had(from), out);
        } else if !self.store.is_known(&item) {
            let announced = Announced { by: from, bytes: Some(bytes) };
            self.wanted.handle_announcement(now.mono, item, announced, peers);
        }
    }

    /// Asks for what is due, each holder once for all of it, and reminds it of the oldest.
    pub(super) fn fetch(&mut self, now: Now, out: &mut VecDeque<GossipEffect>) {
        let mut questions = BTreeMap::<NodeId, Holdings>::new();
        let mut silent = BTreeMap::<NodeId, Suspicion>::new();
        while let Some(item) = self.wanted.pop_due(now.mono) {
            let is_here = self.store.is_known(&item) || self.unvalidated.contains(&item);
            if is_here || self.wanted.is_postponed(&item) {
                self.wanted.end(&item);
                continue;
            }
            if self.store.has_no_room_for(&item) {
                self.wanted.postpone(now.mono, item);
                continue;
            }
            if let Some(Asked { whom, at }) = self.wanted.take_asked(&item) {
                self.counters.iwant_timeouts += 1;
                if self.links.get(&whom).is_some_and(|link| link.answered_since(at)) {
                    // It answers as fast as it can, or as it will: it is not silent.
                    self.wanted.put_last(&item, whom);
                } else {
                    silent.entry(whom).or_insert(Suspicion { item, asked: at });
                }
            }
            if let Some(holder) = self.wanted.ask_next(now.mono, item) {
                self.counters.iwant_sent += 1;
                questions.entry(holder).or_default().insert(item.sender, item.sequence);
            }
        }
        for (peer, suspicion) in silent {
            self.suspect(now, peer, suspicion, out);
        }
        for (peer, mut wanted) in questions {
            let senders: Vec<NodeId> = wanted.iter().map(|(sender, _)| *sender).collect();
            for sender in senders {
                if let Some(lowest) = self.wanted.remind(now.mono, sender, peer) {
                    wanted.insert(sender, lowest);
                }
            }
            send_all(vec![peer], wanted, GossipMessage::IWant, out);
        }
    }

    /// Takes note that `from` sent `item`; returns whether it was asked for it.
    pub(super) fn note_answer(&mut self, now: Now, from: NodeId, item: MessageKey) -> bool {
        let asked = self.wanted.handle_arrival(now.mono, &item, from);
        if let Some(link) = self.links.get_mut(&from) {
            if asked {
                link.answered = Some(now.mono);
            }
            if link.suspicion.is_some_and(|suspicion| suspicion.item == item) {
                link.suspicion = None;
            }
        }
        asked
    }

    pub(super) fn ask_again(&mut self, now: Now, item: MessageKey, from: NodeId) {
        self.wanted.handle_no_room(now.mono, &item);
        if self.links.contains_key(&from) && !self.store.is_known(&item) {
            let announced = Announced { by: from, bytes: None };
            self.wanted.handle_announcement(now.mono, item, announced, self.links.len());
        }
    }

    /// `peer` has `item`.
    pub(super) fn note_reached(&mut self, now: Now, peer: NodeId, item: MessageKey) {
        if item.sender == self.me {
            self.unheard.remove(item.sequence);
        }
        if let Some(place) = self.links.get(&peer).and_then(|link| link.place) {
            let number = item.sequence..=item.sequence;
            self.store.handle_reached(now.mono, &item.sender, number, place, 1, |_, _| {});
        }
    }

    pub(super) fn observe_misbehavior(
        &self,
        peer: NodeId,
        what: Misbehavior,
        out: &mut VecDeque<GossipEffect>,
    ) {
        if peer != self.me {
            out.push_back(GossipEffect::Observed { peer, what: Observation::Misbehaved(what) });
        }
    }

    /// A peer let a request time out, however much it was asked for in it.
    fn suspect(
        &mut self,
        now: Now,
        peer: NodeId,
        what: Suspicion,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        out.push_back(GossipEffect::Observed { peer, what: Observation::TimedOut });
        if link.suspicion.is_none() {
            link.suspicion = Some(what);
            self.deadlines.set(GossipWake::Judge(peer), now.mono + WITHHELD_AFTER);
        }
    }

    /// A suspect was connected all the time. If the message exists, for others sent it, and the
    /// suspect sent neither it nor anything else that it was asked for, it withheld the message.
    pub(super) fn check_withholding(&mut self, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(Suspicion { item, asked }) = link.suspicion.take() else { return };
        if !link.answered_since(asked) && self.store.get(&item).is_some() {
            self.observe_misbehavior(peer, Misbehavior::WithheldMessage, out);
        }
    }

    /// Sends what is asked for and kept, within the peer's budget.
    pub(super) fn handle_iwant(
        &mut self,
        now: Now,
        from: NodeId,
        wanted: &Holdings,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let Some(link) = self.links.get_mut(&from) else { return };
        let ranges = wanted.iter().flat_map(|(sender, all)| all.iter().map(|one| (*sender, one)));
        for (sender, numbers) in ranges {
            let question = Question { peer: from, sender, numbers };
            if !link.serving.take(now.mono, SERVED_LEAST) || !self.unserved.push(question) {
                self.counters.rate_limited += 1;
                break;
            }
        }
        self.serve(now, out);
    }

    /// Sends what was asked for, as much as this turn has left; the rest in the next ones. What is
    /// old is news to few: it is announced further, not pushed (hops 0).
    pub(super) fn serve(&mut self, now: Now, out: &mut VecDeque<GossipEffect>) {
        let mut left = self.unserved.begin_turn(now.mono);
        while left > 0
            && let Some(Question { peer, sender, numbers }) = self.unserved.pop()
        {
            let Some(link) = self.links.get_mut(&peer) else { continue };
            left -= 1;
            let others_turn = left.saturating_sub(SERVED_OF_ONE);
            for (sequence, kept) in self.store.kept(&sender, numbers.clone()) {
                if left <= others_turn {
                    let numbers = sequence..=*numbers.end();
                    self.unserved.push(Question { peer, sender, numbers });
                    break;
                }
                left -= 1;
                let bytes = kept.bytes();
                let item = MessageKey { sender, sequence };
                if link.sent.is_under_way(now.mono, &item) {
                    continue;
                }
                let cost = SERVED_LEAST + bytes;
                if !link.owed.take(&item) && !link.serving.take(now.mono, cost) {
                    self.counters.rate_limited += 1;
                    self.unserved.forget(&peer);
                    break;
                }
                left = left.saturating_sub(bytes / LARGE_GOSSIP);
                link.sent.note(now.mono, item, bytes);
                self.counters.iwant_served += 1;
                // Two contents prove something, and are not passed on.
                let is_one = kept.rival().is_none();
                let is_new = is_one && now.mono.since(kept.received) < PUSHED_WITHIN;
                let ttl = if is_new { self.config.ttl } else { 0 };
                let (to, how) = (vec![peer], Forwarding::Serve);
                trace(kept.nth, JourneyStep::Forwarded { to, how }, out);
                for message in [&kept.message].into_iter().chain(kept.rival()) {
                    let message = GossipMessage::Gossip(ttl, message.claim().clone());
                    out.push_back(GossipEffect::Send { to: vec![peer], message });
                }
            }
        }
        if let Some(next) = self.unserved.end_turn(left) {
            self.deadlines.set_earliest(GossipWake::Serve, next);
        }
    }

    /// A message that is here came again.
    pub(super) fn handle_repeat(
        &mut self,
        now: Now,
        from: NodeId,
        item: MessageKey,
        out: &mut VecDeque<GossipEffect>,
    ) {
        // It would count us among those who have it from there. Who repeats without end is not told
        // of each time.
        if self.links.contains_key(&from) && !self.announcements.is_full() {
            let besides = places(&self.links, [&from]);
            self.announcements.add(Unannounced { item, lacking: PlaceSet::default(), besides });
            self.announce_soon(now);
        }
        self.tree_links().handle_repeat(now, from, item, out);
    }

    /// The session with `to` did not take this message ([`GossipEffect::Send`]).
    pub fn handle_not_sent(
        &mut self,
        to: NodeId,
        message: &GossipMessage,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let GossipMessage::Gossip(_, message) = message else { return };
        let item = MessageKey::of(message.content());
        if let Some(link) = self.links.get_mut(&to) {
            link.sent.forget(&item);
        }
        if let Some(kept) = self.store.get(&item) {
            trace(kept.nth, JourneyStep::NotSent(to), out);
        }
    }

    /// A large broadcast that was sent to `to` is there, or under way no more. If it is asked for
    /// again there was no room for it, and it is sent again.
    pub fn handle_arrived(&mut self, to: &NodeId, sender: NodeId, sequence: u64) {
        if let Some(link) = self.links.get_mut(to) {
            link.sent.forget(&MessageKey { sender, sequence });
        }
    }
}

/// Nobody outruns the others: what would leave the window is offered to those who seem to lack it.
///
/// ```text
/// A -> B   OFFER ..     this would leave, if it were not for you
/// B -> A   RECEIPT      what of it B has, or what is old there, unasked too now and then
/// B -> A   IWANT        the rest, if B has room for it
/// ```
impl Gossip {
    /// Offers each peer that is waited for what is kept for it of the sender whose newer messages
    /// have no room.
    pub(super) fn offer(&mut self, now: Now, out: &mut VecDeque<GossipEffect>) {
        let Some(first) = self.store.in_the_way() else { return };
        let awaited = self.store.get(&first).map(|kept| kept.awaited).unwrap_or_default();
        for (peer, link) in &mut self.links {
            let Some(place) = link.place.filter(|place| awaited.contains(*place)) else { continue };
            if link.offered.is_some_and(|at| now.mono.since(at) < OFFER_INTERVAL) {
                continue;
            }
            link.offered = Some(now.mono);
            let mut lacking = Holdings::new();
            lacking.insert_ranges(first.sender, self.store.awaited_by(&first.sender, place));
            self.counters.offers_sent += 1;
            send_all(vec![*peer], lacking, GossipMessage::Offer, out);
        }
    }

    /// A peer keeps these for us: it hears which need not be kept, and is asked for the others.
    pub(super) fn handle_offer(
        &mut self,
        now: Now,
        from: NodeId,
        offered: &Holdings,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let peers = self.links.len();
        let mut receipt = Holdings::new();
        for (sender, ranges) in offered.iter() {
            let Some(link) = self.links.get_mut(&from) else { return };
            let is_affordable = link.examining.take(now.mono, ranges.len());
            let left = link.examining.handle_left(now.mono);
            if !is_affordable || left == 0 {
                self.counters.rate_limited += 1;
                break;
            }
            let unknown = self.store.unknown(sender, ranges, left);
            link.examining.take(now.mono, unknown.len());
            if unknown.len() == left {
                // There may be more of them: nothing is said of what was not looked at.
                self.counters.rate_limited += 1;
                break;
            }
            for sequence in &unknown {
                let item = MessageKey { sender: *sender, sequence: *sequence };
                let announced = Announced { by: from, bytes: None };
                self.wanted.handle_announcement(now.mono, item, announced, peers);
            }
            receipt.insert_ranges(*sender, ranges.without(&unknown.into_iter().collect()));
            self.note_all_reached(now, from, *sender, ranges, |_, _| {});
        }
        send_all(vec![from], receipt, GossipMessage::Receipt, out);
        self.trim(now, out);
    }

    /// A peer has these, or never will.
    pub(super) fn handle_receipt(
        &mut self,
        now: Now,
        from: NodeId,
        received: &Holdings,
        out: &mut VecDeque<GossipEffect>,
    ) {
        for (sender, ranges) in received.iter() {
            let Some(link) = self.links.get_mut(&from) else { return };
            if !link.examining.take(now.mono, ranges.len()) {
                self.counters.rate_limited += 1;
                break;
            }
            self.note_all_reached(now, from, *sender, ranges, |_, _| {});
        }
        self.trim(now, out);
    }

    /// `peer` has everything of `sender` in `ranges` that is kept here, as far as its budget goes.
    /// Each of them is told, and whether the peer lacked it until now.
    fn note_all_reached(
        &mut self,
        now: Now,
        peer: NodeId,
        sender: NodeId,
        ranges: &Ranges,
        mut tell: impl FnMut(Nth, bool),
    ) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        if sender == self.me && !self.unheard.is_empty() {
            self.unheard = self.unheard.without(ranges);
        }
        let Some(place) = link.place else { return };
        for range in ranges.iter() {
            let left = link.examining.handle_left(now.mono);
            let store = &mut self.store;
            let examined = store.handle_reached(now.mono, &sender, range, place, left, &mut tell);
            link.examining.take(now.mono, examined);
        }
    }
}
