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
