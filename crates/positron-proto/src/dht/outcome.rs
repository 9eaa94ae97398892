//! How operations end.

use super::{
    Contact, DhtAnswer, DhtRecord, Found, LivingRecord, LookupStep, Place, RecordKind,
    StoreOutcome, held::content_hash,
};
use crate::{
    id::NodeId,
    identity::Verified,
    limits::{DHT_SESSION_ROOM, MAX_VALUE},
    time::Duration,
    wire::record::PeerRecord,
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
    /// The newest record of each publisher that was found, tombstones left out; first what is shown
    /// where only one is.
    pub records: Vec<FoundRecord>,
    /// The tombstones that were left out: they show whoever asks further that what it has of these
    /// publishers is of the past.
    pub deleted: Vec<FoundRecord>,
    /// Nodes that answered and had any record.
    pub holders: usize,
    /// How long it took.
    pub took: Duration,
    /// How many questions.
    pub asked: usize,
}

impl StoredAt {
    /// Nobody was given it, because this node does not.
    pub(super) fn refused_by(node: NodeId, why: StoreOutcome) -> Self {
        let (key, refused) = (Place::from_bytes([0; 32]), vec![(node, why)]);
        let (holders, took) = (Vec::new(), Duration::ZERO);
        Self { key, sequence: 0, holders, refused, silent: 0, took, asked: 0 }
    }
}

impl DhtOutcome {
    /// What is answered to who had an errand that ended so.
    pub fn into_answer(self) -> DhtAnswer {
        let found = match self {
            Self::Stored(StoredAt { holders, refused, .. }) => {
                return match refused.first() {
                    Some((_, why)) if holders.is_empty() => DhtAnswer::Stored(*why),
                    _ => DhtAnswer::Held(holders),
                };
            }
            Self::Read(read) => {
                let living = |found: FoundRecord| LivingRecord {
                    record: found.record.claim().clone(),
                    remaining: u32::try_from(found.remaining.as_secs()).unwrap_or(u32::MAX),
                };
                let records = read.records.into_iter().chain(read.deleted).map(living).collect();
                Found { records, ..Found::default() }
            }
            Self::Nearest(NearestTo { contacts, .. }) => Found { contacts, ..Found::default() },
            Self::Node(_) | Self::NothingOfOurs { .. } => Found::default(),
        };
        DhtAnswer::Found(found.fitting(DHT_SESSION_ROOM))
    }
}

impl ReadFrom {
    /// Puts first what is shown where only one is: that of the publisher who stands highest here,
    /// of two who stand equally the record with the higher sequence, of two with one sequence that
    /// of which the hash is smaller. So a stranger who writes a later number is not shown before
    /// somebody who was good so far, and two nodes that think alike show the same.
    pub fn order_by_standing(&mut self, score: impl Fn(&NodeId) -> f64) {
        let rank = |found: &FoundRecord| {
            let record = found.record.content();
            (score(&record.publisher.node_id()), record.sequence)
        };
        self.records.sort_by(|one, other| {
            let ((score, sequence), (other_score, other_sequence)) = (rank(one), rank(other));
            let by_hash =
                || content_hash(one.record.content()).cmp(&content_hash(other.record.content()));
            let by_number = other_sequence.cmp(&sequence).then_with(by_hash);
            other_score.total_cmp(&score).then(by_number)
        });
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dht::NameHash, id::NetworkId, identity::Identity};

    fn found(publisher: u8, sequence: u64, value: &'static [u8]) -> FoundRecord {
        let me = Identity::from_seed([publisher; 32]);
        let record = DhtRecord {
            publisher: *me.public_key(),
            kind: RecordKind::Shared,
            name: NameHash::of_name("board").unwrap(),
            sequence,
            created: 1,
            ttl: 60,
            value: Some(value.into()),
        };
        let record = me.sign(record, &NetworkId::from_name("test"));
        FoundRecord { record, from: me.node_id(), remaining: Duration::ZERO }
    }

    #[test]
    fn who_stands_highest_is_shown_first_then_what_is_latest_then_the_smaller_hash() {
        let (good, stranger, liar) = (1, 2, 3);
        let id = |n: u8| Identity::from_seed([n; 32]).node_id();
        let score = |node: &NodeId| match node {
            node if *node == id(good) => 0.9,
            node if *node == id(liar) => 0.1,
            _ => 0.5,
        };
        let records = vec![
            found(liar, (1 << 62) - 1, b"the highest number that there is"),
            found(stranger, 7, b"a stranger's"),
            found(4, 9, b"another stranger's, later"),
            found(5, 9, b"a third one's, with the same number"),
            found(good, 1, b"what somebody says who was good so far"),
        ];
        let mut orders = Vec::new();
        for turn in 0..records.len() {
            let mut records = records.clone();
            records.rotate_left(turn);
            let (key, took) = (Place::from_bytes([0; 32]), Duration::ZERO);
            let mut read =
                ReadFrom { key, records, deleted: Vec::new(), holders: 1, took, asked: 1 };
            read.order_by_standing(score);
            orders.push(read.records);
        }
        assert!(orders.iter().all(|order| *order == orders[0]), "however they came");
        let shown: Vec<_> =
            orders[0].iter().map(|found| found.record.content().publisher.node_id()).collect();
        assert_eq!((shown[0], shown[3], shown[4]), (id(good), id(stranger), id(liar)));
        let [first, second] = [&orders[0][1], &orders[0][2]].map(|found| found.record.content());
        assert!(content_hash(first) < content_hash(second) && first.sequence == 9);
    }
}
