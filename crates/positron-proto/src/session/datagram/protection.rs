//! Packet protection `[PROTOCOL 9]`: seals and opens packets, and changes keys on the way.

#![allow(dead_code, clippy::needless_pass_by_value)]

use core::fmt;

use crate::{
    session::{
        noise::Split,
        record::{Role, Suite},
    },
    time::{Duration, Instant},
};

/// What tests and the simulator change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuning {
    /// Packets sealed under one key before this end changes it.
    pub(super) packets_per_key: u64,
    /// The number of the first packet, in both directions.
    pub(super) first_number: u64,
}

/// Both directions of one connection.
pub(super) struct Protection {
    forged: u64,
}

/// There is no number or no key left: the connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Why a packet was not opened. Nothing but a count has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// It was opened before.
    Replayed,
    /// It is too old to tell.
    TooOld,
    /// Nobody who holds the keys sealed it like this.
    Forged {
        /// The checksum does not fit either: more likely an accident than somebody.
        damaged: bool,
    },
    /// It does not say that it is sealed, or is too short to be.
    NotSealed,
}

/// Stand-in for `wire::packet::Header`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header;

impl Protection {
    /// The keys that a finished handshake comes to.
    pub(super) fn derive(split: &Split, suite: Suite, role: Role) -> Self {
        Self::tuned(split, suite, role, Tuning::default())
    }

    /// The same with other numbers.
    pub(super) fn tuned(_split: &Split, _suite: Suite, _role: Role, _tuning: Tuning) -> Self {
        Self { forged: 0 }
    }

    /// The number of the next packet that is sealed.
    pub(super) fn next_number(&self) -> u64 {
        0
    }

    /// Seals header(32) ‖ frames ‖ 16 spare bytes in place and returns the packet's number.
    pub(super) fn seal(&mut self, _now: Instant, _datagram: &mut [u8]) -> Result<u64, Exhausted> {
        Err(Exhausted)
    }

    /// Opens a packet into `out`, which is cleared first, and returns its number.
    pub(super) fn open(
        &mut self,
        _now: Instant,
        _three_pto: Duration,
        _header: &Header,
        _datagram: &[u8],
        _out: &mut Vec<u8>,
    ) -> Result<u64, Unopened> {
        Err(Unopened::NotSealed)
    }

    /// A packet of ours was acknowledged.
    pub(super) fn acknowledged(&mut self, _number: u64) {}

    /// How often the keys changed.
    pub(super) fn updates(&self) -> u64 {
        0
    }

    /// Packets that failed to open.
    pub(super) fn forged(&self) -> u64 {
        self.forged
    }

    /// Whether so many failed that the connection must end (RFC 9001, 6.6).
    pub(super) fn is_at_cipher_limit(&self) -> bool {
        false
    }

    /// The highest number that was opened.
    pub(super) fn highest_opened(&self) -> Option<u64> {
        None
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self { packets_per_key: crate::limits::PACKETS_PER_KEY, first_number: 0 }
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protection(..)")
    }
}
