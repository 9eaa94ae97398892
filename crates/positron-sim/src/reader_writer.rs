//! What an application does with streams: it writes what it is told to, and reads everything.

use std::collections::BTreeMap;

use positron_proto::{
    id::Ticket,
    node::{Event, Outcome},
    substream::{OpenedBy, SubstreamId, SubstreamNews, SubstreamOrder},
};

use crate::report::StreamTally;

/// Bytes that are given to the node at a time, so that there is always something to be sent.
const AHEAD: u64 = 256 * 1024;

/// The streams of one process.
///
/// # Contract
///
/// [`expect`](Self::expect) after each command to open one, [`hear`](Self::hear) every event;
/// whatever comes back is ordered of the node. Each byte of a stream is known by its number and
/// place, the first eight are the stream's length: who reads knows whether it has all of it and
/// nothing else.
#[derive(Debug, Default)]
pub(crate) struct ReaderWriter {
    /// Those that are to be opened, and how long they get.
    opening: BTreeMap<Ticket, u64>,
    writing: BTreeMap<SubstreamId, Writing>,
    reading: BTreeMap<SubstreamId, Reading>,
}

#[derive(Debug)]
struct Writing {
    written: u64,
    taken: u64,
    len: u64,
}

#[derive(Debug, Default)]
struct Reading {
    read: u64,
    /// The first eight bytes, as far as they came.
    head: Vec<u8>,
}

impl ReaderWriter {
    /// A stream is to be opened, and to carry so many bytes.
    pub(crate) fn expect(&mut self, ticket: Ticket, bytes: u64) {
        self.opening.insert(ticket, bytes.max(8));
    }

    /// What the node says, and what is wanted of it then.
    pub(crate) fn hear(
        &mut self,
        event: &Event,
        tally: &mut StreamTally,
    ) -> Vec<(SubstreamId, SubstreamOrder)> {
        let (id, orders) = match event {
            Event::Completed { ticket, outcome } => {
                let Some(len) = self.opening.remove(ticket) else { return Vec::new() };
                let Outcome::StreamOpened(id) = outcome else {
                    tally.not_opened += 1;
                    return Vec::new();
                };
                tally.opened += 1;
                self.writing.insert(*id, Writing { written: 0, taken: 0, len });
                (*id, self.write(*id))
            }
            Event::Stream { id, news } => (*id, self.hear_news(*id, news, tally)),
            _ => return Vec::new(),
        };
        orders.into_iter().map(|order| (id, order)).collect()
    }

    fn hear_news(
        &mut self,
        id: SubstreamId,
        news: &SubstreamNews,
        tally: &mut StreamTally,
    ) -> Vec<SubstreamOrder> {
        match news {
            // Nothing is said back.
            SubstreamNews::Incoming => {
                self.reading.insert(id, Reading::default());
                vec![SubstreamOrder::Consumed(0), SubstreamOrder::Finish]
            }
            SubstreamNews::Data(bytes) => {
                let reading = self.reading.entry(id).or_default();
                for byte in bytes {
                    if reading.read < 8 {
                        reading.head.push(*byte);
                    } else if *byte != byte_at(&id, reading.read) {
                        tally.wrong += 1;
                    }
                    reading.read += 1;
                }
                vec![SubstreamOrder::Consumed(bytes.len())]
            }
            SubstreamNews::Finished => {
                if let Some(Reading { read, head }) = self.reading.remove(&id)
                    && id.opener == OpenedBy::Peer
                {
                    let len = head.try_into().map(u64::from_be_bytes);
                    tally.whole += u64::from(len == Ok(read));
                    tally.wrong += u64::from(len != Ok(read));
                }
                Vec::new()
            }
            SubstreamNews::Taken(bytes) => {
                if let Some(writing) = self.writing.get_mut(&id) {
                    writing.taken += u64::try_from(*bytes).unwrap_or(u64::MAX);
                }
                self.write(id)
            }
            SubstreamNews::Delivered => {
                tally.delivered += u64::from(self.writing.remove(&id).is_some());
                Vec::new()
            }
            SubstreamNews::Stopped(_) => {
                tally.lost += u64::from(self.writing.remove(&id).is_some());
                Vec::new()
            }
            SubstreamNews::Reset(_) => {
                self.reading.remove(&id);
                Vec::new()
            }
        }
    }

    /// As much as is to be ahead of what the node has taken, and the end behind the last byte.
    fn write(&mut self, id: SubstreamId) -> Vec<SubstreamOrder> {
        let Some(writing) = self.writing.get_mut(&id) else { return Vec::new() };
        let until = writing.len.min(writing.taken + AHEAD);
        if until == writing.written {
            return Vec::new();
        }
        let head = writing.len.to_be_bytes();
        let byte = |at: u64| match usize::try_from(at) {
            Ok(at) if at < head.len() => head[at],
            _ => byte_at(&id, at),
        };
        let bytes: Vec<u8> = (writing.written..until).map(byte).collect();
        writing.written = until;
        let mut orders = vec![SubstreamOrder::Write(bytes.into())];
        if until == writing.len {
            orders.push(SubstreamOrder::Finish);
        }
        orders
    }
}

/// Which byte stands at a place of a stream.
#[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
const fn byte_at(id: &SubstreamId, at: u64) -> u8 {
    (at.wrapping_mul(31) ^ (at >> 8) ^ id.number) as u8
}
