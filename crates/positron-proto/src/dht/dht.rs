//! The machine: everything that a node does with the hash table.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use super::{
    AskedBy, Contact, DhtAnswer, DhtAsk, DhtCounters, DhtEffect, DhtLevels, DhtMode, DhtOutcome,
    DhtQuery, DhtRecord, DhtRefused, Found, LivingRecord, NameHash, NewRecord, Place, QuestionId,
    ReadMode, RecordFor, RecordKind, RememberedDht, ReplyId, StoreOutcome, StoredAt, Via,
    acquaintances::Acquaintances,
    candour::Candour,
    errands::Errands,
    keeper::Keeper,
    operation::Goal,
    operations::Operations,
    published::{Published, Title},
    question::{About, DhtQuestions},
    recent_lookups::RecentLookups,
    record_store::RecordStore,
    size_estimate::SizeEstimate,
    table::RoutingTable,
    told::Told,
    unbegun::UnbegunOperations,
    upkeep::Upkeep,
    value_cache::ValueCache,
    writing::RecordWriting,
};
use crate::{
    id::{NetworkId, NodeId, Ticket},
    identity::{Identity, Verified},
    limits::{
        MAX_CONTACTS_PER_ANSWER, MAX_DHT_OPERATIONS, MAX_PUBLISHED, MAX_RECORD_TTL,
        MAX_REPLICA_CANDIDATES, MAX_VALUE, MIN_RECORD_TTL, PEER_RECORD_LIFE, REPLICAS,
    },
    metric::Level,
    misbehavior::Misbehavior,
    rng::Rng,
    time::{Instant, Now},
};

/// The hash table, as one node takes part in it.
///
/// - [`store`](Self::store), [`read`](Self::read), [`delete`](Self::delete) and
///   [`find`](Self::find) are refused with a reason, or end by exactly one [`DhtEffect::Done`].
/// - Each [`DhtEffect::Ask`] is answered by [`handle_answer`](Self::handle_answer), or by
///   [`handle_unanswered`](Self::handle_unanswered), or not at all: time is kept here.
/// - Each query of others ([`handle_query`](Self::handle_query)) gets one [`DhtEffect::Answer`].
/// - Each [`DhtEffect::Verify`] is answered by [`handle_verified`](Self::handle_verified) or
///   [`handle_refuted`](Self::handle_refuted), or by [`handle_unchecked`](Self::handle_unchecked)
///   where there was no room to check it.
///
/// Nothing that others say is believed but what its publisher signed; whom they name is asked
/// before it is named to anybody else; what is kept for them is bounded by [`crate::limits`].
#[derive(Debug)]
pub struct Dht {
    pub(super) me: Arc<Identity>,
    pub(super) id: NodeId,
    pub(super) network: NetworkId,
    pub(super) rng: Rng,
    pub(super) mode: DhtMode,
    pub(super) table: RoutingTable,
    pub(super) size: SizeEstimate,
    pub(super) candour: Candour,
    pub(super) acquaintances: Acquaintances,
    pub(super) keeper: Keeper,
    pub(super) published: Published,
    pub(super) questions: DhtQuestions,
    pub(super) operations: Operations,
    /// The last sequence that a record of ours has.
    pub(super) sequence: u64,
    pub(super) told: Told,
    pub(super) upkeep: Upkeep,
    pub(super) errands: Errands,
    pub(super) unbegun: UnbegunOperations,
    pub(super) cache: ValueCache,
    pub(super) counters: DhtCounters,
    pub(super) recent: RecentLookups,
}

impl Dht {
    /// Begins with what storage remembers.
    pub fn new(
        me: Arc<Identity>,
        network: NetworkId,
        remembered: RememberedDht,
        mut rng: Rng,
        now: Now,
    ) -> Self {
        let here = Place::from_bytes(rng.bytes());
        let id = me.node_id();
        let RememberedDht { records, contacts, published } = remembered;
        let mut this = Self {
            id,
            me,
            network,
            rng,
            mode: DhtMode::Unreachable,
            table: RoutingTable::new(now.mono, here),
            size: SizeEstimate::default(),
            candour: Candour::default(),
            acquaintances: Acquaintances::default(),
            keeper: Keeper::new(RecordStore::load(now, records)),
            published: Published::default(),
            questions: DhtQuestions::default(),
            operations: Operations::default(),
            sequence: 0,
            told: Told::default(),
            upkeep: Upkeep::default(),
            errands: Errands::default(),
            unbegun: UnbegunOperations::default(),
            cache: ValueCache::new(),
            counters: DhtCounters::default(),
            recent: Default::default(),
        };
        this.table.remember(now.mono, contacts);
        for key in this.keeper.store.keys(None).collect::<Vec<_>>() {
            this.upkeep.handle_kept(now.mono, key, &mut this.rng);
        }
        this.sequence = this.published.restore(now, published);
        this
    }

