//! What nodes ask each other about keys `[PROTOCOL 3.8]`.

use bytes::{BufMut as _, Bytes};

use super::{Contact, DhtRecord, Place, RecordHead};
use crate::{
    id::NodeId,
    identity::Signed,
    limits::{MAX_CONTACTS_PER_ANSWER, MAX_HOLDERS_TOLD, MAX_SLOTS, MAX_VALUE},
    wire::{Malformed, Reader, Writer as _, frame::Lane, message::RoomMessage},
};

/// The type of a query over a session.
pub const DHT_QUERY: u8 = 23;
/// The type of its answer.
pub const DHT_ANSWER: u8 = 24;
/// The type of an errand: of a query that is to be carried out for who asks. Its answer is of the
/// same type as that of a query.
pub const DHT_ERRAND: u8 = 25;

/// A query, and what whoever asks says of itself.
///
/// As bytes it is the same wherever it travels: in a handshake that stops after its second message,
/// beside a ticket, or over a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtAsk {
    /// Whether the asker answers such queries itself, at the address from which it asks: a claim.
    pub serves: bool,
    /// What it asks.
    pub query: DhtQuery,
}

/// What one node asks another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtQuery {
    /// Who is nearest to this place? A node looks for others.
    Find(Place),
    /// What is kept under this key, and who is nearest to it?
    Get {
        /// The key.
        key: Place,
        /// Of whom: of all publishers, if nobody is named.
        publisher: Option<NodeId>,
        /// Whether values are wanted, or only what there is.
        values: bool,
    },
    /// Keep this.
    Store(LivingRecord),
    /// Keep this; and who is nearest to its key?
    StoreOnTheWay(LivingRecord),
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtAnswer {
    /// What is kept, and who is near, nearest first.
    Found(Found),
    /// What became of the record that was to be kept.
    Stored(StoreOutcome),
    /// The same, and who is near its key, nearest first.
    StoredOnTheWay(StoreOutcome, Vec<Contact>),
    /// Who keeps the record that was to be given to others.
    Held(Vec<NodeId>),
}

/// What a node keeps under a key, and whom it knows near it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Records, each with what is left of its life.
    pub records: Vec<LivingRecord>,
    /// Records that were not wanted whole, or for which there was no room: they can be asked for
    /// over a session.
    pub heads: Vec<RecordHead>,
    /// Who is near, nearest first.
    pub contacts: Vec<Contact>,
}

/// A record, and the seconds that are left of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivingRecord {
    /// What its publisher signed.
    pub record: Signed<DhtRecord>,
    /// Seconds, not more than its publisher wished.
    pub remaining: u32,
}

/// What becomes of a record that a node is asked to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreOutcome {
    /// It is kept, on and for no longer than what is left of its life.
    Kept,
    /// It was kept already: its life is what it was.
    Known,
    /// Something newer of its publisher is kept, or was: nothing changed.
    Stale,
    /// The key is too far away from the node.
    TooFar,
    /// Whoever brings it, or its publisher, has as much kept as anybody may.
    OverQuota,
    /// The node, or the key, has no room for it.
    Full,
    /// The time of its creation cannot be now.
    WrongTime,
    /// Its signature is not its publisher's.
    Forged,
    /// The node serves nobody, or too many ask at once.
    Refused,
}

impl StoreOutcome {
    const ALL: [Self; 9] = [
        Self::Kept,
        Self::Known,
        Self::Stale,
        Self::TooFar,
        Self::OverQuota,
        Self::Full,
        Self::WrongTime,
        Self::Forged,
        Self::Refused,
    ];

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let here = reader.malformed("what became of a record");
        Self::ALL.get(usize::from(reader.u8()?)).copied().ok_or(here)
    }

    /// Whether the node has this record, or something newer.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Kept | Self::Known)
    }
}

impl LivingRecord {
    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let too_long = reader.malformed("more left of a life than the whole");
        let remaining = reader.u32()?;
        let record = Signed::<DhtRecord>::decode(reader)?;
        if remaining > record.content().ttl {
            return Err(too_long);
        }
        Ok(Self { record, remaining })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.remaining);
        self.record.encode(out);
    }

    /// Bytes that it takes.
    pub fn encoded_len(&self) -> usize {
        4 + self.record.encoded_len()
    }
}

impl RecordHead {
    const LEN: usize = 32 + 8 + 4;

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let publisher = NodeId::from_bytes(reader.array()?);
        let sequence = reader.u64()?;
        let too_long = reader.malformed("value above its limit");
        let len = reader.u32()?;
        if len as usize > MAX_VALUE {
            return Err(too_long);
        }
        Ok(Self { publisher, sequence, len })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.append_raw(self.publisher.as_bytes());
        out.put_u64(self.sequence);
        out.put_u32(self.len);
    }
}

