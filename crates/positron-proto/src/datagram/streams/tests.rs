mod model;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::*;
use crate::{
    datagram::sent_frames::SentFrames,
    limits::{MESSAGE_COST, STREAM_UNSENT, STREAM_WINDOW_FIRST},
    wire::codec::Reader,
};

const PLENTY: u64 = 1 << 40;
const MOST: usize = 1 << 20;
const RTT: Duration = Duration::from_millis(10);

/// What a packet carried, and its frames.
struct Packet {
    contents: SentFrames,
    frames: Vec<PacketFrame>,
    charged: u64,
}

fn packet(streams: &mut Streams, full: usize, budget: u64) -> Option<Packet> {
    let mut out = Vec::new();
    let mut filling = PacketBuilder::new(&mut out, full, full, budget);
    streams.fill_control(&mut filling);
    (0..LANES).for_each(|lane| streams.fill(lane, &mut filling));
    let PacketBuilder { kind, contents, charged, .. } = filling;
    assert!(out.len() <= full);
    let mut reader = Reader::new(Bytes::from(out));
    let mut frames = Vec::new();
    while !reader.is_empty() {
        frames.push(PacketFrame::decode(&mut reader).unwrap());
    }
    (kind != PacketKind::Empty).then_some(Packet { contents, frames, charged })
}

fn arrive(streams: &mut Streams, packet: &Packet) -> Result<(), Violation> {
    packet.frames.iter().try_for_each(|frame| match frame {
        PacketFrame::Stream { id, fin, offset, body, .. } => {
            streams.handle_stream(*id, *offset, body, *fin)
        }
        PacketFrame::MaxData { stream, limit } => streams.handle_credit(*stream, *limit),
        PacketFrame::StreamEnd { id, side, offset, code } => {
            streams.handle_end(*id, *side, (*offset, *code))
        }
        other => unreachable!("{other:?}"),
    })
}

fn settle(streams: &mut Streams, packet: &Packet) {
    packet.contents.iter().for_each(|chunk| streams.handle_ack(chunk));
}

/// Everything that either end has to say arrives at the other one.
fn exchange(ends: &mut [Streams; 2]) {
    for n in [0, 1, 0, 1, 0, 1] {
        while let Some(packet) = packet(&mut ends[n], 1200, PLENTY) {
            arrive(&mut ends[1 - n], &packet).unwrap();
            settle(&mut ends[n], &packet);
        }
    }
}

fn pair() -> [Streams; 2] {
    [Streams::new(MOST), Streams::new(MOST)]
}

fn read(streams: &mut Streams, number: u64, limit: usize) -> Result<Option<Bytes>, NotQueued> {
    streams.read(Instant::ORIGIN, theirs(number), limit, RTT)
}

fn events(streams: &mut Streams) -> Vec<StreamEvent> {
    core::iter::from_fn(|| streams.poll_event(MOST)).collect()
}

fn held(streams: &mut Streams) -> u64 {
    streams.take_arrived() - streams.take_released()
}

fn first_window() -> u64 {
    as_u64(STREAM_WINDOW_FIRST)
}

#[test]
fn the_size_of_a_stream_never_changes() {
    let ended = || {
        let mut streams = Streams::new(MOST);
        streams.handle_stream(1, 5, b"world", true).unwrap();
        streams
    };
    ended().handle_stream(1, 5, b"world", true).unwrap();
    ended().handle_stream(1, 0, b"hello", false).unwrap();
    ended().handle_end(1, StreamSide::Sending, (10, 0)).unwrap();
    assert!(ended().handle_stream(1, 9, b"d!", false).is_err());
    assert!(ended().handle_stream(1, 0, b"hello", true).is_err());
    assert!(ended().handle_end(1, StreamSide::Sending, (9, 0)).is_err());
    assert!(ended().handle_end(1, StreamSide::Sending, (11, 0)).is_err());
    let mut longer = Streams::new(MOST);
    longer.handle_stream(1, 0, b"hello world", false).unwrap();
    assert!(longer.handle_stream(1, 0, b"hello", true).is_err());
    assert!(longer.handle_end(1, StreamSide::Sending, (5, 0)).is_err());
}

