//! The machine: what happens to a message from its arrival to its leaving.

use std::collections::{BTreeMap, VecDeque};

use super::{
    GossipConfig, GossipCounters, GossipEffect, GossipLevels, GossipMessage, GossipSnapshot,
    SHAPES,
    announcements::{Announcements, send_all},
    checks_under_way::{AddedCheck, ChecksUnderWay},
    config::interval,
    fetches::Wanted,
    message_key::{MessageKey, same_claim},
    message_store::{Candidate, Evicted, MessageStore},
    peer_state::{GossipPeer, places, sole_bringer},
    push_tree::{PushTree, Rumour},
    reach::{PlaceSet, Step},
    receipts::Receipts,
    set_digest::Entry,
    telling::{trace, trace_dropped, trace_taken},
    unserved::Unserved,
    unvalidated::Unvalidated,
};
use crate::{
    deadlines::Deadlines,
    id::NodeId,
    identity::{Signed, Verified},
    journey::{CameFrom, DropReason, JourneyStep, Nth},
    limits::{CROWDED_RETRY, MAX_WANTED, REACH_WITHIN, RETENTION_BYTES, SHAPE_FIRST},
    metric::Level,
    misbehavior::{Misbehavior, Observation},
    rng::Rng,
    standings::TrustTable,
    time::{Duration, Instant, Now, earliest},
    wire::{
        holdings::{Holdings, Ranges},
        message::AppMessage,
    },
};

/// The broadcasts that a node has, and those it is after.
///
/// Call [`publish`](Self::publish) for our own messages and
/// [`handle_message`](Self::handle_message) for what peers say; answer each
/// [`GossipEffect::Verify`] with exactly one of [`handle_verified`](Self::handle_verified),
/// [`handle_refuted`](Self::handle_refuted), [`handle_unchecked`](Self::handle_unchecked), in any
/// order and however late; say [`peer_up`](Self::peer_up) and [`peer_down`](Self::peer_down); call
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout) (earlier does
/// no harm). Drain `out` in order after each call.
///
/// Guaranteed, whatever peers do: only verified messages are delivered, kept and passed on; each is
/// delivered at most once, ours never; memory is bounded by [`crate::limits`]. While peers of ours
/// that are honest and connected keep a message that is not old here, it arrives.
///
/// **Nobody outruns the others.** A message is not taken, and ours not published
/// ([`may_publish`](Self::may_publish)), while it would push out one of the same sender that came
/// less than [`REACH_WITHIN`] ago and that a peer of ours lacks, or behind which we lack one
/// ourselves. What is not taken is asked for later. So whoever publishes feels the slowest on the
/// way, hop by hop, and those who do not flood feel nothing: below a window in [`REACH_WITHIN`]
/// nobody is waited for, and nobody's messages wait whose sender fills less than a sixteenth of the
/// window. A sender who fills more than half of it waits for every peer that still moves: that
/// took, in order, a sixteenth of the window within
/// [`REACH_PATIENCE`](crate::limits::REACH_PATIENCE).
#[derive(Debug)]
pub struct Gossip {
    pub(super) config: GossipConfig,
    pub(super) me: NodeId,
    pub(super) rng: Rng,
    pub(super) links: BTreeMap<NodeId, GossipPeer>,
    pub(super) store: MessageStore,
    pub(super) checks: ChecksUnderWay,
    /// What the application is asked about.
    pub(super) unvalidated: Unvalidated,
    pub(super) wanted: Wanted,
    pub(super) tree: PushTree,
    pub(super) announcements: Announcements,
    pub(super) receipts: Receipts,
    /// What peers asked for.
    pub(super) unserved: Unserved,
    /// Our messages of which no peer has said yet that it has them, since we began.
    pub(super) unheard: Ranges,
    /// The places of the peers that are up.
    pub(super) present: PlaceSet,
    /// The last message that was taken.
    last: Nth,
    pub(super) deadlines: Deadlines<GossipWake>,
    pub(super) counters: GossipCounters,
}

/// Why gossip wakes, fetches and expiry apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GossipWake {
    /// New messages are to be announced.
    Announce,
    /// It is time to compare notes with somebody.
    Sync,
    /// A peer that kept silent had time enough.
    Judge(NodeId),
    /// Something had to stay in the window, or waits for room in it.
    Crowded,
    /// More was asked for than was sent yet.
    Serve,
}

