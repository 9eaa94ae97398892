//! Streams over a path with weather.

use super::*;
use crate::limits::{LANES, MAX_STREAMS, STREAM_WINDOW_FIRST};

const MINUTE: Duration = Duration::from_secs(60);

/// Bytes for a stream, which ends after them.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) written: usize,
}

/// What was read of a stream.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) bytes: Vec<u8>,
    pub(super) ended: bool,
    pub(super) failed: bool,
}

impl Pair {
    /// Opens a stream and writes these bytes to it, as there is room, and then its end.
    pub(super) fn stream(&mut self, n: usize, lane: LaneNumber, bytes: Vec<u8>) -> StreamId {
        let stream = self.ends[n].open_stream(lane).unwrap();
        self.writers[n].insert(stream, Writer { bytes, written: 0 });
        self.write(n, stream);
        stream
    }

    pub(super) fn write(&mut self, n: usize, stream: StreamId) {
        let Some(writer) = self.writers[n].get_mut(&stream) else { return };
        let rest = &writer.bytes[writer.written..];
        match self.ends[n].write_stream(stream, rest) {
            Ok(taken) => {
                writer.written += taken;
                if taken == rest.len() {
                    self.ends[n].finish_stream(stream).unwrap();
                    self.writers[n].remove(&stream);
                }
            }
            Err(_) => _ = self.writers[n].remove(&stream),
        }
    }

    pub(super) fn read(&mut self, n: usize, stream: StreamId) {
        let reader = self.readers[n].entry(stream).or_default();
        loop {
            let budget = &mut self.budgets[n];
            match self.ends[n].read_stream(self.now, stream, 20_000, budget) {
                Ok(Some(bytes)) if bytes.is_empty() => return,
                Ok(Some(bytes)) => reader.bytes.extend_from_slice(&bytes),
                Ok(None) => {
                    reader.ended = true;
                    return;
                }
                Err(_) => {
                    reader.failed = true;
                    return;
                }
            }
        }
    }

    pub(super) fn read_everything(&mut self, n: usize) {
        for stream in self.readers[n].keys().copied().collect::<Vec<_>>() {
            self.read(n, stream);
        }
    }

    /// What the other end read of a stream that `n` opened.
    pub(super) fn reader(&self, n: usize, stream: StreamId) -> &Reader {
        let stream = StreamId { opened_by: Direction::Inbound, ..stream };
        self.readers[1 - n].get(&stream).expect("the other end heard of the stream")
    }

    #[track_caller]
    pub(super) fn expect_stream(&self, n: usize, stream: StreamId, bytes: &[u8]) {
        let reader = self.reader(n, stream);
        let views = [0, 1].map(|n| self.ends[n].view(ConnectionId(0)));
        let found = reader.bytes.len();
        assert!(reader.ended, "{found} of {} bytes and no end\n{views:#?}", bytes.len());
        assert!(reader.bytes == bytes, "{found} of {} bytes, or others", bytes.len());
    }
}

/// Bytes that differ from stream to stream and from place to place.
pub(super) fn long(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Seed::from_number(seed).stream("bytes").fill(&mut bytes);
    bytes
}

#[test]
fn three_megabytes_arrive_exactly_whatever_the_weather() {
    for (seed, loss) in [(1, 0.0), (2, 0.05), (3, 0.2)] {
        let jitter = Duration::from_millis(3);
        let mut pair = Pair::new(seed, PathLaws { loss, duplicates: 0.02, ..jittery(jitter) });
        let bytes = long(seed, 3_000_000);
        let stream = pair.stream(0, 2, bytes.clone());
        pair.run(MINUTE * 2);
        pair.expect_stream(0, stream, &bytes);
        assert!(pair.heard[0].contains(&ConnectionEvent::Drained), "loss {loss}");
        assert_eq!(pair.ends[1].view(ConnectionId(0)).unreleased_bytes, 0, "loss {loss}");
    }
}

#[test]
fn ten_streams_in_different_lanes_with_messages_between() {
    let jitter = Duration::from_millis(3);
    let mut pair = Pair::new(4, PathLaws { loss: 0.05, ..jittery(jitter) });
    let all: Vec<Vec<u8>> = (0..10_usize).map(|n| long(7, 20_000 * n)).collect();
    let mut opened = Vec::new();
    let bodies = numbered(200, 3_000);
    for (n, bytes) in all.iter().enumerate() {
        opened.push(pair.stream(n % 2, LANES - 1 - u8::try_from(n).unwrap(), bytes.clone()));
        for body in &bodies[n * 20..][..20] {
            pair.ends[0].send(3, Delivery::Ordered, body.clone()).unwrap();
        }
        pair.run(Duration::from_millis(20));
    }
    pair.run(MINUTE);
    for (n, bytes) in all.iter().enumerate() {
        pair.expect_stream(n % 2, opened[n], bytes);
    }
    pair.expect(1, &bodies);
}

#[test]
fn a_reader_that_stops_stops_its_writer_and_goes_on_later() {
    let mut pair = Pair::new(5, CALM);
    pair.reads = false;
    let bytes = long(5, 1_000_000);
    let stream = pair.stream(0, 0, bytes.clone());
    pair.run(Duration::from_secs(20));
    let held = pair.ends[1].view(ConnectionId(0)).unreleased_bytes;
    assert!((STREAM_WINDOW_FIRST..2 * STREAM_WINDOW_FIRST).contains(&held), "{held}");
    // Nothing but the credit of this stream is used up.
    pair.ends[0].send(9, Delivery::Ordered, Bytes::from_static(b"and now?")).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(1).len(), 1);
    pair.reads = true;
    pair.read_everything(1);
    pair.run(Duration::from_secs(5));
    pair.expect_stream(0, stream, &bytes);
}

