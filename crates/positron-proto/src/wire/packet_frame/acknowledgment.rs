//! Which packets were received, as PACKET_ACK says it `[PROTOCOL 9.7]`.

use core::ops::RangeInclusive;

use bytes::BufMut as _;

use crate::{
    limits::MAX_ACK_RANGES,
    time::Duration,
    wire::codec::{MAX_VARINT, Malformed, Reader, Source, Writer as _, varint_len},
};

/// The type of the frame.
pub(super) const PACKET_ACK: u8 = 0x0A;

/// Numbers of received packets: at least one range, descending, none touches another, at most
/// [`MAX_ACK_RANGES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckRanges {
    /// The highest range; the usual one, so it takes no memory elsewhere.
    first: (u64, u64),
    /// Those below it.
    more: Vec<(u64, u64)>,
}

impl AckRanges {
    /// Those of `ranges`, which descend and do not touch; the lowest ones beyond
    /// [`MAX_ACK_RANGES`] are left out. `None` of none, of ranges that ascend or touch, and of
    /// numbers from 2^62 on.
    pub fn from_descending(ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Option<Self> {
        let mut ranges = ranges.into_iter().take(MAX_ACK_RANGES).map(RangeInclusive::into_inner);
        let first = ranges.next()?;
        let more: Vec<(u64, u64)> = ranges.collect();
        let mut above = MAX_VARINT + 2;
        for &(low, high) in core::iter::once(&first).chain(&more) {
            if low > high || high + 1 >= above {
                return None;
            }
            above = low;
        }
        Some(Self { first, more })
    }

    /// The largest number.
    pub const fn largest(&self) -> u64 {
        self.first.1
    }

    /// The ranges, descending.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + Clone + '_ {
        core::iter::once(&self.first).chain(&self.more).map(|&(low, high)| low..=high)
    }

    /// Whether `number` is in one of them.
    pub fn contains(&self, number: u64) -> bool {
        self.iter().any(|range| range.contains(&number))
    }
}

/// Appends a PACKET_ACK of at most `room` bytes: as many of `ranges` (which descend and do not
/// touch) as fit, at most [`MAX_ACK_RANGES`]. Appends nothing and says so if not even one fits.
pub fn put_ack(
    out: &mut Vec<u8>,
    ranges: impl IntoIterator<Item = RangeInclusive<u64>, IntoIter: Clone>,
    delay: Duration,
    room: usize,
) -> bool {
    let mut ranges = ranges.into_iter().map(RangeInclusive::into_inner);
    let Some((low, high)) = ranges.next() else { return false };
    let delay = u64::try_from(delay.as_micros()).unwrap_or(MAX_VARINT).min(MAX_VARINT);
    // A count of further ranges takes one byte: see the assertion below.
    let mut size = 2 + varint_len(high) + varint_len(delay) + varint_len(high - low);
    if size > room {
        return false;
    }
    let pairs = ranges.scan(low, |above, (low, high)| {
        let pair = (above.checked_sub(high)?.checked_sub(2)?, high.checked_sub(low)?);
        *above = low;
        Some(pair)
    });
    let fitting = pairs.take(MAX_ACK_RANGES - 1).take_while(|&(gap, len)| {
        size += varint_len(gap) + varint_len(len);
        size <= room
    });
    out.put_u8(PACKET_ACK);
    out.append_varint(high);
    out.append_varint(delay);
    let count_at = out.len();
    out.put_u8(0);
    out.append_varint(high - low);
    let mut count = 0;
    for (gap, len) in fitting {
        out.append_varint(gap);
        out.append_varint(len);
        count += 1;
    }
    out[count_at] = count;
    true
}

const _: () = assert!(MAX_ACK_RANGES <= 64, "the count of further ranges takes one byte");

/// The ranges of a PACKET_ACK, and how long it was delayed. RFC 9000, 19.3.1: every range is told
/// by its distance from the one above it.
pub(super) fn decode<B: Source>(
    reader: &mut Reader<B>,
) -> Result<(AckRanges, Duration), Malformed> {
    let (largest, delay) = (reader.varint()?, Duration::from_micros(reader.varint()?));
    let count = reader.len(MAX_ACK_RANGES - 1)?;
    let below_zero = reader.malformed("range below zero");
    let lowest = largest.checked_sub(reader.varint()?).ok_or(below_zero)?;
    // A pair takes two bytes at least: a count without its pairs takes no memory.
    let mut more = Vec::with_capacity(count.min(reader.remaining() / 2));
    let mut above = lowest;
    for _ in 0..count {
        let below_zero = reader.malformed("range below zero");
        let (gap, len) = (reader.varint()?, reader.varint()?);
        let high = above.checked_sub(gap).and_then(|high| high.checked_sub(2)).ok_or(below_zero)?;
        let low = high.checked_sub(len).ok_or(below_zero)?;
        more.push((low, high));
        above = low;
    }
    Ok((AckRanges { first: (lowest, largest), more }, delay))
}
