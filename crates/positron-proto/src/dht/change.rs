//! What the table keeps for others across restarts, as rows: records, and floors under those that
//! left.

use std::net::SocketAddr;

use bytes::BufMut as _;

use super::{
    DhtRecord, Place,
    held::{Floor, Held, LONGEST_FLOOR, Life, RecordBringer, Slot},
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
    pub(super) bringer: RecordBringer,
    pub(super) life: RememberedLife,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RememberedFloor {
    pub(super) slot: Slot,
    pub(super) sequence: u64,
    pub(super) bringer: RecordBringer,
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

fn encode_bringer(bringer: &RecordBringer, out: &mut Vec<u8>) {
    out.append_raw(bringer.id.as_bytes());
    Address::from(bringer.addr).encode(out);
}

fn decode_bringer(reader: &mut Reader) -> Result<RecordBringer, Malformed> {
    let id = NodeId::from_bytes(reader.array()?);
    let nowhere = reader.malformed("bringer without an IP address");
    let addr: SocketAddr = Address::decode(reader)?.socket_addr().ok_or(nowhere)?;
    Ok(RecordBringer { id, addr })
}

fn row_key(slot: &Slot) -> Vec<u8> {
    [&slot.key.as_bytes()[..], slot.publisher.as_bytes()].concat()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        dht::{NameHash, RecordKind},
        identity::Identity,
    };

    fn network() -> NetworkId {
        NetworkId::from_name("test")
    }

    fn held(now: Now) -> Held {
        let identity = Identity::from_seed([7; 32]);
        let record = DhtRecord {
            publisher: *identity.public_key(),
            kind: RecordKind::Owned,
            name: NameHash::of_name("name").unwrap(),
            sequence: 9,
            created: 1_800_000_000,
            ttl: 600,
            value: Some(Bytes::from_static(b"value")),
        };
        let slot = Slot::of(&record);
        let record = identity.sign(record, &network());
        let addr = "[2001:db9::1]:7".parse().unwrap();
        let bringer = RecordBringer { id: NodeId::from_bytes([3; 32]), addr };
        let [until, latest] = [60, 600].map(|left| now.mono + Duration::from_secs(left));
        let life = Life { until, latest };
        Held { slot, record, bringer, life, equivocated: false }
    }

    fn row(change: Change) -> Row {
        Row { table: change.table, key: change.key, value: change.value.unwrap().to_bytes() }
    }

    #[test]
    fn records_and_floors_read_as_they_were_written_and_time_goes_on_in_between() {
        let wall = WallTime::from_unix_micros(1_800_000_000_000_000);
        let now = Now { mono: Instant::from_micros(1_000), wall };
        let kept = held(now);
        let floor = kept.floor(now);
        let mut back = RememberedRecords::default();
        for change in [keep_record(now, &kept), keep_floor(now, &kept.slot, &floor)] {
            back.load(row(change), &network()).unwrap();
        }
        let later = Now { mono: Instant::ORIGIN, wall: wall + Duration::from_secs(40) };
        let end = |left: u64| later.mono + Duration::from_secs(left);
        let life = Life { until: end(20), latest: end(560) };
        assert_eq!(back.records[0].record, kept.record);
        assert_eq!(back.records[0].bringer, kept.bringer);
        assert_eq!(back.records[0].life.at(later), life);
        let until = end(72 * 3600 - 40);
        assert_eq!(back.floors[0].slot, kept.slot);
        assert_eq!(back.floors[0].at(later), Floor { life, until, ..floor });
        assert_eq!(forget_record(&kept.slot).key, forget_floor(&kept.slot).key);
    }

    #[test]
    fn a_row_that_says_something_else_than_its_key_or_too_much_is_refused() {
        let now = Now::default();
        let kept = held(now);
        let mut back = RememberedRecords::default();
        for change in [keep_record(now, &kept), keep_floor(now, &kept.slot, &kept.floor(now))] {
            let whole = row(change);
            for len in 0..whole.value.len() {
                let short = Row { value: whole.value.slice(..len), ..whole.clone() };
                back.load(short, &network()).unwrap_err();
            }
            let long = [&whole.value[..], &[0]].concat().into();
            back.load(Row { value: long, ..whole.clone() }, &network()).unwrap_err();
            back.load(Row { key: whole.key.slice(1..), ..whole }, &network()).unwrap_err();
        }
        let other = Row { key: vec![1; 64].into(), ..row(keep_record(now, &kept)) };
        back.load(other, &network()).unwrap_err();
        assert_eq!(back, RememberedRecords::default());
    }
}
