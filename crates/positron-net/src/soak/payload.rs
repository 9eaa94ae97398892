//! Payloads that name themselves, so that a damaged one is noticed.

use bytes::Bytes;

/// The shortest payload: its number.
pub(super) const SHORTEST: usize = 8;

/// The payload of the thing with this number.
pub(super) fn of(number: u64, bytes: usize) -> Bytes {
    let mut payload = number.to_be_bytes().to_vec();
    payload.extend(filling(number).take(bytes.saturating_sub(SHORTEST)));
    payload.into()
}

/// Which thing it is, if it is whole.
pub(super) fn number_of(payload: &[u8]) -> Option<u64> {
    let (number, rest) = payload.split_first_chunk()?;
    let number = u64::from_be_bytes(*number);
    rest.iter().copied().eq(filling(number).take(rest.len())).then_some(number)
}

/// Bytes that are not all alike, and another row of them for each number.
fn filling(number: u64) -> impl Iterator<Item = u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        // Xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_itself_and_a_changed_one_names_nothing() {
        for bytes in [0, SHORTEST, 9, 1 << 20] {
            let payload = of(7, bytes);
            assert_eq!(payload.len(), bytes.max(SHORTEST));
            assert_eq!(number_of(&payload), Some(7));
        }
        let mut changed = of(7, 100).to_vec();
        changed[50] ^= 1;
        assert_eq!(number_of(&changed), None);
        assert_eq!(number_of(b"short"), None);
    }
}