impl Gossip {
    /// What was remembered is kept again and not delivered again.
    pub fn new(
        config: GossipConfig,
        me: NodeId,
        remembered: GossipSnapshot,
        mut rng: Rng,
        now: Now,
    ) -> Self {
        let cache_size = config.cache_size;
        let mut window = MessageStore::new(cache_size, &remembered.floors);
        for message in remembered.messages {
            let item = MessageKey::of(message.content());
            window.insert(now.mono, item, message, Nth::default(), PlaceSet::default(), None);
        }
        let mut deadlines = Deadlines::new();
        deadlines.set(GossipWake::Sync, now.mono + rng.jitter(interval(&config)));
        let tree = PushTree::new(now.mono, rng.duration(SHAPE_FIRST / 2..=2 * SHAPE_FIRST));
        Self {
            config,
            me,
            rng,
            links: BTreeMap::new(),
            store: window,
            checks: ChecksUnderWay::default(),
            unvalidated: Unvalidated::default(),
            wanted: Wanted::default(),
            tree,
            announcements: Announcements::default(),
            receipts: Receipts::new(Step::of_window(cache_size)),
            unserved: Unserved::default(),
            unheard: Ranges::new(),
            present: PlaceSet::default(),
            last: Nth::default(),
            deadlines,
            counters: GossipCounters::default(),
        }
    }

    /// Whether a message of ours may be published, and pushes out nothing that did not arrive.
    pub fn may_publish(&self) -> bool {
        self.store.in_the_way().is_none_or(|first| first.sender != self.me)
    }

    /// Tells everyone our own message, under a number that we never used before, if it
    /// [may be published](Self::may_publish). [`GossipEffect::Keep`] comes first, the pushes do not
    /// wait for it.
    pub fn publish(
        &mut self,
        now: Now,
        message: Verified<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        self.counters.published += 1;
        out.push_back(GossipEffect::Keep(message.clone()));
        let item = MessageKey { sender: self.me, sequence: message.content().sequence };
        let nth = self.last.next();
        self.last = nth;
        if self.store.insert(now.mono, item, message.clone(), nth, self.present, None) {
            self.anti_entropy().note(Some(Entry::new(&item, &message.id(), false)), None);
        }
        trace_taken(nth, message.id(), item, (CameFrom::Own, Vec::new()), out);
        self.unheard.insert(item.sequence);
        let shapes = self.tree.is_due(now.mono);
        let ttl = if shapes { self.config.ttl | SHAPES } else { self.config.ttl };
        let rumour = Rumour { item, nth, ttl, has: Vec::new(), besides: Vec::new() };
        self.eager_push().push(now, rumour, &message, None, out);
        self.trim(now, out);
    }

