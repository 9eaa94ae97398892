//! What is said about the hash table.

use bytes::Bytes;
use positron_proto::{
    dht::{
        Contact, DhtAnswer, DhtAsk, DhtMessage, DhtQuery, DhtRecord, Found, LivingRecord, NameHash,
        RecordHead, RecordKind,
    },
    id::NodeId,
    identity::Verified,
    node::Message,
};

use super::{identity, network};

pub(super) fn ask(query: DhtQuery) -> Message {
    DhtMessage::Query { number: 64, ask: DhtAsk { serves: true, query } }.into()
}

pub(super) fn errand(query: DhtQuery) -> Message {
    DhtMessage::Errand { number: 64, query }.into()
}

pub(super) fn told(answer: DhtAnswer) -> Message {
    DhtMessage::Answer { number: 64, answer }.into()
}

pub(super) fn get(publisher: Option<NodeId>) -> DhtQuery {
    DhtQuery::Get { key: stored().content().key(), publisher, values: true }
}

pub(super) fn living(record: &Verified<DhtRecord>) -> LivingRecord {
    LivingRecord { record: record.claim().clone(), remaining: 1_800 }
}

pub(super) fn found() -> Found {
    let head = RecordHead { publisher: identity(2).node_id(), sequence: 7, len: 16_384 };
    let addr = "192.0.2.1:8888".parse().unwrap();
    let contact = Contact::new(*identity(2).public_key(), [7; 32], addr);
    Found { records: vec![living(&stored())], heads: vec![head], contacts: vec![contact] }
}

pub(super) fn stored() -> Verified<DhtRecord> {
    record_of(Some(b"value".as_slice().into()))
}

pub(super) fn tombstone() -> Verified<DhtRecord> {
    record_of(None)
}

fn record_of(value: Option<Bytes>) -> Verified<DhtRecord> {
    let record = DhtRecord {
        publisher: *identity(1).public_key(),
        kind: RecordKind::Shared,
        name: NameHash::of_name("my_key").unwrap(),
        sequence: 1_700_000_000_000_000 + u64::from(value.is_none()),
        created: 1_700_000_000,
        ttl: 3_600,
        value,
    };
    identity(1).sign(record, &network())
}
