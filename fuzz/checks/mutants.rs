//! What a fuzzer that sees no coverage makes of a corpus: the same mutants on every machine.

use positron_proto::rng::Rng;

/// One of the inputs, changed a few times: bits, bytes, numbers at their edges, pieces left out,
/// doubled, or taken from another input.
pub(crate) fn mutant(corpus: &[Vec<u8>], dice: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[dice.index(corpus.len())].clone();
    for _ in 0..=dice.index(MOST_CHANGES) {
        let at = dice.index(bytes.len() + 1);
        let len = 1 + dice.index(LONGEST_PIECE);
        let piece = at..(at + len).min(bytes.len());
        match dice.index(7) {
            0 if !piece.is_empty() => bytes[at] ^= 1 << dice.index(8),
            1 if !piece.is_empty() => bytes[at] = dice.bytes::<1>()[0],
            2 if !piece.is_empty() => bytes[at] = EDGES[dice.index(EDGES.len())],
            3 => bytes.insert(at, dice.bytes::<1>()[0]),
            4 => drop(bytes.drain(piece)),
            5 => {
                let again = bytes[piece].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let other = &corpus[dice.index(corpus.len())];
                let from = dice.index(other.len() + 1);
                bytes.splice(piece, other[from..(from + len).min(other.len())].iter().copied());
            }
        }
    }
    bytes
}

const MOST_CHANGES: usize = 6;
const LONGEST_PIECE: usize = 32;
const EDGES: [u8; 8] = [0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFF];
