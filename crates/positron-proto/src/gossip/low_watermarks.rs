//! Below which number a sender's messages are old.

use crate::{id::NodeId, limits::MAX_SENDERS, lru::LruMap};

/// The floors of the senders that ever lost a message from the window: at most [`MAX_SENDERS`], the
/// one silent longest is forgotten first.
#[derive(Debug)]
pub(super) struct LowWatermarks {
    floors: LruMap<NodeId, u64>,
    /// Who was forgotten; storage is to forget him, too.
    forgotten: Vec<NodeId>,
}

impl Default for LowWatermarks {
    fn default() -> Self {
        Self { floors: LruMap::new(MAX_SENDERS), forgotten: Vec::new() }
    }
}

impl LowWatermarks {
    /// The lowest number of `sender` that may be new.
    pub(super) fn of(&self, sender: &NodeId) -> u64 {
        self.floors.get(sender).copied().unwrap_or(0)
    }

    pub(super) fn contains(&self, sender: &NodeId) -> bool {
        self.floors.contains(sender)
    }

    /// Never lowers a floor.
    pub(super) fn raise(&mut self, sender: NodeId, floor: u64) {
        if floor == 0 {
            return;
        }
        if let Some(present) = self.floors.get_mut(&sender) {
            *present = floor.max(*present);
            self.floors.touch(&sender);
        } else {
            self.forgotten.extend(self.floors.insert(sender, floor));
        }
    }

    /// Takes the senders who were forgotten and not heard since.
    pub(super) fn take_forgotten(&mut self) -> Vec<NodeId> {
        let mut forgotten = core::mem::take(&mut self.forgotten);
        forgotten.retain(|sender| !self.floors.contains(sender));
        forgotten
    }

    /// Something new came from `sender`: it is not the silent one.
    pub(super) fn handle_sign_of_life(&mut self, sender: NodeId) {
        self.floors.touch(&sender);
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
        assert!((3..MAX_SENDERS).all(|number| floors.of(&sender(number)) == 5), "one at a time");
        assert_eq!(floors.take_forgotten(), [sender(2)]);
        assert_eq!(floors.take_forgotten(), []);
    }
}
