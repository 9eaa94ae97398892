//! How operations go on, from their first question to their outcome.

use std::collections::VecDeque;

use super::{
    Contact, DhtAsk, DhtEffect, DhtMode, DhtOutcome, DhtQuery, DhtRecord, Distance, ErrandId,
    Found, FoundRecord, LivingRecord, NearestTo, OperationId, PendingRecord, Place, ReadFrom,
    ReadMode, RecordFor, Via,
    beginning::Beginning,
    dht::Dht,
    handover::{handed_over, is_holder, is_to_push, parting_way},
    lookup::Lookup,
    operation::{Goal, Operation},
    published::Title,
    publishing::Publishing,
    question::{About, DhtQuestion, Overdue, way},
    reading::RecordReading,
    replicas::replicas,
    table::TableWish,
    writing::RecordWriting,
};
use crate::{
    id::{NodeId, Ticket},
    identity::Verified,
    limits::{
        DISJOINT_PATHS, FIRST_READ_WIDTH, GIVEN_ON_THE_WAY, HEDGE_AFTER, LONGEST_LOOKUP,
        LOOKUP_WIDTH, MAX_DISJOINT_PATHS, MAX_READ_REPAIRS, MAX_REPLICA_CANDIDATES, MIN_DENSITY,
        NEIGHBOURS, PUSH_WIDTH, REPLICAS, SIZE_SAMPLES_ANEW, WIDEST_LOOKUP,
    },
    time::{Duration, Now},
};

impl Dht {
    /// Begins to look for `target`, here.
    pub(super) fn begin_here(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        target: Place,
        goal: Goal,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let wants_first = matches!(&goal, Goal::Read(reading) if reading.wants_first());
        let acquaintances = self.acquaintances.nearest(now.mono, &target, REPLICAS);
        let lookup = self.lookup(now, target).with_more(acquaintances);
        let lookup = match (wants_first, self.questions.are_lossy()) {
            (true, false) => {
                let near = self.size.reach(REPLICAS, 1);
                lookup.with_width(FIRST_READ_WIDTH).ending_within(near)
            }
            (true, true) | (false, false) => lookup.with_width(LOOKUP_WIDTH),
            (false, true) => lookup.with_width(WIDEST_LOOKUP),
        };
        self.begin_with(now, ticket, lookup, goal, out);
    }

    pub(super) fn begin_with(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        lookup: Lookup,
        goal: Goal,
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.counters.lookups += 1;
        let id = self.operations.begin(Operation { ticket, lookup, goal, began: now.mono });
        self.drive(now, id, out);
    }

    /// What is published under a key here, and kept, is where a read begins.
    pub(super) fn reading(
        &mut self,
        now: Now,
        key: Place,
        publisher: Option<NodeId>,
        mode: ReadMode,
    ) -> RecordReading {
        let mut reading = RecordReading::new(key, publisher, mode);
        let is_wanted = |record: &Verified<DhtRecord>| {
            publisher.is_none_or(|wanted| wanted == record.content().publisher.node_id())
        };
        if let Some(publication) = self.published.under(&key) {
            let left = publication.ends.since(now.mono).as_secs();
            if is_wanted(&publication.record) && left > 0 {
                let left = u32::try_from(left).unwrap_or(u32::MAX);
                reading.take(self.id, publication.record.clone(), left);
            }
        }
        for (record, remaining) in self.keeper.store.get(now.mono, &key, publisher.as_ref()) {
            reading.take(self.id, record.clone(), remaining);
        }
        let cached = self.cache.get(now.mono, &key).filter(|(record, _)| is_wanted(record));
        if let Some((record, remaining)) = cached {
            reading.take(self.id, record, remaining);
        }
        reading
    }

    /// Signs and publishes what we have to say under a title; returns its key.
    pub(super) fn say(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        title: Title,
        (ttl, value): (Duration, bytes::Bytes),
        out: &mut VecDeque<DhtEffect>,
    ) -> Place {
        let mut publishing = Publishing(self);
        let record = publishing.sign(now, title, ttl, Some(value));
        let key = record.content().key();
        publishing.publish(now, ticket, record, out);
        key
    }