#[test]
fn a_writer_stops_at_its_credit_and_more_than_that_is_a_violation() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    let long = vec![7; 2 * STREAM_WINDOW_FIRST];
    assert_eq!(ends[0].write(stream, &long, MOST), Ok(long.len()));
    exchange(&mut ends);
    assert_eq!(held(&mut ends[1]), first_window() + as_u64(MESSAGE_COST));
    assert_eq!(ends[0].queued_bytes(), STREAM_WINDOW_FIRST);
    assert_eq!(ends[0].most_urgent(PLENTY), None);
    let beyond = first_window();
    assert!(ends[1].handle_stream(1, beyond, b"x", false).is_err());
    assert!(ends[1].handle_stream(1, u64::MAX, b"x", false).is_err());
    assert!(ends[1].handle_end(1, StreamSide::Sending, (beyond + 1, 0)).is_err());
    // Half of it read: as much more may be sent.
    let half = STREAM_WINDOW_FIRST / 2;
    assert_eq!(read(&mut ends[1], 1, half).unwrap().unwrap().len(), half);
    exchange(&mut ends);
    assert_eq!(ends[0].queued_bytes(), half);
    assert_eq!(held(&mut ends[1]), 0, "as much came as was read");
}

#[test]
fn a_writer_waits_while_much_of_its_stream_was_never_sent() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    let long = vec![7; STREAM_UNSENT + 1];
    assert_eq!(ends[0].write(stream, &long, MOST), Ok(STREAM_UNSENT));
    assert_eq!(ends[0].write(stream, b"x", MOST), Ok(0));
    assert_eq!(ends[0].poll_event(MOST), None);
    exchange(&mut ends);
    assert_eq!(ends[0].poll_event(MOST), Some(StreamEvent::Writable(stream)));
    assert_eq!(ends[0].write(stream, &long, MOST), Ok(STREAM_WINDOW_FIRST));
}

#[test]
fn a_reader_that_keeps_up_is_given_a_longer_window() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    let mut most = 0;
    for _ in 0..20 {
        ends[0].write(stream, &vec![7; MOST], MOST).unwrap();
        exchange(&mut ends);
        most = most.max(read(&mut ends[1], 1, MOST).unwrap().unwrap().len());
    }
    assert!(most > 2 * STREAM_WINDOW_FIRST, "{most}");
}

#[test]
fn a_stream_in_crumbs_is_a_violation_before_it_costs_much() {
    let mut streams = Streams::new(MOST);
    let crumbs = (0..).map(|n| 2 * n).take_while(|n| *n < first_window());
    let taken = crumbs.take_while(|n| streams.handle_stream(1, *n, b"x", false).is_ok()).count();
    assert_eq!(taken, 1024 + STREAM_WINDOW_FIRST / 2048);
}

#[test]
fn no_more_streams_than_allowed_and_the_writer_hears_when_it_may_open_more() {
    let mut ends = pair();
    let opened: Vec<StreamId> = (0..MAX_STREAMS).map(|_| ends[0].open(0).unwrap()).collect();
    assert_eq!(ends[0].open(0), Err(NotQueued::TooManyStreams));
    assert_eq!(ends[0].open(LANES), Err(NotQueued::NoSuchLane(LANES)));
    for stream in &opened {
        ends[0].finish(*stream).unwrap();
    }
    exchange(&mut ends);
    assert!(ends[0].is_drained());
    assert_eq!(events(&mut ends[0]), []);
    assert_eq!(ends[0].open(0), Err(NotQueued::TooManyStreams), "nobody read them");
    assert_eq!(read(&mut ends[1], 3, 1), Ok(None));
    assert_eq!(read(&mut ends[1], 9, 1), Ok(None));
    exchange(&mut ends);
    assert_eq!(events(&mut ends[0]), [StreamEvent::Available]);
    assert!(ends[0].open(0).is_ok() && ends[0].open(0).is_ok() && ends[0].open(0).is_err());
    assert!(ends[1].handle_stream(MAX_STREAMS + 2, 0, b"x", false).is_ok());
    assert!(ends[1].handle_stream(MAX_STREAMS + 3, 0, b"x", false).is_err());
    assert!(ends[1].handle_end(MAX_STREAMS + 3, StreamSide::Sending, (0, 0)).is_err());
}

