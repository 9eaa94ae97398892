//! How large a datagram the path carries (RFC 8899).

#![allow(dead_code)]

use crate::{limits::LEAST_DATAGRAM, time::Instant};

/// The size of datagrams, and the search for a larger one.
#[derive(Debug)]
pub(super) struct DatagramSize {
    current: usize,
}

impl DatagramSize {
    /// Starts at `LEAST_DATAGRAM`; searches up to `ceiling` bytes.
    pub(super) fn new(_ceiling: usize) -> Self {
        Self { current: LEAST_DATAGRAM }
    }

    /// Bytes of UDP payload that the path is known to carry.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// The size of a probe to send now. Ask only while the connection is established.
    pub(super) fn poll_probe(&mut self, _now: Instant) -> Option<usize> {
        None
    }

    /// When `poll_probe` may say something again; a hint.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The probe went out as this packet.
    pub(super) fn probe_sent(&mut self, _now: Instant, _number: u64, _size: usize) {}

    /// Whether this packet is the probe: its loss is no sign of congestion.
    pub(super) fn is_probe(&self, _number: u64) -> bool {
        false
    }

    /// A datagram of this size was acknowledged.
    pub(super) fn acknowledged(&mut self, _now: Instant, _number: u64, _size: usize) {}

    /// A datagram of this size was lost.
    pub(super) fn lost(&mut self, _now: Instant, _number: u64, _size: usize) {}

    /// The system refused a datagram of this size (EMSGSIZE).
    pub(super) fn too_large(&mut self, _now: Instant, _size: usize) {}

    /// The path changed: what was known of it is forgotten.
    pub(super) fn moved(&mut self, _now: Instant) {}

    /// How often large datagrams stopped arriving.
    pub(super) fn black_holes(&self) -> u64 {
        0
    }
}