    pub(super) fn ask(
        &mut self,
        now: Now,
        (to, about): (Contact, About),
        query: DhtQuery,
        via: Via,
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.counters.questions += 1;
        let rtt = self.table.rtt_of(&to.id());
        let via = way(via, about, &query, self.acquaintances.has_ticket(now.mono, &to));
        let slow = via == Via::Session;
        let question = self.questions.ask(now.mono, (to, about), rtt, slow);
        let ask = DhtAsk { serves: matches!(self.mode, DhtMode::Server(_)), query };
        out.push_back(DhtEffect::Ask { question, to, ask, via });
    }

    /// An answer with contacts, and perhaps records.
    pub(super) fn handle_found(
        &mut self,
        now: Now,
        id: OperationId,
        from: &Contact,
        mut found: Found,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let Some(operation) = self.operations.get_mut(id) else { return };
        match &mut operation.goal {
            Goal::Find => {}
            Goal::Read(reading) | Goal::Delete(reading) => {
                for LivingRecord { record, remaining } in
                    reading.handle_found(now.wall, from, &mut found)
                {
                    out.push_back(DhtEffect::Verify(PendingRecord {
                        claim: record,
                        remaining,
                        from: from.id(),
                        wanted: RecordFor::ByUs(id),
                    }));
                }
            }
            Goal::Write(writing) => writing.handle_found(from.id(), &found),
        }
        operation.lookup.handle_answer(now.mono, from, found.contacts);
    }

    /// A question found no answer in time, or could not be asked.
    pub(super) fn handle_failed(
        &mut self,
        now: Now,
        question: DhtQuestion,
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.table.handle_failure(now.mono, &question.to.id());
        self.acquaintances.forget(&question.to);
        self.give_up(&question);
        match question.about {
            About::Lookup(id) | About::Store(id) | About::Fetch(id) => self.drive(now, id, out),
            About::Probe => {}
            About::Push => self.upkeep.handle_lost_push(now.mono, question.to),
            About::Errand(id, part) => {
                self.errands.handle_failure(id, part);
                self.drive_errand(now, id, out);
            }
        }
    }

    /// Whoever waits for this answer waits no longer.
    pub(super) fn give_up(&mut self, question: &DhtQuestion) {
        let to = question.to.id();
        match &question.about {
            About::Lookup(id) => {
                if let Some(operation) = self.operations.get_mut(*id) {
                    operation.lookup.handle_failure(&question.to);
                }
            }
            About::Store(id) => {
                if let Some(operation) = self.operations.get_mut(*id) {
                    operation.lookup.handle_failure(&question.to);
                }
                if let Some(writing) = self.operations.writing(*id) {
                    writing.handle_outcome(to, None);
                }
            }
            About::Fetch(id) => {
                if let Some(reading) = self.operations.reading(*id) {
                    reading.handle_refuted();
                }
            }
            About::Probe | About::Push | About::Errand(..) => {}
        }
    }

    /// Does what an operation can do now: asks, gives, fetches, or ends.
    pub(super) fn drive(&mut self, now: Now, id: OperationId, out: &mut VecDeque<DhtEffect>) {
        let Some(operation) = self.operations.get_mut(id) else { return };
        operation.lookup.handle_timeout(now.mono);
        let is_late = now.mono >= operation.began + LONGEST_LOOKUP;
        if !operation.has_looked() && !operation.is_checking() && !is_late {
            let near = self.size.reach(GIVEN_ON_THE_WAY, 1).filter(|_| !self.questions.are_lossy());
            while let Some((next, about, query)) =
                self.operations.next_question(now.mono, id, (&self.acquaintances, near))
            {
                self.ask(now, (next, about), query, Via::Any, out);
            }
            self.give_early(now, id, out);
        }
        let Some(operation) = self.operations.get_mut(id) else { return };
        if operation.has_looked() && !is_late && self.look_again(now, id) {
            return self.drive(now, id, out);
        }
        let Some(operation) = self.operations.get_mut(id) else { return };
        let is_over = match (operation.has_looked() || is_late, &mut operation.goal) {
            (false, _) => false,
            (true, Goal::Find) => true,
            (true, Goal::Read(_) | Goal::Delete(_)) => {
                self.fetch(now, id, out);
                is_late || self.operations.reading(id).is_none_or(|reading| !reading.is_waiting())
            }
            (true, Goal::Write(_)) => self.give(now, id, out) || is_late,
        };
        if is_over {
            self.finish(now, id, out);
        } else {
            self.operations.wait(id);
        }
    }

