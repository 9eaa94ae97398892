//! What somebody stored, found by its key, on whichever nodes keep it `[PROTOCOL 3.8]`.
//!
//! # Nouns
//!
//! - a [`Place`] is a point of a space of 256 bits, in which keys and nodes are. A key is where a
//!   hash of its name says; a node is where its *address* says, because keys of nodes cost nothing;
//! - a [`DhtRecord`] is what a publisher signed under a name: *immutable* (the name is a hash of
//!   the value), *owned* (nobody else can write there) or *shared* (a notice board: each publisher
//!   has a slot of its own). A *tombstone* is a record without a value, above one that had one;
//! - the *replica set* of a key are the nodes nearest to it, not too many of them in one network;
//! - a [`Contact`] is a node that answers queries, with what it takes to ask it;
//! - an *operation* is what this node does: a lookup of the nodes nearest to a place, and on the
//!   way and at its end the reading or writing of records;
//! - a *server* answers others and keeps records for them; a *client* only asks;
//! - an *errand* is an operation that a linked peer does for a node that reaches nobody by
//!   datagrams.
//!
//! # An operation
//!
//! ```text
//! find    LOOKING ─────────────────────────────────────────────▶ the nodes nearest to a place
//! read    LOOKING, each asked for its records ─▶ (FETCHING what is too large) ─▶ of each publisher
//!                                                 the newest; who was behind is brought up to date
//! write   LOOKING ─▶ GIVING to the replica set, the next nearest in place of who fails ─▶ holders
//! delete  a read, and a write of a tombstone above ours
//! ```
//!
//! # Messages
//!
//! [`DhtAsk`] and [`DhtAnswer`], the same bytes over a session ([`DhtMessage`]) and in a handshake
//! that stops after its second message `[PROTOCOL 9.11]`.
//!
//! # Bounds
//!
//! All in [`crate::limits`], the file `dht.rs`. Who brings a record, its network, its publisher and
//! its key have quotas; whom others name is asked before it is named to anybody; a node that has
//! not answered is not waited for, but heard if it answers late.
//!
//! Reading order: [`Place`], [`DhtRecord`], [`Contact`], [`DhtAsk`] and [`DhtAnswer`], [`Dht`] (the
//! contract), `beginning.rs` and `unbegun.rs` (how operations begin), `progress.rs` (how they go
//! on), `operations.rs`, `operation.rs`, `reading.rs`, `writing.rs` (what they know), `lookup.rs`,
//! `table.rs`, `replicas.rs`, `size_estimate.rs`, `candour.rs`, `acquaintances.rs` (whom to ask,
//! and whom to believe), `keeper.rs`,
//! `record_store.rs`, `held.rs`, `quota.rs`, `floors.rs` (what is kept for others), `published.rs`
//! and `publishing.rs` (what is ours), `upkeep.rs` and `handover.rs` (that those who should keep it
//! do), `errands.rs` (what others do for a node without datagrams), `value_cache.rs` (what was read
//! and cannot change), [`change`] (what is kept across restarts, as rows), [`DhtStats`] and
//! `recent_lookups.rs` (what is told of all that).

mod acquaintances;
mod beginning;
mod bucket;
mod candour;
pub mod change;
mod config;
mod contact;
mod contact_rows;
mod counters;
#[expect(clippy::module_inception, reason = "the machine of this room is called after it")]
mod dht;
mod effect;
mod errands;
mod floors;
mod handover;
mod held;
mod keeper;
mod lookup;
mod message;
#[cfg(test)]
mod model;
mod operation;
mod operations;
mod outcome;
mod place;
mod progress;
mod published;
mod publishing;
mod question;
mod quota;
mod reading;
mod recent_answers;
mod recent_lookups;
mod record;
mod record_store;
mod remembered;
mod replicas;
mod size_estimate;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod told;
mod unbegun;
mod upkeep;
mod value_cache;
mod writing;

pub use bucket::{Bucket, KnownContact};
pub use change::RememberedRecords;
pub use config::{DhtConfig, Serve};
pub use contact::Contact;
pub use contact_rows::CONTACTS;
pub use counters::{DhtCounters, DhtLevels};
pub use dht::Dht;
pub use effect::{
    AskedBy, DhtEffect, DhtMode, ErrandId, PendingRecord, QuestionId, RecordFor, ReplyId, Via,
};
pub use lookup::{LookupStep, StepOutcome};
pub use message::{
    DHT_ANSWER, DHT_ERRAND, DHT_QUERY, DhtAnswer, DhtAsk, DhtMessage, DhtQuery, Found,
    LivingRecord, StoreOutcome,
};
pub use operation::OperationId;
pub use outcome::{
    DhtOutcome, DhtRefused, FoundRecord, NearestTo, NewRecord, ReadFrom, ReadMode, SoughtNode,
    StoredAt,
};
pub use place::{Distance, Place};
pub use recent_lookups::LookupTimes;
pub use record::{BadName, DhtRecord, NameHash, RecordHead, RecordKind};
pub use remembered::RememberedDht;
pub use stats::{DhtStats, KeptRecord, KnownBucket, PublishedRecord};
pub use table::RoutingTable;