impl Found {
    /// Leaves out what does not fit into `room` bytes, or is more than an answer holds: of records
    /// that are too large only what they are is told, and of contacts the nearest stay.
    #[must_use]
    pub fn fitting(self, room: usize) -> Self {
        // The kind of answer and three counts, each below 64.
        let mut room = room.saturating_sub(4);
        let mut this = Self { heads: self.heads, ..Self::default() };
        this.heads.truncate((room / RecordHead::LEN).min(MAX_SLOTS));
        room -= this.heads.len() * RecordHead::LEN;
        for living in self.records {
            let head = living.record.content().head();
            if living.encoded_len() <= room && this.records.len() < MAX_SLOTS {
                room -= living.encoded_len();
                this.records.push(living);
            } else if RecordHead::LEN <= room && this.heads.len() < MAX_SLOTS {
                room -= RecordHead::LEN;
                this.heads.push(head);
            }
        }
        for contact in self.contacts.into_iter().take(MAX_CONTACTS_PER_ANSWER) {
            if contact.encoded_len() > room {
                break;
            }
            room -= contact.encoded_len();
            this.contacts.push(contact);
        }
        this
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let records = reader.list(MAX_SLOTS, LivingRecord::decode)?;
        let heads = reader.list(MAX_SLOTS, RecordHead::decode)?;
        let contacts = reader.list(MAX_CONTACTS_PER_ANSWER, Contact::decode)?;
        Ok(Self { records, heads, contacts })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.append_varint(self.records.len() as u64);
        self.records.iter().for_each(|record| record.encode(out));
        out.append_varint(self.heads.len() as u64);
        self.heads.iter().for_each(|head| head.encode(out));
        out.append_varint(self.contacts.len() as u64);
        self.contacts.iter().for_each(|contact| contact.encode(out));
    }
}

impl DhtAsk {
    const SERVES: u8 = 0x80;

    /// Reads a query that fills `bytes`.
    pub fn read(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let ask = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(ask)
    }

    /// The query as bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.query.encoded_len());
        self.encode(&mut out);
        out.into()
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let unknown = reader.malformed("kind of query");
        let form = reader.u8()?;
        let query = DhtQuery::decode(form & !Self::SERVES, reader, unknown)?;
        Ok(Self { serves: form & Self::SERVES != 0, query })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.query.kind() | if self.serves { Self::SERVES } else { 0 });
        self.query.encode_body(out);
    }
}

impl DhtQuery {
    const fn kind(&self) -> u8 {
        match self {
            Self::Find(_) => 0,
            Self::Get { .. } => 1,
            Self::Store(_) => 2,
            Self::StoreOnTheWay(_) => 3,
        }
    }

    /// Bytes that it takes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Find(_) => 32,
            Self::Get { publisher, .. } => 33 + if publisher.is_some() { 32 } else { 0 },
            Self::Store(living) | Self::StoreOnTheWay(living) => living.encoded_len(),
        }
    }

    fn decode(kind: u8, reader: &mut Reader, unknown: Malformed) -> Result<Self, Malformed> {
        Ok(match kind {
            0 => Self::Find(Place::from_bytes(reader.array()?)),
            1 => {
                let key = Place::from_bytes(reader.array()?);
                let here = reader.malformed("what is wanted");
                let wanted = reader.u8()?;
                if wanted > 3 {
                    return Err(here);
                }
                let publisher = if wanted & 2 == 0 { None } else { Some(reader.array()?) };
                let publisher = publisher.map(NodeId::from_bytes);
                Self::Get { key, publisher, values: wanted & 1 != 0 }
            }
            2 => Self::Store(LivingRecord::decode(reader)?),
            3 => Self::StoreOnTheWay(LivingRecord::decode(reader)?),
            _ => return Err(unknown),
        })
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Find(target) => out.append_raw(target.as_bytes()),
            Self::Get { key, publisher, values } => {
                out.append_raw(key.as_bytes());
                out.put_u8(u8::from(*values) | if publisher.is_some() { 2 } else { 0 });
                if let Some(publisher) = publisher {
                    out.append_raw(publisher.as_bytes());
                }
            }
            Self::Store(living) | Self::StoreOnTheWay(living) => living.encode(out),
        }
    }
}

impl DhtAnswer {
    /// What became of a record, and who is near its key, if that was wanted, too.
    pub(super) fn of_store(outcome: StoreOutcome, near: Option<Vec<Contact>>) -> Self {
        match near {
            Some(near) => Self::StoredOnTheWay(outcome, near),
            None => Self::Stored(outcome),
        }
    }

    /// Reads an answer that fills `bytes`.
    pub fn read(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let answer = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(answer)
    }