    pub(super) fn lookup(&self, now: Now, target: Place) -> Lookup {
        let start = self.table.nearest(&target, MAX_REPLICA_CANDIDATES);
        let hedge = self.table.late_after(self.questions.are_lossy()).unwrap_or(HEDGE_AFTER);
        Lookup::new(now.mono, target, REPLICAS, start, self.id, hedge)
    }

    /// Begins again over paths that share no node: where nothing was found although there are nodes
    /// that nobody asked, or more nodes than chance puts there, or so few that others may be
    /// hidden.
    fn look_again(&mut self, now: Now, id: OperationId) -> bool {
        let Some(operation) = self.operations.get(id) else { return false };
        let (target, nearest) = (operation.target(), operation.nearest());
        let paths = operation.lookup.paths();
        let found_nothing = match &operation.goal {
            Goal::Read(reading) if reading.has_first() => return false,
            Goal::Read(reading) | Goal::Delete(reading) => reading.found_nothing(),
            Goal::Write(writing) if writing.is_giving() => return false,
            Goal::Find | Goal::Write(_) => false,
        };
        let is_crowded = self.size.is_crowded(&target, &nearest);
        let has_others = self.table.len() > operation.lookup.asked();
        // Who is silent is not hidden.
        let asked = operation.lookup.nearest_asked();
        let is_sparse =
            operation.lookup.is_done() && self.size.is_sparse(&target, &asked, MIN_DENSITY);
        let may_go_on = paths == 1 || found_nothing && paths < MAX_DISJOINT_PATHS;
        if !(found_nothing || is_crowded || is_sparse) || !has_others || !may_go_on {
            return false;
        }
        let paths = if paths == 1 { DISJOINT_PATHS } else { MAX_DISJOINT_PATHS };
        let mut lookup = self.lookup(now, target).over_paths(paths);
        if let Some(region) = self.size.reach(REPLICAS, 1).filter(|_| is_crowded) {
            lookup = lookup.all_within(region);
        }
        if let Goal::Read(reading) | Goal::Delete(reading) = &operation.goal
            && found_nothing
        {
            lookup = lookup.without(reading.empty_handed());
        }
        if let Some(operation) = self.operations.get_mut(id) {
            operation.lookup = lookup;
        }
        true
    }

    /// Asks for what was too large for the answers that told of it.
    fn fetch(&mut self, now: Now, id: OperationId, out: &mut VecDeque<DhtEffect>) {
        let Some(reading) = self.operations.reading(id) else { return };
        let (holders, query) = (reading.take_large(), reading.query());
        for holder in holders {
            self.ask(now, (holder, About::Fetch(id)), query.clone(), Via::Session, out);
        }
    }

    /// Gives a record to those who are near enough to its key to be among the nearest almost
    /// surely.
    fn give_early(&mut self, now: Now, id: OperationId, out: &mut VecDeque<DhtEffect>) {
        let Some(sure) = self.size.reach(REPLICAS / 2, 1) else { return };
        let Some(operation) = self.operations.get_mut(id) else { return };
        let (target, Goal::Write(writing)) = (operation.lookup.target(), &mut operation.goal)
        else {
            return;
        };
        let near = operation.lookup.settled();
        writing.give_early(near.filter(|at| target.distance(&at.place()) <= sure));
        let query = writing.store();
        while let Some(next) = self.operations.writing(id).and_then(RecordWriting::pop_next) {
            self.ask(now, (next, About::Store(id)), query.clone(), Via::Any, out);
        }
    }

