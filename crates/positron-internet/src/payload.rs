//! What datagrams carry.

use crate::path::Damage;

/// What a datagram carries.
pub trait Payload: Clone {
    /// Bytes on the wire.
    fn size(&self) -> usize;

    /// Turns bits over. Whatever has no bytes stays as it is.
    fn damage(&mut self, _: Damage) {}
}

impl Payload for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }

    fn damage(&mut self, damage: Damage) {
        damage.apply(self);
    }
}

impl Payload for bytes::Bytes {
    fn size(&self) -> usize {
        self.len()
    }

    fn damage(&mut self, damage: Damage) {
        let mut bytes = self.to_vec();
        damage.apply(&mut bytes);
        *self = bytes.into();
    }
}
