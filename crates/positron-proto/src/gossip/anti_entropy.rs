//! Comparing notes: what makes it certain that everybody gets everything `[PROTOCOL 6.2]`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    GossipCounters, GossipEffect, GossipMessage,
    announcements::send_all,
    comparison::{Comparison, OfferedSketch, SymbolsOfPeer},
    message_key::MessageKey,
    message_store::MessageStore,
    peer_state::{GossipPeer, sole_bringer},
    set_digest::{Entry, SetDigest},
};
use crate::{
    id::NodeId,
    identity::Verified,
    limits::{
        LARGE_GOSSIP, LISTED_AT_ONCE, PUSHED_WITHIN, SKETCH_BYTES, SKETCH_SYMBOLS,
        SKETCHED_PER_SECOND,
    },
    misbehavior::{Misbehavior, Observation},
    reconciliation::{Code, Decoder, Difference, Sketch, Symbol},
    rng::Rng,
    standings::TrustTable,
    time::{Duration, Now},
    wire::{
        holdings::{Holdings, Ranges},
        message::AppMessage,
    },
};

/// What of gossip compares notes: push-pull, which converges fastest (Demers et al. 1987,
/// section 1.3).
///
/// ```text
/// A -> B   DIGEST               how many I keep, and the sum of them under the key of this link
///
/// B -> A   IHAVE .. IHAVE()     if it differs, and a list is short: everything, and the end of it
/// A -> B   IHAVE ..             once: what of mine you did not name
///
/// B -> A   SKETCH               if a list is long: the first symbols of what I keep
/// A -> B   MORE                 the next ones, until they say how we differ
/// B -> A   SKETCH
/// A -> B   IHAVE .., LACKING    what you lack; the codes of what I lack
/// B -> A   IHAVE ..             whose they are
/// ```
///
/// Each asks then for what it lacks, like after any announcement. Who named a number whose content
/// it was said to lack has another content under it: each is sent what the other one has.
pub(super) struct AntiEntropy<'a> {
    pub(super) me: NodeId,
    pub(super) interval: Duration,
    pub(super) store: &'a mut MessageStore,
    pub(super) links: &'a mut BTreeMap<NodeId, GossipPeer>,
    pub(super) rng: &'a mut Rng,
    /// Our messages that no peer is known to have: all have them where all is the same.
    pub(super) unheard: &'a mut Ranges,
    pub(super) counters: &'a mut GossipCounters,
}