    /// Gives a record to whose turn it is. Whether that is over.
    fn give(&mut self, now: Now, id: OperationId, out: &mut VecDeque<DhtEffect>) -> bool {
        let Some(operation) = self.operations.get_mut(id) else { return true };
        let target = operation.target();
        let Goal::Write(writing) = &mut operation.goal else { return true };
        if !writing.is_giving() {
            let nearest = operation.lookup.nearest();
            // Where somebody sought places, all around keep it, and not those places alone.
            let region = self.size.reach(REPLICAS, 1);
            let region = region.filter(|_| self.size.is_crowded(&target, &nearest));
            let first = replicas(&target, &nearest, region);
            let is_first: Vec<_> = first.iter().map(Contact::id).collect();
            let rest = nearest.into_iter().filter(|contact| !is_first.contains(&contact.id()));
            let wanted = first.len().max(REPLICAS);
            let candidates: Vec<_> = first.iter().copied().chain(rest).collect();
            writing.begin_giving(&candidates, wanted);
        }
        let query = writing.store();
        while let Some(next) = self.operations.writing(id).and_then(RecordWriting::pop_next) {
            self.ask(now, (next, About::Store(id)), query.clone(), Via::Any, out);
        }
        self.operations.writing(id).is_none_or(|writing| writing.is_over())
    }

    fn finish(&mut self, now: Now, id: OperationId, out: &mut VecDeque<DhtEffect>) {
        let Some(operation) = self.operations.end(id) else { return };
        let Operation { ticket, lookup, goal, began } = operation;
        let (took, asked, nearest) = (now.mono.since(began), lookup.asked(), lookup.nearest());
        self.counters.lookups_failed += u64::from(nearest.is_empty() && asked > 0);
        self.recent.add(asked, lookup.hops(), took);
        if lookup.is_done() {
            self.size.add(&lookup.target(), &nearest);
            self.candour.add(lookup.omissions());
            self.table.handle_lookup(now.mono, &lookup.target(), &mut self.rng);
        }
        let outcome = match goal {
            Goal::Find => {
                let (hops, steps) = (lookup.hops(), lookup.steps().collect());
                DhtOutcome::Nearest(NearestTo { contacts: nearest, took, hops, steps })
            }
            Goal::Read(reading) => {
                let near = replicas(&lookup.target(), &nearest, None);
                for (to, record, remaining) in
                    reading.behind(&near).into_iter().take(MAX_READ_REPAIRS)
                {
                    let query = DhtQuery::Store(LivingRecord { record, remaining });
                    self.ask(now, (to, About::Probe), query, Via::Any, out);
                }
                let ((records, holders), key) = (reading.records(), reading.key());
                for FoundRecord { record, remaining, .. } in &records {
                    self.cache.insert(now.mono, record, *remaining);
                }
                let deleted = reading.deleted();
                DhtOutcome::Read(ReadFrom { key, records, deleted, holders, took, asked })
            }
            Goal::Delete(reading) => return Publishing(self).kill(now, ticket, &reading, out),
            Goal::Write(writing) => {
                let stored = writing.outcome(took, asked);
                let (holders, wanted) = (stored.holders.len(), self.wanted_holders());
                let record = writing.record().content();
                if record.publisher.node_id() == self.id {
                    self.published.handle_holders(now.mono, record, holders, wanted);
                    if let Some(paths) = self.candour.paths_again(&lookup, &self.size, &nearest) {
                        self.published.doubt(now.mono, record, paths);
                    }
                }
                DhtOutcome::Stored(stored)
            }
        };
        if let Some(ticket) = ticket {
            out.push_back(DhtEffect::Done { ticket, outcome });
        }
    }

    /// How many others should keep a record: as many as there are, at most [`REPLICAS`].
    pub(super) fn wanted_holders(&self) -> usize {
        self.table.len().min(REPLICAS)
    }

    /// Begins to look for `target`, here, by linked peers, or soon.
    pub(super) fn begin(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        target: Place,
        goal: Goal,
        out: &mut VecDeque<DhtEffect>,
    ) {
        Beginning(self).begin(now, ticket, target, goal, out);
    }

    /// Somebody answers: what waits for that begins.
    pub(super) fn handle_answering(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        Beginning(self).begin_all(now, out);
    }

