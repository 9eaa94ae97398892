//! One number for a whole run: equal runs have equal hashes, and one changed bit changes it.

use core::hash::{Hash as _, Hasher};

use positron_proto::{
    datagram::contract::Transmit,
    id::{LinkId, NodeId},
    node::{Effect, Event, HandedOver, Outcome},
    storage::Change,
    time::Instant,
};

use crate::dice::mix;

/// A hash over every effect of one node, with its time, in order.
///
/// Not cryptographic: it finds accidents, not forgers. Both halves take in every word by a
/// bijection of the state, so a single changed word never goes unnoticed, at a cost of about five
/// cycles for eight bytes: every byte on every link goes through here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunHash {
    low: u64,
    high: u64,
}

impl RunHash {
    pub(crate) const fn new() -> Self {
        Self { low: 0x243F_6A88_85A3_08D3, high: 0x1319_8A2E_0370_7344 }
    }

    pub(crate) const fn word(&mut self, word: u64) {
        self.low = (self.low ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        self.high = (self.high.rotate_left(31) ^ word.wrapping_mul(0xD6E8_FEB8_6659_FD93))
            .wrapping_add(self.low);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }

    /// Takes in the hash of another node.
    pub(crate) const fn fold(&mut self, other: Self) {
        self.word(other.low);
        self.word(other.high);
    }

    /// 32 hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        format!("{:016x}{:016x}", mix(self.low), mix(self.high ^ self.low))
    }

    /// Takes in what a node wants done.
    pub(crate) fn effect(&mut self, at: Instant, effect: &Effect) {
        self.word(at.as_micros());
        match effect {
            Effect::Dial { link, kind, to } => {
                self.link(1, *link);
                self.text(&kind.to_string());
                self.text(&to.to_string());
            }
            Effect::Write { link, bytes } => {
                self.link(2, *link);
                self.bytes(bytes);
            }
            Effect::Hangup { link, how } => {
                self.link(3, *link);
                self.word(*how as u64);
            }
            Effect::Resolve { name } => {
                self.word(4);
                self.text(name);
            }
            // The fingerprint is taken in by whoever looks the verdict up.
            Effect::Verify { check, job: _, from: _ } => {
                self.word(5);
                self.word(check.0);
            }
            Effect::Persist { id, change } => {
                self.word(6);
                self.word(id.0);
                self.change(change);
            }
            Effect::Read { link, reading } => {
                self.link(9, *link);
                self.word(*reading as u64);
            }
            Effect::OpenSocket(socket) => {
                self.word(10);
                self.word(socket.0.into());
            }
            Effect::CloseSocket(socket) => {
                self.word(11);
                self.word(socket.0.into());
            }
            Effect::AskRouter { to, bytes } => {
                self.word(12);
                to.hash(self);
                self.bytes(bytes);
            }
            Effect::Emit(event) => {
                self.word(7);
                self.event(event);
            }
        }
    }

    /// Takes in the datagrams that a node wants sent.
    pub(crate) fn transmit(&mut self, at: Instant, batch: &Transmit, bytes: &[u8]) {
        self.word(at.as_micros());
        self.word(8);
        batch.to.hash(self);
        self.word(batch.segment_size as u64);
        self.bytes(bytes);
    }

    fn link(&mut self, kind: u64, link: LinkId) {
        self.word(kind);
        link.hash(self);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn id(&mut self, id: &NodeId) {
        self.bytes(id.as_bytes());
    }

    fn change(&mut self, change: &Change) {
        let Change { table, key, value, urgency } = change;
        self.text(table.name);
        self.bytes(key);
        self.word(1 + *urgency as u64);
        if let Some(value) = value {
            self.bytes(&value.head);
            self.bytes(&value.tail);
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Message(HandedOver { id, from, .. }) => {
                self.word(1);
                self.bytes(id.as_bytes());
                self.id(from);
            }
            Event::Completed { ticket, outcome } => {
                self.word(2);
                self.word(ticket.0);
                match outcome {
                    Outcome::Durable(id) | Outcome::Delivered(id) => self.bytes(id.as_bytes()),
                    other => self.text(&format!("{other:?}")),
                }
            }
            Event::PeerJoined { peer, .. } => {
                self.word(3);
                self.id(peer);
            }
            Event::PeerLeft { peer, reason } => {
                self.word(4);
                self.id(peer);
                self.text(&reason.to_string());
            }
            // Rare ones may cost a formatted line.
            other => {
                self.word(5);
                self.text(&format!("{other:?}"));
            }
        }
    }
}

/// So that names of links, whose numbers are private, can be taken in.
impl Hasher for RunHash {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }

    fn write_u64(&mut self, word: u64) {
        self.word(word);
    }

    /// Discriminants and lengths, which have another width on another platform.
    fn write_usize(&mut self, word: usize) {
        self.bytes(&(word as u64).to_le_bytes());
    }

    fn finish(&self) -> u64 {
        mix(self.low ^ self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(bytes: &[u8]) -> String {
        let mut hash = RunHash::new();
        hash.bytes(bytes);
        hash.hex()
    }

    #[test]
    fn every_changed_bit_and_every_length_changes_the_hash() {
        let bytes = [0_u8; 37];
        let mut seen = vec![hash_of(&bytes), hash_of(&bytes[..36]), hash_of(&[])];
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            seen.push(hash_of(&changed));
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }
}
