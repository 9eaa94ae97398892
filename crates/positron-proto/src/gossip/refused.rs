//! Numbers whose messages the application does not accept.

use std::collections::{BTreeMap, VecDeque};

use super::message_key::MessageKey;
use crate::{id::NodeId, limits::MAX_REFUSED_MESSAGES, wire::holdings::Ranges};

/// The last [`MAX_REFUSED_MESSAGES`] numbers whose messages were refused: nobody is asked for them,
/// and the application is not asked about them again. They are told to nobody, so that nodes that
/// refuse the same compare equal.
#[derive(Debug, Default)]
pub(super) struct RefusedMessages {
    numbers: BTreeMap<NodeId, Ranges>,
    /// The oldest first.
    order: VecDeque<MessageKey>,
}

impl RefusedMessages {
    pub(super) fn insert(&mut self, item: MessageKey) {
        if !self.numbers.entry(item.sender).or_default().insert(item.sequence) {
            return;
        }
        self.order.push_back(item);
        if self.order.len() > MAX_REFUSED_MESSAGES
            && let Some(oldest) = self.order.pop_front()
            && let Some(of) = self.numbers.get_mut(&oldest.sender)
        {
            of.remove(oldest.sequence);
            if of.is_empty() {
                self.numbers.remove(&oldest.sender);
            }
        }
    }

    pub(super) fn contains(&self, item: &MessageKey) -> bool {
        self.of(&item.sender).is_some_and(|numbers| numbers.contains(item.sequence))
    }

    /// Those of one sender.
    pub(super) fn of(&self, sender: &NodeId) -> Option<&Ranges> {
        self.numbers.get(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_so_many_are_remembered_and_each_once() {
        let mut refused = RefusedMessages::default();
        let item = |sequence| MessageKey { sender: NodeId::from_bytes([7; 32]), sequence };
        let most = u64::try_from(MAX_REFUSED_MESSAGES).unwrap();
        (0..most).chain(0..most).for_each(|n| refused.insert(item(n)));
        assert!(refused.contains(&item(0)) && refused.contains(&item(most - 1)));
        refused.insert(item(most));
        assert!(!refused.contains(&item(0)) && refused.contains(&item(1)));
        (most + 1..3 * most).for_each(|n| refused.insert(item(n)));
        assert_eq!(refused.order.len(), MAX_REFUSED_MESSAGES);
        assert_eq!(refused.numbers.len(), 1);
    }
}