    /// Hears what a peer says. But for [`GossipMessage::Gossip`], what peers say that are not up is
    /// ignored.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: GossipMessage,
        _standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        match incoming {
            GossipMessage::Gossip(ttl, claim) => self.handle_push(now, from, ttl, claim, out),
            GossipMessage::IHave(holdings) => self.handle_ihave(now, from, &holdings, out),
            GossipMessage::IWant(holdings) => self.handle_iwant(now, from, &holdings, out),
            GossipMessage::Digest { key, count, sum } => {
                self.anti_entropy().handle_digest(now, from, key, (count, sum), out);
            }
            GossipMessage::Sketch { length, first, symbols, .. } => {
                self.anti_entropy().handle_sketch(now, from, (length, first), &symbols, out);
            }
            GossipMessage::More { first } => self.anti_entropy().handle_more(now, from, first, out),
            GossipMessage::Lacking(codes) => self.anti_entropy().handle_lacking(from, codes, out),
            GossipMessage::Offer(holdings) => self.handle_offer(now, from, &holdings, out),
            GossipMessage::Receipt(holdings) => self.handle_receipt(now, from, &holdings, out),
            GossipMessage::Large { sender, sequence, bytes } => {
                self.handle_large(now, from, MessageKey { sender, sequence }, bytes, out);
            }
            GossipMessage::Graft => self.tree_links().handle_graft(now, from, out),
            GossipMessage::Prune => self.tree_links().handle_prune(&from),
            GossipMessage::Announce(wanted) => self.handle_announce(now, &from, wanted),
        }
    }

    /// The claim of [`GossipEffect::Verify`] proved true: it is taken, unless the application is to
    /// say first whether it is valid.
    pub fn handle_verified(
        &mut self,
        now: Now,
        from: NodeId,
        ttl: u8,
        message: Verified<AppMessage>,
        standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        if let Some(message) = self.validating().begin(now, (from, ttl), message, out) {
            self.take(now, from, ttl, message, standings, out);
        }
    }

    /// A message is genuine, and nothing is left to be asked.
    pub(super) fn take(
        &mut self,
        now: Now,
        from: NodeId,
        ttl: u8,
        message: Verified<AppMessage>,
        standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let item = MessageKey::of(message.content());
        let check = self.checks.take(&item, message.claim());
        if let Some(kept) = self.store.get(&item) {
            if kept.message.id() == message.id() {
                // The same content under another signature.
                self.counters.duplicates += 1;
                return;
            }
            self.counters.equivocations += 1;
            trace_dropped(item, Some(message.id()), from, DropReason::Equivocation, out);
            if kept.rival().is_none() {
                let brought = check.map_or((vec![from], ttl), |check| (check.from, check.ttl));
                let lacks = |peer: &&NodeId| !brought.0.contains(peer);
                let others = self.tree.eager().filter(lacks).copied().collect();
                self.anti_entropy().handle_equivocation(&item, message, &brought, others, out);
            }
            return;
        }
        let heard = check.as_ref().map(|check| check.heard);
        let unknown = (vec![from], ttl, CameFrom::Heard { from, at: now.mono, asked: false });
        let (bringers, ttl, arrival) =
            check.map_or(unknown, |check| (check.from, check.ttl, check.arrival));
        let bringer = sole_bringer(&self.links, &bringers, ttl);
        if self.store.has_no_room_for(&item) {
            // The window filled up while it was checked.
            self.counters.postponed += 1;
            trace_dropped(item, Some(message.id()), from, DropReason::NoRoom, out);
            bringers.into_iter().for_each(|peer| self.ask_again(now, item, peer));
            return;
        }
        let asked: Vec<NodeId> = self.wanted.asked_for(&item).collect();
        let mut has = vec![from, item.sender];
        has.extend(&bringers);
        has.extend(self.wanted.end(&item));
        let awaited = self.present.without(places(&self.links, &has));
        let nth = self.last.next();
        let is_newcomer = !self.store.knows(&item.sender) && item.sender != from;
        if !self.store.insert(now.mono, item, message.clone(), nth, awaited, bringer) {
            self.counters.stale += 1;
            trace_dropped(item, Some(message.id()), from, DropReason::Stale, out);
            return;
        }
        self.anti_entropy().note(Some(Entry::new(&item, &message.id(), false)), None);
        self.last = nth;
        let also: Vec<NodeId> = bringers.into_iter().filter(|peer| *peer != from).collect();
        trace_taken(nth, message.id(), item, (arrival, also.clone()), out);
        let besides = also.iter().copied().chain(asked).filter(|peer| *peer != from).collect();
        if item.sender != self.me {
            self.counters.delivered += 1;
            heard.into_iter().for_each(|at| self.counters.delivery.note(now.mono.since(at)));
            out.push_back(GossipEffect::Deliver { message: message.clone(), from });
        }
        out.push_back(GossipEffect::Keep(message.clone()));
        // Keys cost nothing: what a new one says first is nobody's merit.
        let merit = GossipEffect::Observed { peer: from, what: Observation::ValidMessage };
        out.extend((!is_newcomer).then_some(merit));
        if let (CameFrom::Heard { asked: true, .. }, Some(heard)) = (arrival, heard) {
            self.tree_links().handle_rescue(now, (&message, ttl), heard, (from, &also[..]), out);
        }
        let rumour = Rumour { item, nth, ttl, has, besides };
        if self.eager_push().push(now, rumour, &message, Some(standings), out) {
            self.tree_links().handle_bringers(from, also, out);
        }
        self.acknowledge(item, message.content().payload.len(), out);
        self.trim(now, out);
    }

    /// Nobody need keep `item` for us, with a payload of `bytes`: now and then all peers are told.
    pub(super) fn acknowledge(
        &mut self,
        item: MessageKey,
        bytes: usize,
        out: &mut VecDeque<GossipEffect>,
    ) {
        if let Some(receipt) = self.receipts.add(item, bytes) {
            let to: Vec<NodeId> = self.links.keys().copied().collect();
            self.counters.receipts_sent += 1;
            send_all(to, receipt, GossipMessage::Receipt, out);
        }
    }

    /// The claim of [`GossipEffect::Verify`] proved false. Whoever brought it is to blame: honest
    /// nodes pass on only what they verified.
    pub fn handle_refuted(
        &mut self,
        now: Now,
        from: NodeId,
        claim: &Signed<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let item = MessageKey::of(claim.content());
        let bringers = self.checks.take(&item, claim).map_or(vec![from], |check| check.from);
        for peer in bringers {
            self.counters.forged += 1;
            self.observe_misbehavior(peer, Misbehavior::ForgedSignature, out);
            trace_dropped(item, None, peer, DropReason::Forged, out);
        }
        self.wanted.hurry(now.mono, &item);
    }

    /// There was no room to check the claim of [`GossipEffect::Verify`]: nobody is to blame, and it
    /// is asked for again.
    pub fn handle_unchecked(
        &mut self,
        now: Now,
        from: NodeId,
        claim: &Signed<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let item = MessageKey::of(claim.content());
        self.checks.take(&item, claim);
        self.counters.verifications_deferred += 1;
        trace_dropped(item, None, from, DropReason::NotChecked, out);
        self.ask_again(now, item, from);
    }

    /// A session with `peer` is up: notes are compared at once.
    pub fn peer_up(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        let (present, told) = (&mut self.present, self.announcements.end());
        self.links
            .entry(peer)
            .or_insert_with(|| GossipPeer::new(now.mono, present.take_free(), told));
        if self.tree.len() < self.config.fanout {
            self.tree_links().graft_new(peer, out);
        }
        self.anti_entropy().peer_up(now, peer, out);
    }

    /// The session with `peer` is down: what it was asked for is asked of others at once.
    pub fn peer_down(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        if let Some(GossipPeer { place: Some(place), in_step, .. }) = self.links.remove(&peer) {
            self.present.remove(place);
            let lacking = self.store.handle_gone(place, in_step);
            self.counters.left_lacking += u64::try_from(lacking).unwrap_or(u64::MAX);
        }
        self.tree_links().peer_down(&peer, out);
        self.deadlines.clear(GossipWake::Judge(peer));
        self.unserved.forget(&peer);
        self.wanted.peer_down(now.mono, peer);
        self.fetch(now, out);
        self.trim(now, out);
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Now,
        standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                GossipWake::Announce => self.announce(now, standings, out),
                GossipWake::Sync => {
                    let interval = self.anti_entropy().ask_interval();
                    let next = self.rng.jitter(interval);
                    self.deadlines.set(GossipWake::Sync, now.mono + next);
                    self.anti_entropy().start(now, standings, out);
                }
                GossipWake::Judge(peer) => self.check_withholding(peer, out),
                GossipWake::Serve => self.serve(now, out),
                GossipWake::Crowded => {
                    self.offer(now, out);
                    let step = Step::of_window(self.config.cache_size).messages;
                    self.wanted.release(now.mono, self.store.in_the_way(), step);
                }
            }
        }
        self.validating().handle_timeout(now, out);
        self.fetch(now, out);
        self.trim(now, out);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wake = self.deadlines.next().map(|(at, _)| at);
        let unvalidated = self.unvalidated.poll_timeout();
        earliest([wake, self.wanted.next_due(), self.store.next_expiry(), unvalidated])
    }

    /// What happened so far.
    pub fn counters(&self) -> GossipCounters {
        self.counters
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> GossipLevels {
        let (messages, bytes) = self.store.size();
        GossipLevels {
            retained: Level::new(messages, self.config.cache_size),
            retained_bytes: Level::new(bytes, RETENTION_BYTES),
            fetches: Level::new(self.wanted.len(), MAX_WANTED),
        }
    }

    /// Messages in the retention window, and their bytes.
    pub fn kept(&self) -> (usize, usize) {
        self.store.size()
    }

    /// The messages in the retention window, by sender, in the order of their numbers.
    pub fn history(&self) -> impl Iterator<Item = &Verified<AppMessage>> {
        self.store.messages()
    }

    /// The numbers held per sender: what two nodes compare.
    pub fn holdings(&self) -> Holdings {
        self.store.holdings()
    }

    fn handle_push(
        &mut self,
        now: Now,
        from: NodeId,
        ttl: u8,
        claim: Signed<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        self.counters.messages_received += 1;
        let item = MessageKey::of(claim.content());
        let asked = self.note_answer(now, from, item);
        self.note_reached(now, from, item);
        if let Some(kept) = self.store.get(&item) {
            if same_claim(kept.message.claim(), &claim) {
                self.counters.duplicates += 1;
                trace(kept.nth, JourneyStep::Repeated(from), out);
                self.handle_repeat(now, from, item, out);
                return;
            }
            if kept.rival().is_some() {
                self.counters.equivocations += 1;
                trace_dropped(item, None, from, DropReason::Equivocation, out);
                return;
            }
        } else if self.store.is_refused(&item) {
            self.counters.refused += 1;
            trace_dropped(item, None, from, DropReason::NotAccepted, out);
            self.tree_links().handle_repeat(now, from, item, out);
            return;
        } else if self.store.is_old(&item) {
            self.counters.stale += 1;
            trace_dropped(item, None, from, DropReason::Stale, out);
            self.wanted.hurry(now.mono, &item);
            return;
        } else if self.store.has_no_room_for(&item) {
            self.counters.postponed += 1;
            trace_dropped(item, None, from, DropReason::NoRoom, out);
            self.ask_again(now, item, from);
            return;
        }
        if !self.may_bring(now, from, &item) {
            self.counters.rate_limited += 1;
            trace_dropped(item, None, from, DropReason::NotChecked, out);
            self.wanted.handle_no_room(now.mono, &item);
            return;
        }
        let arrival = CameFrom::Heard { from, at: now.mono, asked };
        let heard = self.wanted.announced(&item).unwrap_or(now.mono);
        match self.checks.add(heard, item, from, ttl, arrival, &claim) {
            AddedCheck::New => {
                self.wanted.handle_push(&item);
                out.push_back(GossipEffect::Verify { from, ttl, claim });
            }
            AddedCheck::UnderWay => self.counters.duplicates += 1,
            AddedCheck::NoRoom => {
                self.counters.verifications_deferred += 1;
                trace_dropped(item, None, from, DropReason::NotChecked, out);
                self.ask_again(now, item, from);
            }
        }
    }

    /// Whether `from` may bring what its sender says: if anything of that one was heard before, or
    /// few newcomers came over this link.
    fn may_bring(&mut self, now: Now, from: NodeId, item: &MessageKey) -> bool {
        let sender = item.sender;
        let is_known = self.store.knows(&sender) || self.checks.contains_any_of(sender);
        is_known
            || sender == from
            || sender == self.me
            || self.links.get_mut(&from).is_none_or(|link| link.may_bring_newcomer(now.mono))
    }

    pub(super) fn trim(&mut self, now: Now, out: &mut VecDeque<GossipEffect>) {
        let (me, wanted) = (self.me, &self.wanted);
        let must_stay = |first: Candidate<'_>| {
            let awaited = first.kept.awaited;
            let young = now.mono.since(first.kept.received) < REACH_WITHIN;
            let lower = || wanted.lowest_of(first.item.sender);
            let is_lower = || lower().is_some_and(|lowest| lowest < first.item.sequence);
            let we_wait = || first.item.sender != me && (first.behind_a_gap || is_lower());
            young && first.of_a_burst && (!awaited.is_empty() || we_wait())
                || !awaited.and(first.takers_of_a_flood).is_empty()
        };
        let had_room = self.store.in_the_way().is_none();
        let evicted = self.store.trim(now.mono, must_stay);
        self.forget(evicted, out);
        let has_room = self.store.in_the_way().is_none();
        if !has_room || self.wanted.has_postponed() {
            let wait = if had_room && !has_room { Duration::ZERO } else { CROWDED_RETRY };
            self.deadlines.set_earliest(GossipWake::Crowded, now.mono + wait);
        }
    }

    /// Tells storage what left the window. Floors go first: a crash in between brings nothing back.
    /// Those that are forgotten here are forgotten there, or every key that ever spoke would cost a
    /// row.
    fn forget(&mut self, evicted: Vec<Evicted>, out: &mut VecDeque<GossipEffect>) {
        let mut floors = BTreeMap::new();
        for Evicted { item, .. } in &evicted {
            floors.insert(item.sender, item.sequence + 1);
        }
        out.extend(floors.into_iter().map(|(sender, floor)| GossipEffect::Floor { sender, floor }));
        for Evicted { item: MessageKey { sender, sequence }, message, entry, awaited } in evicted {
            self.counters.evicted += 1;
            self.anti_entropy().note(None, Some(entry));
            out.push_back(GossipEffect::Forget { sender, sequence });
            let reached_nobody = sender == self.me && self.unheard.remove(sequence);
            if awaited.is_empty() && !reached_nobody {
                continue;
            }
            self.counters.evicted_unreached += 1;
            if sender == self.me {
                let lacks = |(_, link): &(&NodeId, &GossipPeer)| {
                    link.place.is_some_and(|place| awaited.contains(place))
                };
                let peers = self.links.iter().filter(lacks).map(|(peer, _)| *peer).collect();
                out.push_back(GossipEffect::GivenUp { message: message.id(), peers });
            }
        }
        out.extend(self.store.take_forgotten().into_iter().map(GossipEffect::ForgetFloor));
    }
}