    // --- what the application wants ---

    /// Publishes a record, and gives it to the nodes nearest to its key. Ends by
    /// `DhtOutcome::Stored`; it is renewed for as long as this node runs, until it is deleted.
    pub fn store(
        &mut self,
        now: Now,
        ticket: Ticket,
        new: NewRecord,
        out: &mut VecDeque<DhtEffect>,
    ) -> Result<Place, DhtRefused> {
        let title = Title::of_application(new.kind, new.name)?;
        if new.value.len() > MAX_VALUE {
            return Err(DhtRefused::TooLarge(new.value.len()));
        }
        if !(MIN_RECORD_TTL..=MAX_RECORD_TTL).contains(&new.ttl) {
            return Err(DhtRefused::BadLife(new.ttl.as_secs()));
        }
        if !self.published.has_room(&title) {
            return Err(DhtRefused::TooManyPublished);
        }
        self.check_room()?;
        Ok(self.say(now, Some(ticket), title, (new.ttl, new.value), out))
    }

    /// Looks for records under a key, of one publisher or of all. Ends by `DhtOutcome::Read`.
    pub fn read(
        &mut self,
        now: Now,
        ticket: Ticket,
        (key, publisher): (Place, Option<NodeId>),
        mode: ReadMode,
        out: &mut VecDeque<DhtEffect>,
    ) -> Result<(), DhtRefused> {
        self.check_room()?;
        let reading = self.reading(now, key, publisher, mode);
        self.begin(now, Some(ticket), key, Goal::Read(reading), out);
        Ok(())
    }

    /// Takes back what this node published under a name, on whatever node holds it. Ends by
    /// `DhtOutcome::Stored`, or by `DhtOutcome::NothingOfOurs`.
    pub fn delete(
        &mut self,
        now: Now,
        ticket: Ticket,
        (kind, name): (RecordKind, NameHash),
        out: &mut VecDeque<DhtEffect>,
    ) -> Result<(), DhtRefused> {
        if kind == RecordKind::Immutable {
            return Err(DhtRefused::Immutable);
        }
        let title = Title::of_application(kind, name)?;
        self.check_room()?;
        let key = title.key(&self.id);
        let reading = self.reading(now, key, None, ReadMode::Fresh);
        self.begin(now, Some(ticket), key, Goal::Delete(reading), out);
        Ok(())
    }

    /// Looks for the nodes nearest to a place. Ends by `DhtOutcome::Nearest`.
    pub fn find(
        &mut self,
        now: Now,
        ticket: Ticket,
        place: Place,
        out: &mut VecDeque<DhtEffect>,
    ) -> Result<(), DhtRefused> {
        self.check_room()?;
        self.begin(now, Some(ticket), place, Goal::Find, out);
        Ok(())
    }

    /// Where this node is, as its signed peer record says: published under a name of its own, and
    /// renewed until it is nowhere (`None`) or elsewhere. Whoever knows its id finds it there.
    pub fn announce(
        &mut self,
        now: Now,
        peer_record: Option<bytes::Bytes>,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let title = Title::of_peer_record();
        let said = self.published.get(&title).and_then(|kept| kept.record.content().value.clone());
        match peer_record {
            None => _ = self.published.forget(&title),
            Some(value) if said.as_ref() != Some(&value) => {
                self.say(now, None, title, (PEER_RECORD_LIFE, value), out);
            }
            Some(_) => {}
        }
    }

    fn check_room(&self) -> Result<(), DhtRefused> {
        if self.open_operations() < MAX_DHT_OPERATIONS { Ok(()) } else { Err(DhtRefused::TooMany) }
    }

