//! Each reliable message once, in order where that is asked for; streams byte for byte.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use positron_proto::datagram::contract::{Delivery, LaneNumber};

use super::{Promise, Wrong};
use crate::packets::content::{self, Talker};

/// What one end of a connection said, and what of it the other end heard.
#[derive(Debug)]
pub(crate) struct Flow {
    of: Talker,
    ordered: BTreeMap<LaneNumber, VecDeque<Bytes>>,
    loose: BTreeMap<(Delivery, LaneNumber, Bytes), Count>,
    streams: BTreeMap<u64, Stream>,
    /// Bytes of messages and streams that were taken.
    pub(crate) said: u64,
    /// Messages that were heard.
    pub(crate) heard: u64,
}

#[derive(Debug, Default)]
struct Count {
    sent: u32,
    heard: u32,
}

#[derive(Debug, Default)]
struct Stream {
    written: u64,
    read: u64,
    finished: bool,
    /// Given up by either end: what comes is right, but it need not come.
    dropped: bool,
    ended: bool,
}

impl Flow {
    pub(crate) const fn new(of: Talker) -> Self {
        Self {
            of,
            ordered: BTreeMap::new(),
            loose: BTreeMap::new(),
            streams: BTreeMap::new(),
            said: 0,
            heard: 0,
        }
    }

    /// The endpoint took a message.
    pub(crate) fn handle_sent(&mut self, lane: LaneNumber, delivery: Delivery, body: Bytes) {
        self.said += u64::try_from(body.len()).unwrap_or(0);
        if delivery == Delivery::Ordered {
            self.ordered.entry(lane).or_default().push_back(body);
        } else {
            self.loose.entry((delivery, lane, body)).or_default().sent += 1;
        }
    }

    /// The other end was handed a message.
    pub(crate) fn received(
        &mut self,
        lane: LaneNumber,
        delivery: Delivery,
        body: &Bytes,
    ) -> Result<(), Wrong> {
        self.heard += 1;
        let what = || format!("lane {lane}, {delivery:?}, {}", content::describe(body));
        if delivery == Delivery::Ordered {
            let waiting = self.ordered.entry(lane).or_default();
            return match waiting.front() {
                Some(next) if next == body => {
                    waiting.pop_front();
                    Ok(())
                }
                Some(next) if waiting.contains(body) => Err(Wrong::new(
                    Promise::Exact,
                    format!("{} overtook {}", what(), content::describe(next)),
                )),
                _ if content::is_of(body, self.of) == Some(true) => {
                    Err(Wrong::new(Promise::Exact, format!("{} arrived twice", what())))
                }
                _ => Err(Wrong::new(Promise::Forgery, format!("{} was never sent", what()))),
            };
        }
        match self.loose.get_mut(&(delivery, lane, body.clone())) {
            None => Err(Wrong::new(Promise::Forgery, format!("{} was never sent", what()))),
            Some(count) if count.heard == count.sent => {
                Err(Wrong::new(Promise::Exact, format!("{} arrived twice", what())))
            }
            Some(count) => {
                count.heard += 1;
                Ok(())
            }
        }
    }

    /// The endpoint took this many bytes for a stream.
    pub(crate) fn handle_written(&mut self, number: u64, len: usize) {
        let len = u64::try_from(len).unwrap_or(0);
        self.said += len;
        self.streams.entry(number).or_default().written += len;
    }

    /// Nothing more is written to a stream.
    pub(crate) fn handle_finish(&mut self, number: u64) {
        self.streams.entry(number).or_default().finished = true;
    }

    /// One of the two ends gave a stream up.
    pub(crate) fn handle_drop(&mut self, number: u64) {
        self.streams.entry(number).or_default().dropped = true;
    }

    /// Whether one of the two ends gave a stream up, or its reader knows that it has ended.
    pub(crate) fn is_over(&self, number: u64) -> bool {
        self.streams.get(&number).is_some_and(|stream| stream.dropped || stream.ended)
    }

    /// The other end read these bytes of a stream.
    pub(crate) fn read(&mut self, number: u64, bytes: &[u8]) -> Result<(), Wrong> {
        let Some(stream) = self.streams.get_mut(&number) else {
            return Err(Wrong::new(Promise::Forgery, format!("stream {number} was never opened")));
        };
        let from = stream.read;
        stream.read += u64::try_from(bytes.len()).unwrap_or(0);
        let range = format!("stream {number}, bytes {from}..{}", stream.read);
        if stream.ended {
            return Err(Wrong::new(Promise::Exact, format!("{range} after its end")));
        }
        if stream.read > stream.written {
            let what = format!("{range}, of {} written", stream.written);
            return Err(Wrong::new(Promise::Forgery, what));
        }
        if content::stream(self.of, number, from, bytes.len()) != bytes {
            return Err(Wrong::new(Promise::Exact, format!("{range} are not what was written")));
        }
        Ok(())
    }

    /// The other end was told that a stream has ended.
    pub(crate) fn ended(&mut self, number: u64) -> Result<(), Wrong> {
        let Some(stream) = self.streams.get_mut(&number) else {
            return Err(Wrong::new(Promise::Forgery, format!("stream {number} was never opened")));
        };
        stream.ended = true;
        if stream.dropped || (stream.finished && stream.read == stream.written) {
            return Ok(());
        }
        let Stream { written, read, finished, .. } = *stream;
        let what = format!(
            "stream {number} ended after {read} of {written} bytes, finished by its writer: \
             {finished}"
        );
        Err(Wrong::new(Promise::Exact, what))
    }