#[test]
fn a_window_that_opens_is_heard_of_although_the_packet_that_says_so_is_lost() {
    let mut pair = Pair::new(6, CALM);
    (pair.reads, pair.releases) = (false, false);
    let all: Vec<Vec<u8>> = (0..4).map(|n| long(n, 120_000)).collect();
    let opened: Vec<StreamId> = all.iter().map(|bytes| pair.stream(0, 0, bytes.clone())).collect();
    pair.run(Duration::from_secs(3));
    assert!(pair.ends[0].view(ConnectionId(0)).send_window < 2_000, "the window is closed");
    pair.reads = true;
    pair.read_everything(1);
    pair.weather().loss = 1.0;
    let sent = pair.counters[1].datagrams_sent;
    pair.settle();
    assert!(pair.counters[1].datagrams_sent > sent, "the window was told, in vain");
    pair.weather().loss = 0.0;
    pair.run(Duration::from_secs(3));
    for (stream, bytes) in opened.into_iter().zip(&all) {
        pair.expect_stream(0, stream, bytes);
    }
}

#[test]
fn a_credit_that_is_lost_is_said_again() {
    let mut pair = Pair::new(7, CALM);
    pair.reads = false;
    let bytes = long(7, 2 * STREAM_WINDOW_FIRST);
    let stream = pair.stream(0, 0, bytes.clone());
    pair.run(Duration::from_secs(3));
    pair.reads = true;
    pair.read_everything(1);
    pair.weather().loss = 1.0;
    pair.settle();
    pair.weather().loss = 0.0;
    pair.run(Duration::from_secs(3));
    pair.expect_stream(0, stream, &bytes);
}

#[test]
fn closing_says_what_was_written_to_streams_first() {
    for loss in [0.0, 0.2] {
        let mut pair = Pair::new(8, PathLaws { loss, ..CALM });
        let all: Vec<Vec<u8>> = (0..3).map(|n| long(n, 90_000)).collect();
        let opened: Vec<StreamId> =
            all.iter().map(|bytes| pair.stream(0, 1, bytes.clone())).collect();
        pair.ends[0].close(pair.now, CloseReason::ShuttingDown);
        pair.run(MINUTE);
        for (stream, bytes) in opened.into_iter().zip(&all) {
            pair.expect_stream(0, stream, bytes);
        }
        assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::ShuttingDown)], "loss {loss}");
        assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::ShuttingDown)], "loss {loss}");
    }
}

#[test]
fn what_came_before_the_end_of_a_connection_can_be_read_after_it() {
    let mut pair = Pair::new(9, CALM);
    pair.reads = false;
    let bytes = long(9, 100_000);
    let stream = pair.stream(0, 1, bytes.clone());
    pair.ends[0].close(pair.now, CloseReason::ShuttingDown);
    pair.run(Duration::from_secs(15));
    assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::ShuttingDown)], "it does not wait");
    assert_eq!(pair.closed(1), []);
    pair.read_everything(1);
    pair.expect_stream(0, stream, &bytes);
    pair.run(Duration::from_secs(15));
    assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::ShuttingDown)]);
}

#[test]
fn streams_that_are_dropped_in_the_middle_let_the_others_go_on() {
    let jitter = Duration::from_millis(3);
    let mut pair = Pair::new(10, PathLaws { loss: 0.05, ..jittery(jitter) });
    let all: Vec<Vec<u8>> = (0..4).map(|n| long(n, 400_000)).collect();
    let opened: Vec<StreamId> = all.iter().map(|bytes| pair.stream(0, 1, bytes.clone())).collect();
    pair.run(Duration::from_millis(100));
    pair.writers[0].remove(&opened[0]);
    pair.ends[0].drop_stream(pair.now, (opened[0], 0), &mut pair.budgets[0]);
    let refused = StreamId { opened_by: Direction::Inbound, ..opened[1] };
    pair.ends[1].drop_stream(pair.now, (refused, 0), &mut pair.budgets[1]);
    pair.run(MINUTE);
    assert!(pair.reader(0, opened[0]).failed);
    assert!(!pair.writers[0].contains_key(&opened[1]), "its writer heard of it");
    for n in [2, 3] {
        pair.expect_stream(0, opened[n], &all[n]);
    }
    assert_eq!(pair.ends[0].queued_bytes(), 0);
    assert_eq!(pair.ends[1].view(ConnectionId(0)).unreleased_bytes, 0);
}

#[test]
fn streams_beyond_the_limit_wait_and_go_on() {
    let mut pair = Pair::new(11, PathLaws { loss: 0.1, ..CALM });
    let mut opened = 0;
    let bytes = long(11, 2_000);
    for _ in 0..2_000 {
        while opened < 3 * MAX_STREAMS && pair.ends[0].carried.streams.may_open() {
            pair.stream(0, 1, bytes.clone());
            opened += 1;
        }
        if opened == 3 * MAX_STREAMS {
            break;
        }
        assert_eq!(pair.ends[0].open_stream(1), Err(NotQueued::TooManyStreams));
        pair.heard[0].clear();
        while !pair.heard[0].contains(&ConnectionEvent::StreamsAvailable) {
            pair.run(Duration::from_millis(10));
        }
    }
    pair.run(MINUTE);
    assert_eq!(u64::try_from(pair.readers[1].len()), Ok(opened));
    assert!(pair.readers[1].values().all(|reader| reader.ended && reader.bytes == bytes));
}
