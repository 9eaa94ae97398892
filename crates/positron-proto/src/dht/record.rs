//! What is kept in the table: signed records.

use bytes::{BufMut as _, Bytes};

use super::Place;
use crate::{
    crypto::sha256,
    id::NodeId,
    identity::{PublicKey, Signature, Signed, Statement},
    limits::{MAX_RECORD_NAME, MAX_RECORD_TTL, MAX_VALUE, MIN_RECORD_TTL, RECORD_CLOCK_TOLERANCE},
    time::{Duration, WallTime},
    wire::{Malformed, Reader, Writer as _, codec::varint_len},
};

/// Who may say what a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Nobody: the key is a hash of the value. It cannot be deleted, only not be renewed.
    Immutable,
    /// Its publisher alone: the key is a hash of publisher and name.
    Owned,
    /// Everybody beside one another, each in a slot of its own: the key is a hash of the name.
    Shared,
}

/// SHA-256 of the name of a record; of its value, if it is immutable. Only this travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameHash([u8; 32]);

/// Why a text cannot be the name of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It has no characters.
    #[error("a key of the hash table must not be empty")]
    Empty,
    /// It has too many.
    #[error("a key of the hash table has at most {MAX_RECORD_NAME} bytes, not {0}")]
    TooLong(usize),
}

/// What a publisher says under a name, or that it takes back what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtRecord {
    /// Who says it.
    pub publisher: PublicKey,
    /// Who else may.
    pub kind: RecordKind,
    /// Under which name.
    pub name: NameHash,
    /// Of two records of one publisher under one key the higher one counts. Below 2^62.
    pub sequence: u64,
    /// When, in seconds since the Unix epoch by the publisher's clock: an outer bound of its life.
    pub created: u32,
    /// For how many seconds, counted by whoever keeps it.
    pub ttl: u32,
    /// What; `None` is a tombstone, which kills what is older.
    pub value: Option<Bytes>,
}

/// A record without its value: enough to know whether it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Who published it.
    pub publisher: NodeId,
    /// Its sequence.
    pub sequence: u64,
    /// Bytes of its value.
    pub len: u32,
}

impl NameHash {
    /// That of a name.
    pub fn of_name(name: &str) -> Result<Self, BadName> {
        match name.len() {
            0 => Err(BadName::Empty),
            len if len > MAX_RECORD_NAME => Err(BadName::TooLong(len)),
            _ => Ok(Self(sha256(&[name.as_bytes()]))),
        }
    }

    /// That under which every node publishes its own peer record, as a record that it owns.
    pub fn of_peer_record() -> Self {
        Self(sha256(&[b"peer"]))
    }

    /// That of a value.
    pub fn of_value(value: &[u8]) -> Self {
        Self(sha256(&[value]))
    }

    /// Wraps 32 bytes that came from somewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Where records of this kind and name are; the publisher matters for those that it owns.
    pub fn key(&self, kind: RecordKind, publisher: &NodeId) -> Place {
        Place::from_bytes(match kind {
            RecordKind::Immutable => sha256(&[b"positron-net/dht/immutable/1\0", &self.0]),
            RecordKind::Shared => sha256(&[b"positron-net/dht/shared/1\0", &self.0]),
            RecordKind::Owned => {
                sha256(&[b"positron-net/dht/owned/1\0", publisher.as_bytes(), &self.0])
            }
        })
    }
}

impl RecordKind {
    const TOMBSTONE: u8 = 0x80;

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Immutable => 0,
            Self::Owned => 1,
            Self::Shared => 2,
        }
    }

    const fn numbered(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Immutable,
            1 => Self::Owned,
            2 => Self::Shared,
            _ => return None,
        })
    }
}

impl DhtRecord {
    /// What a publisher says at this time.
    pub(super) fn of_now(
        now: WallTime,
        publisher: PublicKey,
        (kind, name): (RecordKind, NameHash),
        sequence: u64,
        ttl: Duration,
        value: Option<Bytes>,
    ) -> Self {
        let created = u32::try_from(now.as_unix_secs()).unwrap_or(u32::MAX);
        let ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
        Self { publisher, kind, name, sequence, created, ttl, value }
    }