    /// Reliable messages that were not handed over.
    pub(crate) fn owed_messages(&self) -> Vec<String> {
        let ordered = self.ordered.iter().flat_map(|(lane, waiting)| {
            waiting.front().map(|next| {
                let count = waiting.len();
                format!("{count} in order in lane {lane}, first {}", content::describe(next))
            })
        });
        let loose = self
            .loose
            .iter()
            .filter(|((delivery, ..), count)| {
                *delivery == Delivery::Unordered && count.heard < count.sent
            })
            .map(|((_, lane, body), _)| format!("lane {lane}, {}", content::describe(body)));
        ordered.chain(loose).collect()
    }

    /// Streams that were not read to the last byte written, or to their end.
    pub(crate) fn owed_streams(&self) -> Vec<String> {
        let waits = |s: &Stream| !s.dropped && (s.read < s.written || (s.finished && !s.ended));
        let streams = self.streams.iter().filter(|(_, stream)| waits(stream));
        streams.map(|(number, stream)| format!("stream {number}: {stream:?}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::datagram::contract::ConnectionId;

    use super::*;

    const ME: Talker = Talker { end: 0, life: 1, connection: ConnectionId(1) };

    fn flow(delivery: Delivery, messages: u64) -> Flow {
        let mut flow = Flow::new(ME);
        for index in 0..messages {
            flow.handle_sent(2, delivery, content::message(ME, index, 40));
        }
        flow
    }

    fn hear(flow: &mut Flow, delivery: Delivery, index: u64) -> Option<Promise> {
        flow.received(2, delivery, &content::message(ME, index, 40)).err().map(|w| w.promise)
    }

    #[test]
    fn ordered_messages_are_heard_once_and_in_order() {
        let mut flow = flow(Delivery::Ordered, 3);
        assert_eq!(hear(&mut flow, Delivery::Ordered, 0), None);
        assert_eq!(hear(&mut flow, Delivery::Ordered, 2), Some(Promise::Exact));
        assert_eq!(hear(&mut flow, Delivery::Ordered, 0), Some(Promise::Exact));
        assert_eq!(flow.owed_messages().len(), 1);
        assert_eq!(hear(&mut flow, Delivery::Ordered, 1), None);
        assert_eq!(hear(&mut flow, Delivery::Ordered, 2), None);
        assert_eq!(flow.owed_messages(), Vec::<String>::new());
    }

    #[test]
    fn unordered_messages_are_heard_once_and_unreliable_ones_at_most_once() {
        for (delivery, owed) in [(Delivery::Unordered, 1), (Delivery::Unreliable, 0)] {
            let mut flow = flow(delivery, 2);
            assert_eq!(hear(&mut flow, delivery, 1), None);
            assert_eq!(hear(&mut flow, delivery, 1), Some(Promise::Exact));
            assert_eq!(flow.owed_messages().len(), owed);
        }
    }

    #[test]
    fn what_was_never_sent_is_a_forgery() {
        for delivery in [Delivery::Ordered, Delivery::Unordered, Delivery::Unreliable] {
            let mut flow = flow(delivery, 1);
            let forged = Bytes::from_static(b"some bytes of somebody else");
            let wrong = flow.received(2, delivery, &forged).unwrap_err();
            assert_eq!(wrong.promise, Promise::Forgery, "{}", wrong.what);
            let other_lane = flow.received(3, delivery, &content::message(ME, 0, 40));
            assert!(other_lane.is_err());
        }
    }

    #[test]
    fn equal_messages_are_counted() {
        let mut flow = Flow::new(ME);
        for _ in 0..2 {
            flow.handle_sent(0, Delivery::Unordered, Bytes::new());
        }
        let mut hear = || flow.received(0, Delivery::Unordered, &Bytes::new());
        assert!(hear().is_ok() && hear().is_ok() && hear().is_err());
    }

    #[test]
    fn a_stream_is_read_as_it_was_written_until_its_end() {
        let mut flow = Flow::new(ME);
        flow.handle_written(1, 100);
        assert!(flow.read(1, &content::stream(ME, 1, 0, 60)).is_ok());
        assert_eq!(flow.ended(1).unwrap_err().promise, Promise::Exact);
        let mut flow = Flow::new(ME);
        flow.handle_written(1, 100);
        flow.handle_finish(1);
        assert!(flow.read(1, &content::stream(ME, 1, 0, 60)).is_ok());
        assert_eq!(flow.owed_streams().len(), 1);
        assert!(flow.read(1, &content::stream(ME, 1, 60, 40)).is_ok());
        assert_eq!(flow.owed_streams().len(), 1, "its end was not told");
        assert!(flow.ended(1).is_ok());
        assert!(flow.owed_streams().is_empty());
        assert_eq!(flow.read(1, &[]).unwrap_err().promise, Promise::Exact);
    }

    #[test]
    fn wrong_too_many_or_unknown_bytes_of_a_stream_are_found() {
        let mut flow = Flow::new(ME);
        flow.handle_written(1, 100);
        let shifted = flow.read(1, &content::stream(ME, 1, 1, 10)).unwrap_err();
        assert_eq!(shifted.promise, Promise::Exact);
        let more = flow.read(1, &content::stream(ME, 1, 10, 91)).unwrap_err();
        assert_eq!(more.promise, Promise::Forgery);
        assert_eq!(flow.read(2, &[1]).unwrap_err().promise, Promise::Forgery);
        assert_eq!(flow.ended(2).unwrap_err().promise, Promise::Forgery);
    }
}