    fn open_operations(&self) -> usize {
        self.operations.len() + self.errands.len() + self.unbegun.len()
    }

    // --- what happens ---

    /// Strangers reach this node here by datagrams; or why it serves nobody.
    pub fn handle_mode(&mut self, now: Now, serves: Result<SocketAddr, DhtMode>) {
        let mode = match serves {
            Ok(addr) => DhtMode::Server(Place::of_node(&self.id, addr)),
            Err(why) => why,
        };
        if mode != self.mode {
            self.mode = mode;
            // Who serves nobody is nowhere in particular.
            let here = self.place().unwrap_or_else(|| Place::from_bytes(self.rng.bytes()));
            self.table.handle_move(now.mono, here);
        }
    }

    /// A node is said to serve the table: it is asked before it is believed.
    pub fn handle_contact(&mut self, now: Now, contact: Contact) {
        if contact.id() != self.id {
            self.table.handle_contact(now.mono, contact);
        }
    }

    /// A peer is linked: where nobody answers by datagrams, it can be asked to do what they would.
    pub fn peer_up(&mut self, now: Now, peer: Contact, has_datagrams: bool) {
        self.errands.peer_up(now.mono, peer, has_datagrams);
        self.offer_by_errand(now);
    }

    /// It is not any more.
    pub fn peer_down(&mut self, peer: &NodeId) {
        self.errands.peer_down(peer);
    }

    /// Whether it can do such an errand: who knows nobody shows what it keeps itself.
    pub fn can_do(&self, now: Now, query: &DhtQuery) -> bool {
        let shows = |key| self.keeper.store.get(now.mono, key, None).next().is_some();
        !self.table.is_empty() || matches!(query, DhtQuery::Get { key, .. } if shows(key))
    }

    /// Another node asks something.
    pub fn handle_query(
        &mut self,
        now: Now,
        (asker, reply): (AskedBy, ReplyId),
        ask: DhtAsk,
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.counters.queries += 1;
        if let Some(contact) = asker.contact.filter(|_| ask.serves) {
            self.handle_contact(now, contact);
        }
        let found = match ask.query {
            DhtQuery::Store(living) => {
                return self.handle_store(now, (asker, reply), (living, None), out);
            }
            DhtQuery::StoreOnTheWay(living) => {
                let near = self.near(now, &living.record.content().key(), &asker);
                let near = near.fitting(asker.room).contacts;
                return self.handle_store(now, (asker, reply), (living, Some(near)), out);
            }
            // Nobody is nearer to our place than we are: who asks for it asks whether we are there.
            DhtQuery::Find(target) if self.place() == Some(target) => Found::default(),
            DhtQuery::Find(target) => self.near(now, &target, &asker),
            DhtQuery::Get { key, publisher, values } => {
                if !values {
                    self.upkeep.heard_of(now.mono, key, &mut self.rng);
                }
                let mut found = self.keeper.found(now, &key, publisher.as_ref(), values);
                self.published.tell(now.mono, (&key, publisher, values), &self.id, &mut found);
                found.contacts = self.near(now, &key, &asker).contacts;
                found
            }
        };
        let answer = DhtAnswer::Found(found.fitting(asker.room));
        out.push_back(DhtEffect::Answer { to: reply, answer });
    }

    fn handle_store(
        &mut self,
        now: Now,
        (asker, reply): (AskedBy, ReplyId),
        (living, near): (LivingRecord, Option<Vec<Contact>>),
        out: &mut VecDeque<DhtEffect>,
    ) {
        let Some(here) = self.place().filter(|_| asker.is_proven) else {
            let answer = DhtAnswer::of_store(StoreOutcome::Refused, near);
            out.push_back(DhtEffect::Answer { to: reply, answer });
            return;
        };
        self.upkeep.heard_of(now.mono, living.record.content().key(), &mut self.rng);
        let reach = self.size.kept_around(here);
        self.keeper.handle_store(now, (asker, reply), (living, near), reach.as_ref(), out);
    }