    pub(super) fn drive_errand(&mut self, now: Now, id: ErrandId, out: &mut VecDeque<DhtEffect>) {
        let over = self.errands.drive(now.mono, id, &mut self.questions, out);
        let Some(errand) = over else { return };
        if let Goal::Write(writing) = &errand.goal {
            let record = writing.record().content();
            self.published.handle_holders(now.mono, record, errand.holders(), 1);
        }
        if let Goal::Delete(reading) = &errand.goal {
            return Publishing(self).kill(now, errand.ticket, reading, out);
        }
        let done = errand.ticket.zip(errand.outcome(now));
        out.extend(done.map(|(ticket, outcome)| DhtEffect::Done { ticket, outcome }));
    }

    /// What nobody keeps of ours is given to those who can be asked now.
    pub(super) fn offer_by_errand(&mut self, now: Now) {
        if self.table.is_empty() && self.errands.are_wanted(now.mono) {
            self.published.handle_newcomer(now.mono, 1);
        }
    }

    /// This node goes: what it keeps is brought to those who are to keep it without it, and nobody
    /// waits for their answers. Nothing is completed any more: the tickets of what was under way.
    pub fn handle_stop(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) -> Vec<Ticket> {
        let here = self.place();
        let keeper = &self.keeper;
        let stores = here.map(|here| handed_over(now.mono, &here, &self.table, &keeper.store));
        for (next, living) in stores.unwrap_or_default() {
            let via = parting_way(&living);
            self.ask(now, (next, About::Push), DhtQuery::Store(living), via, out);
        }
        let unbegun = self.unbegun.give_up_all();
        self.operations.take_tickets().chain(self.errands.give_up_all()).chain(unbegun).collect()
    }

    /// A linked peer wants this done for it. Ends by one [`DhtEffect::Done`] with this ticket, like
    /// an operation of ours, and is never passed on to another.
    pub fn handle_errand(
        &mut self,
        now: Now,
        (from, ticket): (NodeId, Ticket),
        query: DhtQuery,
        out: &mut VecDeque<DhtEffect>,
    ) {
        match query {
            DhtQuery::Find(place) => self.begin_here(now, Some(ticket), place, Goal::Find, out),
            DhtQuery::Get { key, publisher, .. } => {
                let reading = self.reading(now, key, publisher, ReadMode::Fresh);
                self.begin_here(now, Some(ticket), key, Goal::Read(reading), out);
            }
            DhtQuery::Store(living) | DhtQuery::StoreOnTheWay(living) => {
                let LivingRecord { record: claim, remaining } = living;
                let wanted = RecordFor::ToSpread(ticket);
                out.push_back(DhtEffect::Verify(PendingRecord { claim, remaining, from, wanted }));
            }
        }
    }

    /// What has read whatever this record is for.
    pub(super) fn reading_for(&mut self, wanted: RecordFor) -> Option<&mut RecordReading> {
        match wanted {
            RecordFor::ByUs(operation) => self.operations.reading(operation),
            RecordFor::ByErrand(errand) => self.errands.reading(errand),
            RecordFor::ToKeep(_) | RecordFor::ToSpread(_) => None,
        }
    }

    /// A record came, or will not: whatever waited for it goes on.
    pub(super) fn go_on(&mut self, now: Now, wanted: RecordFor, out: &mut VecDeque<DhtEffect>) {
        match wanted {
            RecordFor::ByUs(operation) => self.drive(now, operation, out),
            RecordFor::ByErrand(errand) => self.drive_errand(now, errand, out),
            RecordFor::ToKeep(_) | RecordFor::ToSpread(_) => {}
        }
    }