#[test]
fn an_empty_stream_is_opened_and_ends() {
    let mut ends = pair();
    let stream = ends[0].open(4).unwrap();
    assert!(ends[0].is_drained(), "nothing was said of it yet");
    ends[0].finish(stream).unwrap();
    assert!(!ends[0].is_drained());
    assert_eq!(ends[0].write(stream, b"late", MOST), Err(NotQueued::StreamClosed));
    exchange(&mut ends);
    assert!(ends[0].is_drained());
    assert_eq!(events(&mut ends[1]), [StreamEvent::Readable(theirs(1))]);
    assert_eq!(read(&mut ends[1], 1, 10), Ok(None));
    assert_eq!(read(&mut ends[1], 1, 10), Err(NotQueued::StreamClosed));
    assert_eq!(held(&mut ends[1]), 0);
}

#[test]
fn a_stream_of_which_nothing_was_sent_costs_its_reader_nothing() {
    let mut ends = pair();
    let [silent, given_up, said] = [0, 0, 0].map(|lane| ends[0].open(lane).unwrap());
    ends[0].drop_stream(given_up, 7);
    // Without any room an end is told all the same.
    let end = packet(&mut ends[0], 1200, 0).unwrap();
    arrive(&mut ends[1], &end).unwrap();
    assert_eq!((end.charged, held(&mut ends[1])), (0, 0));
    ends[0].write(said, b"x", MOST).unwrap();
    let first = packet(&mut ends[0], 1200, PLENTY).unwrap();
    arrive(&mut ends[1], &first).unwrap();
    assert_eq!((first.charged, held(&mut ends[1])), (as_u64(1 + MESSAGE_COST), first.charged));
    // It still costs, once, when something is said of it.
    ends[0].finish(silent).unwrap();
    let last = packet(&mut ends[0], 1200, PLENTY).unwrap();
    (0..2).for_each(|_| arrive(&mut ends[1], &last).unwrap());
    assert_eq!((last.charged, held(&mut ends[1])), (as_u64(MESSAGE_COST), last.charged));
    // What nothing was said of gives nothing back.
    assert_eq!(read(&mut ends[1], given_up.number, 10), Err(NotQueued::StreamReset { code: 7 }));
    assert_eq!(ends[1].take_released(), 0);
    assert_eq!(ends[1].may_see, MAX_STREAMS + 1);
}

#[test]
fn what_comes_after_the_end_was_told_costs_nothing() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    ends[0].write(stream, b"late", MOST).unwrap();
    let late = packet(&mut ends[0], 1200, PLENTY).unwrap();
    ends[0].drop_stream(stream, 7);
    exchange(&mut ends);
    arrive(&mut ends[1], &late).unwrap();
    assert_eq!(held(&mut ends[1]), 0);
    assert_eq!(read(&mut ends[1], 1, 10), Err(NotQueued::StreamReset { code: 7 }));
    assert_eq!((held(&mut ends[1]), ends[1].theirs.len()), (0, 0));
}

