//! Which symbols an element is in.

use super::symbol::{Code, mixed};

/// The numbers of the symbols of an element, rising, without end.
///
/// Symbol `i` has an element with the probability `1 / (1 + i / 2)`. That none of those after `i`
/// up to `j` has it has then the probability `(i + 1)(i + 2) / ((j + 1)(j + 2))`, nearly
/// `((i + 1.5) / (j + 1.5))^2`: so the next one follows from one draw (Yang et al. 2024, 4.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    at: u64,
    /// What is drawn next comes from it.
    state: u64,
}

impl Mapping {
    pub(super) const fn of(code: Code) -> Self {
        Self { at: 0, state: code.number() }
    }
}

impl Iterator for Mapping {
    type Item = u64;

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only IEEE 754 arithmetic and roots, which are the same everywhere"
    )]
    fn next(&mut self) -> Option<u64> {
        let now = self.at;
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        // Above 0, at most 1: how probable it is that the next one is at least that far.
        let draw = ((mixed(self.state) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let step = (now as f64 + 1.5) * (1.0 / draw.sqrt() - 1.0);
        self.at = now.saturating_add((step.ceil() as u64).max(1));
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_in_the_first_symbol_and_in_later_ones_as_often_as_it_should_be() {
        let (elements, symbols) = (20_000_u64, 64_u64);
        let mut counts = vec![0_u64; 64];
        for element in 0..elements {
            let code = Code::of(&[7; 16], &element.to_be_bytes());
            let places: Vec<u64> = Mapping::of(code).take_while(|at| *at < symbols).collect();
            assert!(places.is_sorted() && places.first() == Some(&0));
            places.into_iter().for_each(|at| counts[usize::try_from(at).unwrap()] += 1);
        }
        for (index, count) in (0_u64..).zip(counts) {
            let expected = 2 * elements / (2 + index);
            // Five standard deviations, and what the approximation is off.
            let bound = 5 * expected.isqrt() + expected / 20;
            assert!(count.abs_diff(expected) < bound, "{index}: {count} of {expected}");
        }
    }
}