impl AntiEntropy<'_> {
    /// A session with `peer` is up. The end with the smaller id draws the key of the link.
    pub(super) fn peer_up(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        if self.me < peer && self.links.get(&peer).is_some_and(|link| link.digest.is_none()) {
            let key = self.rng.bytes();
            self.set_key(peer, key);
        }
        self.start_with(now, peer, out);
    }

    fn set_key(&mut self, peer: NodeId, key: [u8; 16]) {
        let digest = SetDigest::new(key, self.store.entries().map(|(_, entry)| entry));
        if let Some(link) = self.links.get_mut(&peer) {
            link.digest = Some(digest);
        }
    }

    /// The window holds `added` from now on, and `removed` no more.
    pub(super) fn note(&mut self, added: Option<Entry>, removed: Option<Entry>) {
        for digest in self.links.values_mut().filter_map(|link| link.digest.as_mut()) {
            added.iter().for_each(|entry| digest.add(entry));
            removed.iter().for_each(|entry| digest.remove(entry));
        }
    }

    /// Compares notes with one random peer: of those that were not told what is kept now, or else
    /// of those that may not know, or not keep, the same.
    pub(super) fn start(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let count = self.count();
        let (mut untold, mut others) = (Vec::new(), Vec::new());
        for (peer, link) in self.links.iter() {
            let Some(digest) = &link.digest else { continue };
            let kept = (count, digest.bytes());
            let goes_on = link.comparison.as_ref().is_some_and(|it| it.goes_on(now.mono));
            let is_at_rest = link.last_digests.is_at_rest(now.mono, kept);
            if goes_on || is_at_rest || standings.is_banned(peer, now.wall) {
                continue;
            }
            let is_told = link.last_digests.is_said(kept);
            if is_told { &mut others } else { &mut untold }.push(*peer);
        }
        let peers = if untold.is_empty() { others } else { untold };
        if let Some(&peer) = self.rng.choose(&peers) {
            self.start_with(now, peer, out);
        }
    }

    fn start_with(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        let count = self.count();
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(digest) = &link.digest else { return };
        self.counters.anti_entropy_rounds += 1;
        link.comparison = Some(Comparison::new(now.mono));
        let (key, sum) = (*digest.key(), digest.bytes());
        link.last_digests.say(now.mono, (count, sum));
        let message = GossipMessage::Digest { key, count, sum };
        out.push_back(GossipEffect::Send { to: vec![peer], message });
    }

    /// How many messages are kept.
    fn count(&self) -> u64 {
        u64::try_from(self.store.size().0).unwrap_or(u64::MAX)
    }

    pub(super) fn handle_digest(
        &mut self,
        now: Now,
        from: NodeId,
        key: [u8; 16],
        (theirs, sum): (u64, [u8; 16]),
        out: &mut VecDeque<GossipEffect>,
    ) {
        let (me, ours, least) = (self.me, self.count(), self.answer_interval());
        let Some(link) = self.links.get_mut(&from) else { return };
        let is_new_key = link.digest.as_ref().is_none_or(|digest| *digest.key() != key);
        if is_new_key {
            // Which key it is, is for the end with the smaller id to say; and not all the time.
            if me < from || !link.may_compare(now.mono, least, (theirs, sum)) {
                self.counters.rate_limited += 1;
                return;
            }
            self.set_key(from, key);
        }
        let Some(link) = self.links.get_mut(&from) else { return };
        link.last_digests.hear(now.mono, (theirs, sum));
        if link.digest.is_some_and(|digest| (theirs, sum) == (ours, digest.bytes())) {
            link.handle_in_step(now.mono);
            *self.unheard = Ranges::new();
            return;
        }
        self.counters.anti_entropy_differences += 1;
        if is_new_key || link.may_compare(now.mono, least, (theirs, sum)) {
            self.answer(now, from, theirs, out);
        }
    }

    /// How often a peer is answered at the most: less often than an honest one asks, and all
    /// together not more often than there is time to make sketches of the window.
    fn answer_interval(&self) -> Duration {
        let peers = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        let all = self.sketch_time().saturating_mul(peers);
        all.max(self.interval - self.interval / 4)
    }

    /// How long nobody makes a sketch of the window after one was made.
    fn sketch_time(&self) -> Duration {
        let micros = self.count().saturating_mul(1_000_000) / SKETCHED_PER_SECOND;
        Duration::from_micros(micros)
    }

    /// How long until notes are compared with somebody else.
    pub(super) fn ask_interval(&self) -> Duration {
        self.interval.max(self.sketch_time())
    }

    /// Says what is here: a list, if that is short or most of it is missing there, or symbols.
    /// Where both have as many and there was a list the last time, their contents may differ, of
    /// which a list says nothing.
    fn answer(&mut self, now: Now, from: NodeId, theirs: u64, out: &mut VecDeque<GossipEffect>) {
        let (ours, bytes) = (self.count(), self.store.list_bytes());
        let Some(link) = self.links.get_mut(&from) else { return };
        link.offered_sketch = None;
        let is_of_use = theirs != ours || !link.was_listed;
        let is_listed = bytes <= LISTED_AT_ONCE && is_of_use || theirs < ours / 2;
        link.was_listed = is_listed && link.may_have_list(now.mono, bytes);
        if link.was_listed {
            self.send_list(from, out);
            return;
        }
        let Some(key) = link.digest.as_ref().map(|digest| *digest.key()) else { return };
        let length = SKETCH_SYMBOLS.min((bytes / SKETCH_BYTES).max(SKETCH_SYMBOLS / 8));
        let codes = self.store.entries().map(|(_, entry)| entry.code(&key));
        link.offered_sketch = Some(OfferedSketch::new(Sketch::new(codes, length)));
        self.send_piece(from, out);
    }

    fn send_list(&mut self, to: NodeId, out: &mut VecDeque<GossipEffect>) {
        send_all(vec![to], self.store.holdings(), GossipMessage::IHave, out);
        let end = GossipMessage::IHave(Holdings::new());
        out.push_back(GossipEffect::Send { to: vec![to], message: end });
    }

    fn send_piece(&mut self, to: NodeId, out: &mut VecDeque<GossipEffect>) {
        let Some(link) = self.links.get_mut(&to) else { return };
        let Some(offered) = &mut link.offered_sketch else { return };
        let (first, length) = (offered.next(), offered.sketch.symbols().len());
        let (elements, symbols) = (offered.sketch.elements(), offered.take_piece());
        let message = GossipMessage::Sketch { elements, length, first, symbols };
        out.push_back(GossipEffect::Send { to: vec![to], message });
    }

    /// `from` has a piece more of what it keeps.
    pub(super) fn handle_sketch(
        &mut self,
        now: Now,
        from: NodeId,
        (length, first): (usize, usize),
        symbols: &[Symbol],
        out: &mut VecDeque<GossipEffect>,
    ) {
        let (store, links) = (&*self.store, &mut *self.links);
        let Some(link) = links.get_mut(&from) else { return };
        let Some(key) = link.digest.as_ref().map(|digest| *digest.key()) else { return };
        let Some(comparison) = &mut link.comparison else { return };
        if !comparison.is_current(now.mono) {
            link.comparison = None;
            return;
        }
        if first == 0 && matches!(comparison.symbols, SymbolsOfPeer::None) {
            let codes = store.entries().map(|(_, entry)| entry.code(&key));
            comparison.symbols = SymbolsOfPeer::NotEnough(Decoder::new(Sketch::new(codes, length)));
        }
        let SymbolsOfPeer::NotEnough(decoder) = &mut comparison.symbols else { return };
        if first != decoder.next() || decoder.is_full() {
            return;
        }
        decoder.add(symbols);
        let Some(difference) = decoder.difference() else {
            let message = GossipMessage::More { first: decoder.next() };
            if decoder.is_full() || symbols.is_empty() {
                comparison.symbols = SymbolsOfPeer::Over(BTreeSet::new());
            }
            out.push_back(GossipEffect::Send { to: vec![from], message });
            return;
        };
        self.handle_difference(now, from, difference, out);
    }

    /// It is known how `from` differs: it is told what it lacks, and asked what we lack.
    fn handle_difference(
        &mut self,
        now: Now,
        from: NodeId,
        Difference { theirs, ours }: Difference,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let (store, links) = (&*self.store, &mut *self.links);
        let Some(link) = links.get_mut(&from) else { return };
        let (Some(digest), Some(comparison)) = (&link.digest, &mut link.comparison) else { return };
        let ours: BTreeSet<Code> = ours.into_iter().collect();
        let is_ours = |(_, entry): &(MessageKey, Entry)| ours.contains(&entry.code(digest.key()));
        let lacks: BTreeSet<MessageKey> =
            store.entries().filter(is_ours).map(|(item, _)| item).collect();
        send_all(vec![from], listed(&lacks), GossipMessage::IHave, out);
        // What is new may be there by now.
        let is_old = |item: &MessageKey| {
            store.get(item).is_some_and(|kept| now.mono.since(kept.received) >= PUSHED_WITHIN)
        };
        let contents = lacks.into_iter().filter(is_old).collect();
        comparison.symbols = SymbolsOfPeer::Over(contents);
        if !theirs.is_empty() {
            let message = GossipMessage::Lacking(theirs);
            out.push_back(GossipEffect::Send { to: vec![from], message });
        }
    }

    /// `from` needs more symbols, or a list if there are none.
    pub(super) fn handle_more(
        &mut self,
        now: Now,
        from: NodeId,
        first: usize,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let bytes = self.store.list_bytes();
        let Some(link) = self.links.get_mut(&from) else { return };
        let Some(offered) = &link.offered_sketch else { return };
        if first != offered.next() {
            return;
        }
        if first < offered.sketch.symbols().len() {
            self.send_piece(from, out);
            return;
        }
        link.offered_sketch = None;
        if link.may_have_list(now.mono, bytes) {
            self.send_list(from, out);
        }
    }

    /// `from` lacks what has these codes, and does not know whose it is. It is told once.
    pub(super) fn handle_lacking(
        &mut self,
        from: NodeId,
        codes: Vec<Code>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let (store, links) = (&*self.store, &mut *self.links);
        let Some(link) = links.get_mut(&from) else { return };
        let Some(key) = link.digest.as_ref().map(|digest| *digest.key()) else { return };
        let Some(offered) = link.offered_sketch.take() else { return };
        // Nobody finds more than there were symbols.
        let codes: BTreeSet<Code> = codes.into_iter().take(offered.next()).collect();
        let is_lacking = |(_, entry): &(MessageKey, Entry)| codes.contains(&entry.code(&key));
        let named = store.entries().filter(is_lacking).map(|(item, _)| item).collect();
        send_all(vec![from], listed(&named), GossipMessage::IHave, out);
    }

    /// The peer named everything that it keeps: it is told the rest, once.
    pub(super) fn handle_end_of_list(
        &mut self,
        now: Now,
        from: NodeId,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let Some(link) = self.links.get_mut(&from) else { return };
        let Some(comparison) = link.comparison.take() else { return };
        if !comparison.is_current(now.mono) || comparison.was_told_all(link.list_sent) {
            return;
        }
        let mut rest = Holdings::new();
        for (sender, ours) in self.store.holdings().iter() {
            let told = comparison.told.get(sender);
            rest.insert_ranges(*sender, told.map_or(ours.clone(), |theirs| ours.without(theirs)));
        }
        send_all(vec![from], rest, GossipMessage::IHave, out);
    }

    /// Two contents are signed under one number. Whoever brought the second one is shown the first,
    /// and `others`, to whom the first was pushed, the second one, unless it is large.
    ///
    /// What is passed on is what came first. Two contents are shown as a proof, without hops: who
    /// brings both to be passed on made them, or means others to believe both.
    pub(super) fn handle_equivocation(
        &mut self,
        item: &MessageKey,
        rival: Verified<AppMessage>,
        (bringers, ttl): &(Vec<NodeId>, u8),
        others: Vec<NodeId>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let Some(kept) = self.store.get(item) else { return };
        let before = kept.entry(item);
        let mut hold_against = |peer, what| {
            out.push_back(GossipEffect::Observed { peer, what: Observation::Misbehaved(what) });
        };
        let bringer = sole_bringer(self.links, bringers, *ttl);
        if bringer.is_some() && bringer == kept.bringer {
            bringers.iter().for_each(|peer| hold_against(*peer, Misbehavior::Flooding));
        }
        if item.sender != self.me {
            hold_against(item.sender, Misbehavior::Equivocation);
        }
        let to = bringers.iter().filter(|peer| self.links.contains_key(*peer));
        let to: Vec<NodeId> = to.copied().collect();
        if !to.is_empty() {
            let message = GossipMessage::Gossip(0, kept.message.claim().clone());
            out.push_back(GossipEffect::Send { to, message });
        }
        if !others.is_empty() && rival.content().payload.len() < LARGE_GOSSIP {
            let message = GossipMessage::Gossip(0, rival.claim().clone());
            out.push_back(GossipEffect::Send { to: others, message });
        }
        let (sender, sequence, messages) =
            (item.sender, item.sequence, [kept.message.id(), rival.id()]);
        out.push_back(GossipEffect::Equivocated { sender, sequence, messages });
        self.store.set_rival(item, rival);
        let after = self.store.get(item).map(|kept| kept.entry(item));
        self.note(after, Some(before));
    }
}

fn listed(items: &BTreeSet<MessageKey>) -> Holdings {
    let mut holdings = Holdings::new();
    for item in items {
        holdings.insert(item.sender, item.sequence);
    }
    holdings
}