    /// Whom this node knows near a place, but for who asks: only those that answered it, and none
    /// that is nearer to us than the asker is. Where somebody sought places, dice choose among all
    /// in the region, or nobody would hear of others there.
    fn near(&mut self, now: Now, target: &Place, asker: &AskedBy) -> Found {
        self.told.handle_answer(now.mono, asker.id, *target);
        let mut contacts = self.table.nearest(target, MAX_REPLICA_CANDIDATES);
        contacts.retain(|contact| contact.id() != asker.id);
        contacts.retain(|contact| asker.may_hear_of(contact));
        let region = self.size.reach(REPLICAS, 1);
        if let Some(region) = region.filter(|_| self.size.is_crowded(target, &contacts)) {
            let within = |contact: &Contact| target.distance(&contact.place()) <= region;
            let in_region = contacts.partition_point(within);
            self.rng.shuffle(&mut contacts[..in_region]);
            contacts[..in_region.min(MAX_CONTACTS_PER_ANSWER)]
                .sort_unstable_by_key(|contact| target.distance(&contact.place()));
        }
        contacts.truncate(MAX_CONTACTS_PER_ANSWER);
        Found { contacts, ..Found::default() }
    }

    /// A question of ours is answered, over this.
    pub fn handle_answer(
        &mut self,
        now: Now,
        (id, via): (QuestionId, Via),
        answer: DhtAnswer,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let Some((question, rtt)) = self.questions.handle_answer(now.mono, id) else {
            self.counters.strange += 1;
            return;
        };
        // An answer over a session does not show that strangers reach the node.
        if via == Via::Datagram {
            self.acquaintances.handle_answer(now.mono, question.to);
            if self.table.handle_answer(now.mono, question.to, Some(rtt)) {
                self.handle_newcomer(now, question.to, out);
            }
            self.handle_answering(now, out);
        }
        let from = question.to;
        let operation = match (question.about, answer) {
            (About::Lookup(operation) | About::Fetch(operation), DhtAnswer::Found(found)) => {
                self.handle_found(now, operation, &from, found, out);
                // What was fetched is checked now, or not there: that is not waited for any more.
                if matches!(question.about, About::Fetch(_)) && !question.is_late {
                    self.give_up(&question);
                }
                operation
            }
            (About::Store(operation), DhtAnswer::Stored(outcome)) => {
                let stored = (outcome, Vec::new());
                self.operations.handle_stored(now.mono, operation, &from, stored);
                operation
            }
            (About::Store(operation), DhtAnswer::StoredOnTheWay(outcome, near)) => {
                self.operations.handle_stored(now.mono, operation, &from, (outcome, near));
                operation
            }
            (About::Errand(id, part), answer) => {
                self.errands.handle_answer(now, id, (&from, part), answer, out);
                return self.drive_errand(now, id, out);
            }
            (About::Probe, _) => return,
            (About::Push, DhtAnswer::Stored(StoreOutcome::Refused))
                if !self.table.is_settled(now.mono, &from.id()) =>
            {
                return self.upkeep.handle_lost_push(now.mono, from);
            }
            (About::Push, _) => {
                self.upkeep.handle_pushed();
                return self.keep_up(now, out);
            }
            // It answers something else than it was asked.
            (About::Lookup(operation) | About::Fetch(operation) | About::Store(operation), _) => {
                let what = Misbehavior::ProtocolViolation;
                out.push_back(DhtEffect::Misbehaved { peer: from.id(), what });
                self.give_up(&question);
                operation
            }
        };
        self.drive(now, operation, out);
    }

    /// A question of ours cannot be asked.
    pub fn handle_unanswered(&mut self, now: Now, id: QuestionId, out: &mut VecDeque<DhtEffect>) {
        if let Some(question) = self.questions.withdraw(id) {
            self.handle_failed(now, question, out);
        }
    }

    /// What came as the answer to a question of ours is none.
    pub fn handle_nonsense(&mut self, now: Now, id: QuestionId, out: &mut VecDeque<DhtEffect>) {
        if let Some(question) = self.questions.withdraw(id) {
            let (peer, what) = (question.to.id(), Misbehavior::Malformed);
            out.push_back(DhtEffect::Misbehaved { peer, what });
            self.handle_failed(now, question, out);
        }
    }

    /// An answer came to something that nobody asked.
    pub const fn handle_strange(&mut self) {
        self.counters.strange += 1;
    }

