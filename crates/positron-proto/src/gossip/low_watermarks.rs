//! Below which number a sender's messages are old.

use std::collections::BTreeMap;

use crate::{id::NodeId, limits::MAX_SENDERS};

/// The floors of the senders that ever lost a message from the window: at most [`MAX_SENDERS`], the
/// one silent longest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct LowWatermarks {
    floors: BTreeMap<NodeId, Floor>,
    by_silence: BTreeMap<u64, NodeId>,
    clock: u64,
    /// Who was forgotten; storage is to forget him, too.
    forgotten: Vec<NodeId>,
}

#[derive(Debug)]
struct Floor {
    floor: u64,
    /// A tick of the table's clock, which counts from 1.
    heard: u64,
}

impl LowWatermarks {
    /// The lowest number of `sender` that may be new.
    pub(super) fn of(&self, sender: &NodeId) -> u64 {
        self.floors.get(sender).map_or(0, |entry| entry.floor)
    }

    /// Never lowers a floor.
    pub(super) fn raise(&mut self, sender: NodeId, floor: u64) {
        if floor == 0 {
            return;
        }
        let entry = self.floors.entry(sender).or_insert(Floor { floor, heard: 0 });
        entry.floor = entry.floor.max(floor);
        self.handle_sign_of_life(sender);
        if self.floors.len() > MAX_SENDERS
            && let Some((_, silent)) = self.by_silence.pop_first()
        {
            self.floors.remove(&silent);
            self.forgotten.push(silent);
        }
    }

    /// Takes the senders who were forgotten and not heard since.
    pub(super) fn take_forgotten(&mut self) -> Vec<NodeId> {
        let mut forgotten = core::mem::take(&mut self.forgotten);
        forgotten.retain(|sender| !self.floors.contains_key(sender));
        forgotten
    }

    /// Something new came from `sender`: it is not the silent one.
    pub(super) fn handle_sign_of_life(&mut self, sender: NodeId) {
        if let Some(entry) = self.floors.get_mut(&sender) {
            self.clock += 1;
            self.by_silence.remove(&entry.heard);
            entry.heard = self.clock;
            self.by_silence.insert(self.clock, sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: usize) -> NodeId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        NodeId::from_bytes(id)
    }

    #[test]
    fn the_sender_that_is_silent_longest_is_forgotten_first() {
        let mut floors = LowWatermarks::default();
        for number in 0..MAX_SENDERS {
            floors.raise(sender(number), 5);
        }
        floors.raise(sender(0), 3);
        floors.handle_sign_of_life(sender(1));
        floors.raise(sender(MAX_SENDERS), 9);
        assert_eq!(floors.of(&sender(0)), 5, "a floor is never lowered");
        assert_eq!(floors.of(&sender(1)), 5);
        assert_eq!(floors.of(&sender(2)), 0);
        assert_eq!(floors.of(&sender(MAX_SENDERS)), 9);
        assert_eq!((floors.floors.len(), floors.by_silence.len()), (MAX_SENDERS, MAX_SENDERS));
        assert_eq!(floors.take_forgotten(), [sender(2)]);
        assert_eq!(floors.take_forgotten(), []);
    }
}
