//! No number seals two packets: under one key, one nonce, one plaintext.

use std::collections::BTreeMap;

use super::{Promise, Wrong};
use crate::{dice::mix, packets::header_view::PacketHeaderView};

/// All sealed packets of one life of an endpoint. Connections are told apart by the id that the
/// receiver chose; a run is too short for the number to come around.
#[derive(Debug, Default)]
pub(crate) struct Nonces(BTreeMap<(u32, u32), u64>);

impl Nonces {
    /// A datagram was sent.
    pub(crate) fn sent(&mut self, datagram: &[u8]) -> Result<(), Wrong> {
        let Some(header) = PacketHeaderView::of(datagram).filter(PacketHeaderView::is_sealed)
        else {
            return Ok(());
        };
        let hash = hash(datagram);
        let PacketHeaderView { connection, number, .. } = header;
        match self.0.insert((connection, number), hash) {
            Some(before) if before != hash => Err(Wrong::new(
                Promise::Nonces,
                format!("number {number} of connection {connection:08x} seals two packets"),
            )),
            _ => Ok(()),
        }
    }
}

/// Equal for equal bytes, and in practice for nothing else.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    // The length tells zeros at the end apart from fewer of them.
    let start = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut sum = words.iter().fold(start, |sum, word| mix(sum ^ u64::from_le_bytes(*word)));
    for byte in rest {
        sum = mix(sum ^ u64::from(*byte));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(connection: u8, number: u8, flags: u8, last: u8) -> [u8; 60] {
        let mut packet = [0; 60];
        packet[0] = 0xBE;
        (packet[3], packet[7], packet[31], packet[59]) = (flags, number, connection, last);
        packet
    }

    #[test]
    fn fewer_zeros_are_something_else() {
        let lens = 0..200;
        let hashes = lens.clone().map(|len| hash(&vec![0; len]));
        assert_eq!(hashes.collect::<std::collections::BTreeSet<_>>().len(), lens.len());
    }

    #[test]
    fn two_packets_under_one_number_are_found() {
        const SEALED: u8 = 4;
        let mut nonces = Nonces::default();
        assert!(nonces.sent(&packet(1, 1, SEALED, 1)).is_ok());
        assert!(nonces.sent(&packet(1, 2, SEALED, 2)).is_ok());
        assert!(nonces.sent(&packet(2, 1, SEALED, 3)).is_ok());
        assert!(nonces.sent(&packet(1, 1, SEALED, 1)).is_ok(), "the same packet once more");
        assert!(nonces.sent(&packet(1, 1, 0, 9)).is_ok(), "not sealed");
        assert!(nonces.sent(&packet(1, 1, SEALED, 9)).is_err());
    }
}