    /// It is time for something.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        while let Some(overdue) = self.questions.pop_overdue(now.mono) {
            match overdue {
                Overdue::Failed(question) => {
                    self.counters.unanswered += 1;
                    self.handle_failed(now, question, out);
                }
                Overdue::Abandoned(id) => out.push_back(DhtEffect::Abandon(id)),
            }
        }
        while let Some(operation) = self.operations.pop_due(now.mono) {
            self.drive(now, operation, out);
        }
        self.keeper.handle_timeout(now, out, &mut self.counters);
        if self.errands.pop_due(now.mono) {
            self.offer_by_errand(now);
        }
        Beginning(self).handle_timeout(now, out);
        Publishing(self).handle_due_publications(now, out);
        self.handle_table_wishes(now, out);
        self.keep_up(now, out);
    }

    /// Looks where the table has gaps, and asks who may take the place of who is gone.
    pub(super) fn handle_table_wishes(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        let mut wishes = VecDeque::new();
        if self.size.pop_due(now.mono) {
            let place = |_| TableWish::LookUp(Place::from_bytes(self.rng.bytes()));
            wishes.extend((0..SIZE_SAMPLES_ANEW).map(place));
        }
        self.table.handle_timeout(now.mono, &mut self.rng, &mut wishes);
        out.extend(self.table.take_changes().into_iter().map(DhtEffect::Keep));
        for wish in wishes {
            match wish {
                TableWish::LookUp(place) => self.begin_here(now, None, place, Goal::Find, out),
                TableWish::Probe(contact) => {
                    let query = DhtQuery::Find(contact.place());
                    self.ask(now, (contact, About::Probe), query, Via::Datagram, out);
                }
            }
        }
    }

    /// A node is new in the table: it may lack what is kept here.
    pub(super) fn handle_newcomer(
        &mut self,
        now: Now,
        newcomer: Contact,
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.published.handle_newcomer(now.mono, self.wanted_holders());
        let here = self.table.here();
        self.size.handle_neighbours(now.mono, &here, &self.table.nearest(&here, NEIGHBOURS));
        self.bring(newcomer);
        self.keep_up(now, out);
    }

    fn bring(&mut self, newcomer: Contact) {
        let (place, everywhere) = (newcomer.place(), Distance::of_part(1.0));
        let within = self.size.kept_around(place).map_or(everywhere, |reach| reach.within);
        let keys = self.keeper.store.keys_near(place, within);
        let keys = keys.filter(|key| is_holder(&self.table, &newcomer.id(), key));
        self.upkeep.queue_pushes(keys.map(|key| (newcomer, key)));
    }

    /// A record of this publisher is kept here from now on that this node brought. It brings it to
    /// all whom it was told of as well; newcomers whom it cannot know may lack it.
    pub(super) fn handle_kept(
        &mut self,
        now: Now,
        key: Place,
        (from, publisher): (NodeId, NodeId),
        out: &mut VecDeque<DhtEffect>,
    ) {
        self.upkeep.handle_kept(now.mono, key, &mut self.rng);
        // Who asked nobody, and did not write it, is a holder, and brings it to whomever it meets.
        let longest_ago = (from == publisher).then_some(now.mono - LONGEST_LOOKUP);
        if let Some(since) = self.told.when(from, key).or(longest_ago) {
            let mut holders = self.table.nearest(&key, REPLICAS);
            holders.retain(|at| at.id() != from && self.table.is_newer(&at.id(), since));
            self.upkeep.queue_pushes(holders.into_iter().map(|newcomer| (newcomer, key)));
        }
        self.keep_up(now, out);
    }

    /// Brings newcomers what they are to keep, and replaces holders that are gone.
    pub(super) fn keep_up(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        while let Some(again) = self.upkeep.pop_again(now.mono) {
            self.bring(again);
        }
        let here = self.place();
        while self.upkeep.pushes_under_way() < PUSH_WIDTH {
            let Some((to, key)) = self.upkeep.pop_push() else { break };
            if here.is_none_or(|here| !is_to_push(now.mono, &self.table, &here, &to, &key)) {
                continue;
            }
            for living in self.keeper.found(now, &key, None, true).records {
                self.upkeep.push_begins();
                self.ask(now, (to, About::Push), DhtQuery::Store(living), Via::Any, out);
            }
        }
        while let Some(key) = self.upkeep.pop_repair(now.mono) {
            let kept = self.keeper.store.get(now.mono, &key, None);
            let kept: Vec<_> = kept.map(|(record, left)| (record.clone(), left)).collect();
            if !kept.is_empty() {
                self.upkeep.handle_kept(now.mono, key, &mut self.rng);
            }
            for (record, remaining) in kept {
                let goal = Goal::Write(RecordWriting::new(record, remaining).into());
                self.begin(now, None, key, goal, out);
            }
        }
    }
}