    /// A record is its publisher's.
    pub fn handle_verified(
        &mut self,
        now: Now,
        record: Verified<DhtRecord>,
        (remaining, from, wanted): (u32, NodeId, RecordFor),
        out: &mut VecDeque<DhtEffect>,
    ) {
        match wanted {
            RecordFor::ToKeep(reply) => {
                let (key, publisher) = (record.content().key(), record.content().publisher);
                let outcome = self.keeper.handle_verified(
                    now,
                    reply,
                    (record, remaining),
                    out,
                    &mut self.counters,
                );
                if outcome == Some(StoreOutcome::Kept) {
                    self.handle_kept(now, key, (from, publisher.node_id()), out);
                }
            }
            RecordFor::ByUs(_) | RecordFor::ByErrand(_) => {
                if let Some(reading) = self.reading_for(wanted) {
                    reading.handle_verified(from, record, remaining);
                }
                self.go_on(now, wanted, out);
            }
            RecordFor::ToSpread(ticket) => {
                let key = record.content().key();
                let goal = Goal::Write(RecordWriting::new(record, remaining).into());
                self.begin_here(now, Some(ticket), key, goal, out);
            }
        }
    }

    /// A record is not its publisher's: whoever brought it made it up, or did not look.
    pub fn handle_refuted(
        &mut self,
        now: Now,
        (from, wanted): (NodeId, RecordFor),
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.counters.forged += 1;
        let what = Misbehavior::ForgedSignature;
        out.push_back(DhtEffect::Misbehaved { peer: from, what });
        if let RecordFor::ByUs(operation) = wanted
            && let Some(reading) = self.operations.reading(operation)
        {
            reading.handle_forged(&from);
        }
        self.unverified(now, wanted, StoreOutcome::Forged, out);
    }

    /// There was no room to check a record.
    pub fn handle_unchecked(&mut self, now: Now, wanted: RecordFor, out: &mut VecDeque<DhtEffect>) {
        self.unverified(now, wanted, StoreOutcome::Refused, out);
    }

    fn unverified(
        &mut self,
        now: Now,
        wanted: RecordFor,
        outcome: StoreOutcome,
        out: &mut VecDeque<DhtEffect>,
    ) {
        match wanted {
            RecordFor::ToKeep(reply) => self.keeper.handle_unverified(reply, outcome, out),
            RecordFor::ByUs(_) | RecordFor::ByErrand(_) => {
                if let Some(reading) = self.reading_for(wanted) {
                    reading.handle_refuted();
                }
                self.go_on(now, wanted, out);
            }
            RecordFor::ToSpread(ticket) => {
                let outcome = DhtOutcome::Stored(StoredAt::refused_by(self.id, outcome));
                out.push_back(DhtEffect::Done { ticket, outcome });
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.questions.poll_timeout(),
            self.operations.poll_timeout(),
            self.keeper.store.poll_timeout(),
            self.published.poll_timeout(),
            self.table.poll_timeout(),
            self.size.poll_timeout(),
            self.upkeep.poll_timeout(),
            self.errands.poll_timeout(),
            self.unbegun.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // --- what can be seen ---

    /// Whether a question of ours is an errand: a linked peer is not asked, but to do it.
    pub fn is_errand(&self, question: QuestionId) -> bool {
        self.questions.is_errand(question)
    }

    /// Where a question of ours is asked.
    pub fn asked_at(&self, question: QuestionId) -> Option<SocketAddr> {
        self.questions.get(question).map(|question| question.to.addr())
    }

    /// What this node is to the table, and why.
    pub const fn mode(&self) -> DhtMode {
        self.mode
    }

    /// Whom it knows.
    pub const fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// How many nodes there are that serve the table, as far as lookups tell.
    pub fn network_size(&self) -> Option<f64> {
        self.size.nodes()
    }

    /// What happened.
    pub const fn counters(&self) -> DhtCounters {
        DhtCounters { pushes_dropped: self.upkeep.dropped, ..self.counters }
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> DhtLevels {
        DhtLevels {
            records: self.keeper.store.records(),
            record_bytes: self.keeper.store.bytes(),
            floors: self.keeper.store.floors(),
            published: Level::new(self.published.len(), MAX_PUBLISHED),
            operations: Level::new(self.open_operations(), MAX_DHT_OPERATIONS),
        }
    }

    pub(super) const fn place(&self) -> Option<Place> {
        if let DhtMode::Server(place) = self.mode { Some(place) } else { None }
    }
}
