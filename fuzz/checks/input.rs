//! An input as a list of steps.

/// The bytes of an input, one after the other.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Zero at the end.
    pub(crate) fn byte(&mut self) -> usize {
        usize::from(self.next().unwrap_or(0))
    }

    pub(crate) fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    #[allow(dead_code, reason = "not every target has use for it")]
    pub(crate) fn word(&mut self) -> usize {
        self.byte() << 8 | self.byte()
    }
}