#[test]
fn a_stream_that_its_writer_drops_is_an_error_for_its_reader_and_holds_nothing() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    ends[0].write(stream, &[1; 3000], MOST).unwrap();
    let first = packet(&mut ends[0], 1200, PLENTY).unwrap();
    arrive(&mut ends[1], &first).unwrap();
    ends[0].drop_stream(stream, 7);
    assert_eq!(ends[0].queued_bytes(), 0);
    assert!(!ends[0].is_drained(), "the reader is to hear of it");
    exchange(&mut ends);
    assert!(ends[0].is_drained());
    // The acknowledgment of what was sent before comes late.
    settle(&mut ends[0], &first);
    assert_eq!(events(&mut ends[1]), [StreamEvent::Readable(theirs(1))]);
    assert_eq!(read(&mut ends[1], 1, 10), Err(NotQueued::StreamReset { code: 7 }));
    assert_eq!(held(&mut ends[1]), 0);
    // It came again.
    arrive(&mut ends[1], &first).unwrap();
    assert_eq!((held(&mut ends[1]), events(&mut ends[1])), (0, vec![]));
}

#[test]
fn a_stream_that_its_reader_drops_is_given_up_by_its_writer() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    ends[0].write(stream, &[1; 3000], MOST).unwrap();
    let under_way = [packet(&mut ends[0], 1200, PLENTY), packet(&mut ends[0], 1200, PLENTY)];
    let [first, second] = under_way.map(Option::unwrap);
    arrive(&mut ends[1], &first).unwrap();
    ends[1].drop_stream(theirs(1), 7);
    assert_eq!(read(&mut ends[1], 1, 10), Err(NotQueued::StreamClosed));
    arrive(&mut ends[1], &second).unwrap();
    assert_eq!(held(&mut ends[1]), as_u64(MESSAGE_COST), "what still comes is let go at once");
    exchange(&mut ends);
    assert_eq!(events(&mut ends[0]), [StreamEvent::Stopped(stream, 7)]);
    assert_eq!(ends[0].write(stream, b"x", MOST), Err(NotQueued::StreamClosed));
    assert!(ends[0].is_drained() && ends[0].queued_bytes() == 0);
    assert!(ends[1].theirs.is_empty() && ends[0].ours.is_empty());
    assert_eq!(ends[1].may_see, MAX_STREAMS + 1);
}

#[test]
fn a_reader_that_drops_what_has_arrived_whole_asks_for_nothing() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    ends[0].write(stream, b"whole", MOST).unwrap();
    ends[0].finish(stream).unwrap();
    exchange(&mut ends);
    ends[1].drop_stream(theirs(1), 7);
    let packet = packet(&mut ends[1], 1200, PLENTY).unwrap();
    let credit = PacketFrame::MaxData { stream: 0, limit: MAX_STREAMS + 1 };
    assert_eq!(packet.frames, [credit]);
    assert_eq!(held(&mut ends[1]), 0);
}

#[test]
fn a_writer_is_refused_beyond_its_room_and_hears_when_there_is_some() {
    let mut ends = pair();
    let stream = ends[0].open(0).unwrap();
    assert_eq!(ends[0].write(stream, &[1; 50_000], 40_000), Ok(40_000));
    assert_eq!(ends[0].write(stream, &[1; 10_000], 0), Ok(0));
    assert_eq!(ends[0].poll_event(0), None);
    assert_eq!(ends[0].poll_event(9_999), None);
    assert_eq!(ends[0].poll_event(10_000), Some(StreamEvent::Writable(stream)));
    assert_eq!(ends[0].poll_event(40_000), None, "told once");
    // A little room is enough when nothing else will make any.
    assert_eq!(ends[0].write(stream, &[1; 50_000], 0), Ok(0));
    assert_eq!(ends[0].poll_event(100), None);
    exchange(&mut ends);
    assert_eq!(ends[0].poll_event(100), Some(StreamEvent::Writable(stream)));
}

