//! What gossip keeps across restarts, as rows: the retention window and the floors.

use bytes::BufMut as _;

use super::GossipSnapshot;
use crate::{
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table, Value},
    wire::{
        Malformed, Reader, Writer as _,
        message::{AppMessage, Audience},
    },
};

/// Sender, number: the claim as it travels.
pub const MESSAGES: Table =
    Table { name: "gossip_messages", rule: Rule::Replace, essential: false };
/// Sender: the lowest number that may still be new. What was old stays old.
pub const FLOORS: Table = Table { name: "gossip_floors", rule: Rule::Rise, essential: false };

/// A broadcast of the retention window, our own or another's.
pub fn keep_message(message: &Verified<AppMessage>) -> Change {
    let (claim, content) = (message.claim(), message.content());
    let mut head = Vec::with_capacity(claim.encoded_len() - content.payload.len());
    claim.encode_head(&mut head);
    let value = Value { head: head.into(), tail: content.payload.clone() };
    Change::keep(&MESSAGES, message_key(&content.sender.node_id(), content.sequence), value)
}

/// It left the retention window.
pub fn forget_message(sender: &NodeId, sequence: u64) -> Change {
    Change::forget(&MESSAGES, message_key(sender, sequence))
}

/// Broadcasts of `sender` below `floor` are old.
pub fn keep_floor(sender: &NodeId, floor: u64) -> Change {
    Change::keep(&FLOORS, sender.as_bytes().to_vec(), floor.to_be_bytes().to_vec())
}

/// Nothing is known any more of which broadcasts of `sender` are old.
pub fn forget_floor(sender: &NodeId) -> Change {
    Change::forget(&FLOORS, sender.as_bytes().to_vec())
}

impl Remembered for GossipSnapshot {
    fn tables(&self) -> &'static [&'static Table] {
        &[&MESSAGES, &FLOORS]
    }

    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        if *row.table == MESSAGES {
            self.messages.push(message(row, network)?);
        } else {
            self.floors.push(floor(row)?);
        }
        Ok(())
    }
}

fn message(row: Row, network: &NetworkId) -> Result<Verified<AppMessage>, Malformed> {
    let mut reader = Reader::new(row.value);
    let claim = Signed::<AppMessage>::decode(&mut reader, Audience::Everyone)?;
    let content = claim.content();
    if row.key != message_key(&content.sender.node_id(), content.sequence) {
        return Err(reader.malformed("message of another key"));
    }
    Ok(Verified::from_own_storage(claim, network))
}

fn floor(row: Row) -> Result<(NodeId, u64), Malformed> {
    let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
    let floor = (NodeId::from_bytes(key.array()?), value.u64()?);
    key.finish()?;
    value.finish()?;
    Ok(floor)
}

fn message_key(sender: &NodeId, sequence: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(40);
    key.append_raw(sender.as_bytes());
    key.put_u64(sequence);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Identity, time::WallTime};

    fn network() -> NetworkId {
        NetworkId::from_name("test")
    }

    fn message(sequence: u64) -> Verified<AppMessage> {
        let identity = Identity::from_seed([7; 32]);
        let message = AppMessage {
            sender: *identity.public_key(),
            audience: Audience::Everyone,
            sequence,
            timestamp: WallTime::from_unix_micros(5),
            payload: vec![0xA5; 1000].into(),
        };
        identity.sign(message, &network())
    }

    fn row(change: Change) -> Row {
        let value = change.value.expect("something is kept").to_bytes();
        Row { table: change.table, key: change.key, value }
    }

    #[test]
    fn a_payload_is_kept_as_it_travels_and_is_not_copied_for_it() {
        let kept = message(3);
        let change = keep_message(&kept);
        let value = change.value.as_ref().unwrap();
        assert_eq!(value.tail.as_ptr(), kept.content().payload.as_ptr());
        let mut claim = Vec::new();
        kept.claim().encode(&mut claim);
        assert_eq!(value.to_bytes(), claim);
        assert_eq!(change.len(), 40 + claim.len());
        assert_eq!(forget_message(&kept.content().sender.node_id(), 3).key, change.key);

        let mut back = GossipSnapshot::default();
        back.load(row(change), &network()).unwrap();
        assert_eq!(back.messages, [kept]);
    }

    #[test]
    fn a_row_that_says_something_else_than_its_key_is_refused() {
        let mut back = GossipSnapshot::default();
        let (one, other) = (row(keep_message(&message(3))), row(keep_message(&message(4))));
        back.load(Row { key: other.key, ..one.clone() }, &network()).unwrap_err();
        back.load(Row { value: one.value.slice(..100), ..one }, &network()).unwrap_err();
        let floor = row(keep_floor(&NodeId::from_bytes([1; 32]), 9));
        back.load(Row { key: floor.key.slice(1..), ..floor.clone() }, &network()).unwrap_err();
        back.load(Row { value: floor.value.slice(1..), ..floor.clone() }, &network()).unwrap_err();
        assert_eq!(back, GossipSnapshot::default());
        back.load(floor, &network()).unwrap();
        assert_eq!(back.floors, [(NodeId::from_bytes([1; 32]), 9)]);
    }
}
