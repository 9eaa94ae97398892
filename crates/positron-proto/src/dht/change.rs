//! What the table keeps for others across restarts, as rows: records, and floors under those that
//! left.

use std::net::SocketAddr;

use bytes::BufMut as _;

use super::{
    DhtRecord, Place,
    held::{Bringer, Floor, Held, LONGEST_FLOOR, Life, Slot},
};
use crate::{
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table},
    time::{Duration, Instant, Now, WallTime},
    wire::{Address, Malformed, Reader, Writer as _},
};

/// Key and publisher: when it was written and what was left of its life then, who brought it, and
/// the record as it travels.
pub(super) const RECORDS: Table =
    Table { name: "dht_records", rule: Rule::Replace, essential: false };
/// Key and publisher: a sequence below which nothing is taken, when that was written and what was
/// left of it then, and on whose account it is.
pub(super) const RECORD_FLOORS: Table =
    Table { name: "dht_floors", rule: Rule::Replace, essential: false };

/// What was kept for others when the node ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RememberedRecords {
    pub(super) records: Vec<RememberedRecord>,
    pub(super) floors: Vec<RememberedFloor>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RememberedRecord {
    pub(super) record: Verified<DhtRecord>,
    pub(super) bringer: Bringer,
    pub(super) life: RememberedLife,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RememberedFloor {
    pub(super) slot: Slot,
    pub(super) sequence: u64,
    pub(super) bringer: Bringer,
    pub(super) life: RememberedLife,
    stays: Duration,
}

/// A life on paper: a monotonic clock means nothing to the next process. Where the wall clock goes
/// back, no more is left than was when this was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RememberedLife {
    written: WallTime,
    left: Duration,
    at_most: Duration,
}

/// A record is kept.
pub(super) fn keep_record(now: Now, held: &Held) -> Change {
    let claim = held.record.claim();
    let mut value = Vec::with_capacity(96 + claim.encoded_len());
    RememberedLife::of(now, &held.life).encode(&mut value);
    encode_bringer(&held.bringer, &mut value);
    claim.encode(&mut value);
    Change::keep(&RECORDS, row_key(&held.slot), value)
}

/// It left.
pub(super) fn forget_record(slot: &Slot) -> Change {
    Change::forget(&RECORDS, row_key(slot))
}

/// Something left, and nothing older may come back.
pub(super) fn keep_floor(now: Now, slot: &Slot, floor: &Floor) -> Change {
    let mut value = Vec::with_capacity(104);
    RememberedLife::of(now, &floor.life).encode(&mut value);
    encode_bringer(&floor.bringer, &mut value);
    value.put_u64(floor.sequence);
    value.put_u64(micros(floor.until.since(now.mono)));
    Change::keep(&RECORD_FLOORS, row_key(slot), value)
}

/// Nothing older is of its time any more, something newer is there, or there are too many.
pub(super) fn forget_floor(slot: &Slot) -> Change {
    Change::forget(&RECORD_FLOORS, row_key(slot))
}

impl Remembered for RememberedRecords {
    fn tables(&self) -> &'static [&'static Table] {
        &[&RECORDS, &RECORD_FLOORS]
    }

    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
        let other_key = value.malformed("record of another key");
        let slot = Slot {
            key: Place::from_bytes(key.array()?),
            publisher: NodeId::from_bytes(key.array()?),
        };
        key.finish()?;
        let life = RememberedLife::decode(&mut value)?;
        let bringer = decode_bringer(&mut value)?;
        if *row.table == RECORD_FLOORS {
            let sequence = value.u64()?;
            let stays = Duration::from_micros(value.u64()?);
            value.finish()?;
            self.floors.push(RememberedFloor { slot, sequence, bringer, life, stays });
            return Ok(());
        }
        let claim = Signed::<DhtRecord>::decode(&mut value)?;
        value.finish()?;
        if Slot::of(claim.content()) != slot {
            return Err(other_key);
        }
        let record = Verified::from_own_storage(claim, network);
        self.records.push(RememberedRecord { record, bringer, life });
        Ok(())
    }
}

impl RememberedFloor {
    /// The floor that it is now.
    pub(super) fn at(&self, now: Now) -> Floor {
        let stays = self.stays.saturating_sub(self.life.elapsed(now)).min(LONGEST_FLOOR);
        let (sequence, bringer) = (self.sequence, self.bringer);
        Floor { sequence, bringer, life: self.life.at(now), until: now.mono + stays }
    }
}

impl RememberedLife {
    fn of(now: Now, life: &Life) -> Self {
        let left = |end: Instant| end.since(now.mono);
        Self { written: now.wall, left: left(life.until), at_most: left(life.latest) }
    }

    /// The life that is left now, if the wall clock did not go back in between; or what was.
    pub(super) fn at(&self, now: Now) -> Life {
        let elapsed = self.elapsed(now);
        let end = |left: Duration| now.mono + left.saturating_sub(elapsed).min(LONGEST_FLOOR);
        Life { until: end(self.left), latest: end(self.at_most) }
    }

    fn elapsed(&self, now: Now) -> Duration {
        now.wall.since(self.written)
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let written = WallTime::from_unix_micros(reader.u64()?);
        let left = Duration::from_micros(reader.u64()?);
        Ok(Self { written, left, at_most: Duration::from_micros(reader.u64()?) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.written.as_unix_micros());
        out.put_u64(micros(self.left));
        out.put_u64(micros(self.at_most));
    }
}

fn encode_bringer(bringer: &Bringer, out: &mut Vec<u8>) {
    out.append_raw(bringer.id.as_bytes());
    Address::from(bringer.addr).encode(out);
}

fn decode_bringer(reader: &mut Reader) -> Result<Bringer, Malformed> {
    let id = NodeId::from_bytes(reader.array()?);
    let nowhere = reader.malformed("bringer without an IP address");
    let addr: SocketAddr = Address::decode(reader)?.socket_addr().ok_or(nowhere)?;
    Ok(Bringer { id, addr })
}

fn row_key(slot: &Slot) -> Vec<u8> {
    [&slot.key.as_bytes()[..], slot.publisher.as_bytes()].concat()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
