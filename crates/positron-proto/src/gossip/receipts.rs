//! What came, for those who wait for us to have it.

use super::{message_key::MessageKey, reach::Step};
use crate::wire::holdings::Holdings;

/// What was kept here since the peers were last told of all of it, whoever brought it.
///
/// Whoever announced a message does not hear whether we have it, unless we ask him for it. Who
/// publishes faster than we take must know: so a receipt goes to everybody, and only when it is
/// long enough to cost next to nothing for each message.
#[derive(Debug)]
pub(super) struct Receipts {
    step: Step,
    unreported: Holdings,
    messages: usize,
    bytes: usize,
}

impl Receipts {
    /// One for each `step`.
    pub(super) const fn new(step: Step) -> Self {
        Self { step, unreported: Holdings::new(), messages: 0, bytes: 0 }
    }

    /// `item` is kept now, with a payload of `bytes`; the receipt that is due.
    pub(super) fn add(&mut self, item: MessageKey, bytes: usize) -> Option<Holdings> {
        self.unreported.insert(item.sender, item.sequence);
        self.messages += 1;
        self.bytes += bytes;
        if !self.step.is_made_by(self.messages, self.bytes) {
            return None;
        }
        (self.messages, self.bytes) = (0, 0);
        Some(core::mem::take(&mut self.unreported))
    }
}
