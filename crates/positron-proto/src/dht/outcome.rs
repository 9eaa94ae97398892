//! How operations end.

use super::{Contact, DhtRecord, LookupStep, Place, RecordKind, StoreOutcome};
use crate::{
    id::NodeId, identity::Verified, limits::MAX_VALUE, time::Duration, wire::record::PeerRecord,
};

/// How an operation of the hash table ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtOutcome {
    /// A record, or a tombstone, was given to others.
    Stored(StoredAt),
    /// Records were found, of each publisher the newest; perhaps none.
    Read(ReadFrom),
    /// The nodes nearest to a place.
    Nearest(NearestTo),
    /// A node was looked for by its id.
    Node(SoughtNode),
    /// Nothing of ours is there to be deleted; these published something under the name.
    NothingOfOurs {
        /// Who published something there.
        others: Vec<NodeId>,
    },
}

/// Who is nearest to a place, and how they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestTo {
    /// The nodes, nearest first.
    pub contacts: Vec<Contact>,
    /// How long it took.
    pub took: Duration,
    /// How many nodes in a row had to answer until all of them were known.
    pub hops: u32,
    /// Every question, in the order in which they were asked.
    pub steps: Vec<LookupStep>,
}

/// A node that was looked for by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoughtNode {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself, the newest that is known here or was found; nothing, if it is not
    /// known, and nothing was found that can be used.
    pub record: Option<Verified<PeerRecord>>,
    /// How long it took.
    pub took: Duration,
    /// How many questions.
    pub asked: usize,
}

/// Where a record is kept now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAt {
    /// Its key.
    pub key: Place,
    /// Its sequence.
    pub sequence: u64,
    /// Who keeps it, besides this node.
    pub holders: Vec<NodeId>,
    /// Who was asked to, and does not.
    pub refused: Vec<(NodeId, StoreOutcome)>,
    /// Who was asked to, and did not answer.
    pub silent: usize,
    /// How long it took.
    pub took: Duration,
    /// How many questions.
    pub asked: usize,
}

/// What was read, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    /// The key.
    pub key: Place,
    /// The newest record of each publisher that was found, tombstones left out.
    pub records: Vec<FoundRecord>,
    /// Nodes that answered and had any record.
    pub holders: usize,
    /// How long it took.
    pub took: Duration,
    /// How many questions.
    pub asked: usize,
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRecord {
    /// What its publisher signed.
    pub record: Verified<DhtRecord>,
    /// Who had it; this node itself, if nobody was asked.
    pub from: NodeId,
    /// What is left of its life.
    pub remaining: Duration,
}

/// How much certainty a read wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// The newest that more than half of the nodes nearest to the key have to say.
    #[default]
    Fresh,
    /// The first that comes.
    First,
}

/// Why an operation is not begun. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhtRefused {
    /// The value is too large.
    #[error("a value of the hash table has at most {MAX_VALUE} bytes, this one has {0}")]
    TooLarge(usize),
    /// The life is too short or too long.
    #[error("a record lives 60 s to 48 h, not {0} s")]
    BadLife(u64),
    /// Too many operations are under way.
    #[error("too many operations of the hash table are under way already")]
    TooMany,
    /// Too many records of ours are published.
    #[error("a node publishes at most {} records", crate::limits::MAX_PUBLISHED)]
    TooManyPublished,
    /// The name is the node's own.
    #[error("under \"peer\" a node publishes where it is itself; choose another name")]
    OwnPeerRecord,
    /// What is immutable cannot be deleted.
    #[error("an immutable record cannot be deleted; it ends when nobody renews it")]
    Immutable,
}

/// What is stored under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Who else may publish under this name.
    pub kind: RecordKind,
    /// The name; nothing where the value names itself.
    pub name: super::NameHash,
    /// What.
    pub value: bytes::Bytes,
    /// How long it lives if nobody renews it.
    pub ttl: Duration,
}
