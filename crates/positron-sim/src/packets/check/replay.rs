//! No packet is opened twice.

use std::collections::BTreeSet;

use super::{Promise, Wrong, nonces::hash};
use crate::packets::header_view::PacketHeaderView;

/// All different sealed packets that one life of an endpoint was handed.
#[derive(Debug, Default)]
pub(crate) struct Replay(BTreeSet<u64>);

impl Replay {
    /// The endpoint is handed a datagram, perhaps again.
    pub(crate) fn handle_handover(&mut self, datagram: &[u8]) {
        if PacketHeaderView::of(datagram).is_some_and(|header| header.is_sealed()) {
            self.0.insert(hash(datagram));
        }
    }

    /// The endpoint says how many it opened.
    pub(crate) fn opened(&self, packets: u64) -> Result<(), Wrong> {
        let different = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        if packets <= different {
            return Ok(());
        }
        let what = format!("{packets} packets opened out of {different} different ones");
        Err(Wrong::new(Promise::Nonces, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_is_opened_twice_is_found() {
        let mut packet = [0; 60];
        (packet[0], packet[3]) = (0xBE, 4);
        let mut replay = Replay::default();
        replay.handle_handover(&packet);
        replay.handle_handover(&packet);
        assert!(replay.opened(1).is_ok());
        assert!(replay.opened(2).is_err());
    }
}
