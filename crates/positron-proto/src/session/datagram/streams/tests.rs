use super::*;
use crate::limits::STREAM_WINDOW_FIRST;

const NOW: Instant = Instant::ORIGIN;

/// One stream of the other end, of which `len` bytes arrived and nothing was read.
fn unread(len: usize) -> Streams {
    let mut streams = Streams::new(1 << 20);
    streams.handle_stream(1, 0, &vec![7; len], false).unwrap();
    streams
}

#[test]
fn a_stream_that_is_reset_gives_back_all_that_it_took_of_the_window() {
    let mut streams = unread(1_000);
    streams.handle_end(1, StreamSide::Sending, 5_000).unwrap();
    let read = streams.read(NOW, theirs(1), 100, Duration::ZERO);
    assert_eq!(read, Err(NotQueued::StreamClosed));
    assert_eq!(streams.take_released(), streams.take_arrived());
}

#[test]
fn a_stream_that_is_refused_gives_back_what_waits_and_what_still_comes() {
    let mut streams = unread(1_000);
    streams.drop_stream(theirs(1));
    streams.handle_stream(1, 1_000, &[7; 500], true).unwrap();
    assert_eq!(streams.take_released(), streams.take_arrived());
    assert_eq!(streams.poll_event(STREAM_WINDOW_FIRST), None);
}

#[test]
fn a_stream_is_readable_until_its_end_was_told() {
    let mut streams = unread(0);
    streams.handle_stream(1, 0, b"all", true).unwrap();
    assert!(streams.is_readable(theirs(1)));
    let read = |streams: &mut Streams| streams.read(NOW, theirs(1), 100, Duration::ZERO);
    assert_eq!(read(&mut streams), Ok(Some("all".into())));
    assert!(streams.is_readable(theirs(1)), "its end is yet to be told");
    assert_eq!(read(&mut streams), Ok(None));
    assert!(!streams.is_readable(theirs(1)));
}