    /// Where it is kept.
    pub fn key(&self) -> Place {
        self.name.key(self.kind, &self.publisher.node_id())
    }

    /// How long it may live, as its publisher wishes.
    pub fn life(&self) -> Duration {
        Duration::from_secs(self.ttl.into())
    }

    /// Whether it takes back what its publisher said.
    pub const fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }

    /// Whether its time can be now, as far as the two clocks agree: who holds an old copy cannot
    /// bring it back for ever.
    pub fn is_of_this_time(&self, now: WallTime) -> bool {
        let created = WallTime::from_unix_micros(u64::from(self.created) * 1_000_000);
        created <= now + RECORD_CLOCK_TOLERANCE
            && now <= created + self.life() + RECORD_CLOCK_TOLERANCE
    }

    /// What of it is told without its value.
    pub fn head(&self) -> RecordHead {
        let len = self.value.as_ref().map_or(0, Bytes::len);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        RecordHead { publisher: self.publisher.node_id(), sequence: self.sequence, len }
    }

    /// Kind and whether it is a tombstone.
    fn form(&self) -> u8 {
        self.kind.number() | if self.is_tombstone() { RecordKind::TOMBSTONE } else { 0 }
    }

    fn encode_head(&self, out: &mut Vec<u8>) {
        out.put_u8(self.form());
        out.append_raw(&self.name.0);
        out.put_u64(self.sequence);
        out.put_u32(self.created);
        out.put_u32(self.ttl);
    }
}

impl Statement for DhtRecord {
    const DOMAIN: &'static [u8] = b"positron-net/dht-record/1";

    fn signer(&self) -> &PublicKey {
        &self.publisher
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        out.append_raw(self.value.as_deref().unwrap_or_default());
    }
}

impl Signed<DhtRecord> {
    /// Reads a record. Its signature is not checked here. The value is a copy: it may be kept for
    /// long, and keeps nothing else in memory of what it came in.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let bad_key = reader.malformed("public key of small order");
        let publisher = PublicKey::parse(reader.array()?).map_err(|_| bad_key)?;
        let unknown = reader.malformed("kind of record");
        let form = reader.u8()?;
        let kind = RecordKind::numbered(form & !RecordKind::TOMBSTONE).ok_or(unknown)?;
        let is_tombstone = form & RecordKind::TOMBSTONE != 0;
        if is_tombstone && kind == RecordKind::Immutable {
            return Err(reader.malformed("tombstone of what cannot change"));
        }
        let name = NameHash(reader.array()?);
        let bad_number = reader.malformed("sequence number above 2^62");
        let sequence = reader.u64()?;
        if sequence >= 1 << 62 {
            return Err(bad_number);
        }
        let created = reader.u32()?;
        let bad_life = reader.malformed("life of a record");
        let ttl = reader.u32()?;
        if !(MIN_RECORD_TTL..=MAX_RECORD_TTL).contains(&Duration::from_secs(ttl.into())) {
            return Err(bad_life);
        }
        let here = reader.malformed("value of a record");
        let value = Bytes::copy_from_slice(&reader.bytes(MAX_VALUE)?);
        let signature = Signature::from_bytes(reader.array()?);
        let fits = match kind {
            _ if is_tombstone => value.is_empty(),
            RecordKind::Immutable => NameHash::of_value(&value) == name,
            RecordKind::Owned | RecordKind::Shared => true,
        };
        if !fits {
            return Err(here);
        }
        let value = (!is_tombstone).then_some(value);
        let record = DhtRecord { publisher, kind, name, sequence, created, ttl, value };
        Ok(Self::new(record, signature))
    }

    /// Appends the record and its signature: [`encoded_len`](Self::encoded_len) bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let record = self.content();
        out.append_raw(record.publisher.as_bytes());
        record.encode_head(out);
        out.append_blob(record.value.as_deref().unwrap_or_default());
        out.append_raw(self.signature().as_bytes());
    }

    /// Bytes that it takes.
    pub fn encoded_len(&self) -> usize {
        let value = self.content().value.as_ref().map_or(0, Bytes::len);
        RECORD_FRAME + varint_len(value as u64) + value
    }
}

/// Bytes of a record beside its value and the length of that.
const RECORD_FRAME: usize = 32 + 1 + 32 + 8 + 4 + 4 + 64;
