//! What this node publishes: signed, given to others, renewed, and taken back.

use std::collections::VecDeque;

use super::{
    DhtEffect, DhtOutcome, DhtRecord, FoundRecord,
    dht::Dht,
    operation::Goal,
    published::{Due, Title},
    reading::RecordReading,
    remembered::{forget_published, keep_published},
    writing::RecordWriting,
};
use crate::{
    id::Ticket,
    identity::Verified,
    limits::{MAX_RECORD_TTL, RECORD_CLOCK_TOLERANCE},
    time::{Duration, Now},
};

/// The table, for what is published in our own name.
pub(super) struct Publishing<'a>(pub(super) &'a mut Dht);

impl Publishing<'_> {
    /// Publishes a record of ours, and gives it to others.
    pub(super) fn publish(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        record: Verified<DhtRecord>,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let (key, ttl) = (record.content().key(), record.content().ttl);
        out.push_back(DhtEffect::Keep(keep_published(&record)));
        self.0.published.publish(now.mono, record.clone(), record.content().life());
        self.0.begin(now, ticket, key, Goal::Write(RecordWriting::new(record, ttl).into()), out);
    }

    /// Signs what we say under a title, above everything that we said before.
    pub(super) fn sign(
        &mut self,
        now: Now,
        title: Title,
        ttl: Duration,
        value: Option<bytes::Bytes>,
    ) -> Verified<DhtRecord> {
        self.0.sequence = now.wall.as_unix_micros().max(self.0.sequence + 1);
        let publisher = *self.0.me.public_key();
        let title = (title.kind, title.name);
        let record = DhtRecord::of_now(now.wall, publisher, title, self.0.sequence, ttl, value);
        self.0.me.sign(record, &self.0.network)
    }

    /// Puts a tombstone above what we published, if there is anything.
    pub(super) fn kill(
        &mut self,
        now: Now,
        ticket: Option<Ticket>,
        reading: &RecordReading,
        out: &mut VecDeque<DhtEffect>,
    ) {
        let ours = reading.newest_of(&self.0.id).map(Verified::content);
        match ours.filter(|record| !record.is_tombstone()) {
            Some(record) => {
                // Whoever kept a copy can show it for as long as it is of its time.
                let life = (record.life() + RECORD_CLOCK_TOLERANCE).min(MAX_RECORD_TTL);
                let title = Title::of(record);
                self.0.sequence = self.0.sequence.max(record.sequence);
                let tombstone = self.sign(now, title, life, None);
                self.publish(now, ticket, tombstone, out);
            }
            None => {
                let (records, _) = reading.records();
                let publisher = |found: FoundRecord| found.record.content().publisher;
                let others = records.into_iter().map(|found| publisher(found).node_id()).collect();
                if let Some(ticket) = ticket {
                    let outcome = DhtOutcome::NothingOfOurs { others };
                    out.push_back(DhtEffect::Done { ticket, outcome });
                }
            }
        }
    }

    /// Renews what is half over, and offers again what too few keep.
    pub(super) fn handle_due_publications(&mut self, now: Now, out: &mut VecDeque<DhtEffect>) {
        while let Some(due) = self.0.published.pop_due(now.mono) {
            match due {
                Due::Renew(title) => {
                    let Some(publication) = self.0.published.get(&title) else { continue };
                    let record = publication.record.content();
                    let (life, value) = (record.life(), record.value.clone());
                    let renewed = self.sign(now, title, life, value);
                    self.publish(now, None, renewed, out);
                }
                Due::Offer(title) => {
                    let Some(publication) = self.0.published.get(&title) else { continue };
                    let left = publication.ends.since(now.mono).as_secs();
                    let left = u32::try_from(left).unwrap_or(u32::MAX);
                    let record = publication.record.clone();
                    let (key, paths) = (record.content().key(), publication.paths);
                    let goal = Goal::Write(RecordWriting::new(record, left).into());
                    if self.0.table.is_empty() {
                        self.0.begin(now, None, key, goal, out);
                    } else {
                        let lookup = self.0.lookup(now, key).over_paths(paths);
                        self.0.begin_with(now, None, lookup, goal, out);
                    }
                }
                Due::Ended(title) => out.push_back(DhtEffect::Keep(forget_published(&title))),
            }
        }
    }
}
