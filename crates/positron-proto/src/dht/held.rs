//! A record that is kept for others, and what stays of it when it has left.

use core::cmp::Ordering;
use std::net::SocketAddr;

use bytes::Bytes;

use super::{DhtRecord, Place};
use crate::{
    crypto::sha256,
    id::NodeId,
    identity::{Statement as _, Verified},
    limits::{MAX_RECORD_TTL, RECORD_CLOCK_TOLERANCE, RECORD_OVERHEAD},
    time::{Duration, Instant, Now, WallTime},
};

/// Where a record is: one publisher has one record under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) key: Place,
    pub(super) publisher: NodeId,
}

/// Who brought a record, and from where: it is on the account of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordBringer {
    pub(super) id: NodeId,
    pub(super) addr: SocketAddr,
}

/// How long a record may be kept, on our own monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// When it ends.
    pub(super) until: Instant,
    /// When it ends at the latest. What is left of a life is said by whoever brings the record, and
    /// nobody signed it: only its publisher itself, which is believed, makes it longer again, up
    /// to this.
    pub(super) latest: Instant,
}

/// A record that is kept.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) slot: Slot,
    pub(super) record: Verified<DhtRecord>,
    pub(super) bringer: RecordBringer,
    pub(super) life: Life,
    /// Whether a second content of its sequence was proved already.
    pub(super) equivocated: bool,
}

/// What stays of a record that left, so that no old copy comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Floor {
    /// Its sequence: nothing lower is taken.
    pub(super) sequence: u64,
    /// Its life: the same sequence is taken again for what is left of it, and no longer.
    pub(super) life: Life,
    /// When the floor itself is forgotten.
    pub(super) until: Instant,
    /// On whose account it is.
    pub(super) bringer: RecordBringer,
}

impl Slot {
    /// Before all others.
    pub(super) const FIRST: Self = Self::first_of(Place::from_bytes([0; 32]));

    pub(super) fn of(record: &DhtRecord) -> Self {
        Self { key: record.key(), publisher: record.publisher.node_id() }
    }

    /// The first that there can be under a key.
    pub(super) const fn first_of(key: Place) -> Self {
        Self { key, publisher: NodeId::from_bytes([0; 32]) }
    }

    /// The last that there can be under a key.
    pub(super) const fn last_of(key: Place) -> Self {
        Self { key, publisher: NodeId::from_bytes([0xFF; 32]) }
    }
}

impl Held {
    /// What it takes: see [`cost`].
    pub(super) fn cost(&self) -> usize {
        cost(self.record.content())
    }

    /// Whole seconds that are left of its life: not more than its publisher wished, even of a
    /// tombstone that stays for longer.
    pub(super) fn remaining(&self, now: Instant) -> u32 {
        let left = self.life.until.since(now).as_secs();
        u32::try_from(left).unwrap_or(u32::MAX).min(self.record.content().ttl)
    }

    /// The floor that it leaves behind.
    ///
    /// It stays for one ttl, and until no copy of anything older can be of its time: a copy says
    /// when it was made, and lives for [`MAX_RECORD_TTL`] at most. A shorter floor lets whoever
    /// kept a copy wait for its end, and then bring it back.
    pub(super) fn floor(&self, now: Now) -> Floor {
        let record = self.record.content();
        let outer = WallTime::from_unix_micros(u64::from(record.created) * 1_000_000)
            + MAX_RECORD_TTL
            + RECORD_CLOCK_TOLERANCE;
        let ended = self.life.latest.max(self.life.until).max(now.mono);
        let until = (ended + record.life()).max(now.mono + outer.since(now.wall));
        let until = until.min(now.mono + LONGEST_FLOOR);
        Floor { sequence: record.sequence, life: self.life, until, bringer: self.bringer }
    }
}

/// What a record takes of what may be kept: its bytes, and what the memory around them is.
pub(super) fn cost(record: &DhtRecord) -> usize {
    RECORD_OVERHEAD + record.value.as_ref().map_or(0, Bytes::len)
}

/// Of two records of one publisher under one key, whether `one` counts and not `other`: the higher
/// sequence, and if its publisher contradicts itself the smaller hash of what it signed, so that
/// all nodes end with the same one.
pub(super) fn supersedes(one: &DhtRecord, other: &DhtRecord) -> bool {
    match one.sequence.cmp(&other.sequence) {
        Ordering::Equal => content_hash(one) < content_hash(other),
        order => order.is_gt(),
    }
}

/// SHA-256 of what is signed of a record.
pub(super) fn content_hash(record: &DhtRecord) -> [u8; 32] {
    let mut content = Vec::with_capacity(256);
    record.encode_content(&mut content);
    sha256(&[&content])
}

/// No floor stays for longer: its record may have been made by a clock that is ahead.
pub(super) const LONGEST_FLOOR: Duration =
    MAX_RECORD_TTL.saturating_add(RECORD_CLOCK_TOLERANCE).saturating_add(RECORD_CLOCK_TOLERANCE);