#[test]
fn a_stream_is_readable_when_its_next_byte_comes_and_not_for_later_ones() {
    let mut streams = Streams::new(MOST);
    streams.handle_stream(1, 5, b"world", true).unwrap();
    assert_eq!(events(&mut streams), []);
    assert_eq!(read(&mut streams, 1, 10), Ok(Some(Bytes::new())));
    streams.handle_stream(1, 0, b"hello", false).unwrap();
    assert_eq!(events(&mut streams), [StreamEvent::Readable(theirs(1))]);
    streams.handle_stream(1, 0, b"hello", false).unwrap();
    assert_eq!(events(&mut streams), [], "nothing new");
    assert_eq!(read(&mut streams, 1, 7), Ok(Some(Bytes::from_static(b"hellowo"))));
    assert_eq!(events(&mut streams), [StreamEvent::Readable(theirs(1))], "there is more");
    assert_eq!(read(&mut streams, 1, 7), Ok(Some(Bytes::from_static(b"rld"))));
    assert_eq!(events(&mut streams), [StreamEvent::Readable(theirs(1))], "the end");
    assert_eq!(read(&mut streams, 1, 7), Ok(None));
}

#[test]
fn an_urgent_lane_goes_first_and_streams_of_one_lane_take_turns() {
    let mut ends = pair();
    let lanes = [5, 1, 5];
    let opened = lanes.map(|lane| ends[0].open(lane).unwrap());
    for stream in opened {
        ends[0].write(stream, &[1; 2500], MOST).unwrap();
    }
    assert_eq!(ends[0].most_urgent(PLENTY), Some(1));
    let mut order = Vec::new();
    while let Some(packet) = packet(&mut ends[0], 1200, PLENTY) {
        for frame in packet.frames {
            let PacketFrame::Stream { id, lane, .. } = frame else { unreachable!() };
            assert_eq!(lane, lanes[usize::try_from(id).unwrap() - 1]);
            order.push(id);
        }
    }
    let second = order.iter().position(|id| *id != 2).unwrap();
    assert!(order[..second].iter().all(|id| *id == 2) && !order[second..].contains(&2));
    let turns = order[second..].windows(2).filter(|two| two[0] != two[1]).count();
    assert!(turns >= 3, "{order:?}");
}

#[test]
fn what_is_said_to_be_ready_is() {
    for written in [0, 1, 63, 64, 65, 500] {
        for budget in 0..300 {
            for begun in [false, true] {
                let mut streams = Streams::new(MOST);
                let stream = streams.open(0).unwrap();
                if begun {
                    streams.write(stream, &[1; 100], MOST).unwrap();
                    packet(&mut streams, 1200, PLENTY).unwrap();
                }
                streams.write(stream, &vec![1; written], MOST).unwrap();
                let ready = streams.most_urgent(budget).is_some();
                let sent = packet(&mut streams, 1200, budget);
                let case = format!("{written} bytes, {budget} allowed, begun: {begun}");
                assert_eq!(sent.is_some(), ready, "{case}");
                assert!(sent.is_none_or(|packet| packet.charged <= budget), "{case}");
            }
        }
    }
}

#[test]
fn nobody_talks_about_streams_that_were_never_opened() {
    let mut streams = Streams::new(MOST);
    assert!(streams.handle_credit(1, 10).is_err());
    assert!(streams.handle_end(1, StreamSide::Reading, (0, 0)).is_err());
    assert!(streams.handle_credit(0, 1 << 61).is_ok());
    let stream = streams.open(0).unwrap();
    assert!(streams.handle_credit(1, 10).is_ok());
    assert!(streams.handle_end(1, StreamSide::Reading, (0, 0)).is_ok());
    assert_eq!(streams.write(stream, b"x", MOST), Err(NotQueued::StreamClosed));
    assert_eq!(streams.write(theirs(1), b"x", MOST), Err(NotQueued::StreamClosed));
    assert_eq!(streams.read(Instant::ORIGIN, stream, 1, RTT), Err(NotQueued::StreamClosed));
}

#[test]
fn a_stream_is_readable_until_its_end_was_told() {
    let mut streams = Streams::new(MOST);
    streams.handle_stream(1, 0, b"all", true).unwrap();
    assert!(streams.is_readable(theirs(1)));
    assert_eq!(read(&mut streams, 1, 100), Ok(Some("all".into())));
    assert!(streams.is_readable(theirs(1)), "its end is yet to be told");
    assert_eq!(read(&mut streams, 1, 100), Ok(None));
    assert!(!streams.is_readable(theirs(1)));
}