    /// The answer as bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        self.encode(&mut out);
        out.into()
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let unknown = reader.malformed("kind of answer");
        Ok(match reader.u8()? {
            0 => Self::Found(Found::decode(reader)?),
            1 => Self::Stored(StoreOutcome::decode(reader)?),
            2 => Self::Held(
                reader.list(MAX_HOLDERS_TOLD, |reader| reader.array().map(NodeId::from_bytes))?,
            ),
            3 => {
                let outcome = StoreOutcome::decode(reader)?;
                let near = reader.list(MAX_CONTACTS_PER_ANSWER, Contact::decode)?;
                Self::StoredOnTheWay(outcome, near)
            }
            _ => return Err(unknown),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Found(found) => {
                out.put_u8(0);
                found.encode(out);
            }
            Self::Stored(outcome) => out.extend_from_slice(&[1, *outcome as u8]),
            Self::Held(holders) => {
                out.put_u8(2);
                out.append_varint(holders.len() as u64);
                holders.iter().for_each(|holder| out.append_raw(holder.as_bytes()));
            }
            Self::StoredOnTheWay(outcome, near) => {
                out.extend_from_slice(&[3, *outcome as u8]);
                out.append_varint(near.len() as u64);
                near.iter().for_each(|contact| contact.encode(out));
            }
        }
    }
}

/// A query or an answer, over a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtMessage {
    /// A query; its number is named by the answer.
    Query {
        /// Chosen by who asks.
        number: u64,
        /// What is asked.
        ask: DhtAsk,
    },
    /// A query that is to be carried out for who asks: to find nodes or records wherever they are,
    /// or to give a record to those who are to keep it.
    Errand {
        /// Chosen by who asks, like that of a query.
        number: u64,
        /// What is to be done.
        query: DhtQuery,
    },
    /// The answer to the query or errand of this number.
    Answer {
        /// Of which query.
        number: u64,
        /// What is answered.
        answer: DhtAnswer,
    },
}

impl RoomMessage for DhtMessage {
    const TYPES: &'static [u8] = &[DHT_QUERY, DHT_ANSWER, DHT_ERRAND];

    fn message_type(&self) -> u8 {
        match self {
            Self::Query { .. } => DHT_QUERY,
            Self::Errand { .. } => DHT_ERRAND,
            Self::Answer { .. } => DHT_ANSWER,
        }
    }

    /// Answers may be large: they are not urgent, and bandwidth is held back for them.
    fn lane(&self) -> Lane {
        Lane::DIRECT
    }

    fn size_hint(&self) -> usize {
        9 + match self {
            Self::Query { ask, .. } => ask.query.encoded_len(),
            Self::Errand { query, .. } => query.encoded_len(),
            Self::Answer { .. } => 1024,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Query { number, ask } => {
                out.append_varint(*number);
                ask.encode(out);
            }
            Self::Errand { number, query } => {
                out.append_varint(*number);
                out.put_u8(query.kind());
                query.encode_body(out);
            }
            Self::Answer { number, answer } => {
                out.append_varint(*number);
                answer.encode(out);
            }
        }
    }

    fn decode_body(message_type: u8, reader: &mut Reader, _: NodeId) -> Result<Self, Malformed> {
        match message_type {
            DHT_QUERY => Ok(Self::Query { number: reader.varint()?, ask: DhtAsk::decode(reader)? }),
            DHT_ERRAND => {
                let number = reader.varint()?;
                let unknown = reader.malformed("kind of errand");
                let kind = reader.u8()?;
                Ok(Self::Errand { number, query: DhtQuery::decode(kind, reader, unknown)? })
            }
            DHT_ANSWER => {
                Ok(Self::Answer { number: reader.varint()?, answer: DhtAnswer::decode(reader)? })
            }
            _ => Err(reader.malformed("type of another room")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dht::{NameHash, RecordKind},
        id::NetworkId,
        identity::Identity,
        limits::{DHT_SESSION_ROOM, MAX_VALUE},
    };

    /// As many publishers as these, each with a value of this length, and contacts.
    fn found(publishers: u8, len: usize) -> Found {
        let living = |n| {
            let me = Identity::from_seed([n; 32]);
            let name = NameHash::of_name("name").unwrap();
            let (publisher, value) = (*me.public_key(), Some(vec![n; len].into()));
            let (kind, sequence, created, ttl) = (RecordKind::Shared, 1, 1, 60);
            let record = DhtRecord { publisher, kind, name, sequence, created, ttl, value };
            let record = me.sign(record, &NetworkId::from_name("test")).claim().clone();
            LivingRecord { record, remaining: 60 }
        };
        let contact = |n| {
            let addr = ([192, 0, 2, n], 1).into();
            Contact::new(*Identity::from_seed([n; 32]).public_key(), [n; 32], addr)
        };
        let heads = (1..=publishers).map(|n| living(n).record.content().head()).collect();
        let contacts = (1..=20).map(contact).collect();
        Found { records: (1..=publishers).map(living).collect(), heads, contacts }
    }

    #[test]
    fn an_answer_is_never_more_than_its_reader_takes_or_has_room_for() {
        for (publishers, len) in [(0, 0), (1, 700), (1, MAX_VALUE), (17, 1), (40, MAX_VALUE)] {
            for room in [4, 50, 897, 1_136, DHT_SESSION_ROOM] {
                let answer = DhtAnswer::Found(found(publishers, len).fitting(room));
                let bytes = answer.to_bytes();
                assert!(bytes.len() <= room, "{publishers} of {len}: {} of {room}", bytes.len());
                assert_eq!(DhtAnswer::read(bytes), Ok(answer), "{publishers} of {len} in {room}");
            }
        }
    }
}
