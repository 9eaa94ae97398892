use super::{ReceivedPart, RecvChannels};
use crate::{
    limits::{FRAGMENT_AGE, MAX_FRAGMENTS_PER_PEER, MAX_MESSAGE_SPAN, MAX_UNFINISHED_PER_PEER},
    time::{Duration, Instant},
    wire::packet_frame::{Channel, Delivery},
};

fn channel(delivery: Delivery) -> Channel {
    Channel { delivery, lane: 0 }
}

#[test]
fn a_million_lone_first_fragments_take_bounded_memory_and_are_gone_after_their_age() {
    let mut incoming = RecvChannels::default();
    let now = Instant::from_micros(5);
    for number in 0..1_000_000 {
        let total = 1500 + u32::try_from(number % 5000).unwrap();
        incoming.part(now, channel(Delivery::Unreliable), number, (0, total), &[1; 100]).unwrap();
    }
    let unfinished = incoming.unfinished().unwrap();
    assert!(unfinished.bytes <= MAX_FRAGMENTS_PER_PEER);
    assert_eq!(incoming.poll_timeout(), Some(now + FRAGMENT_AGE));
    incoming.handle_timeout(now + FRAGMENT_AGE - Duration::from_micros(1));
    assert!(incoming.unfinished().is_some());
    incoming.handle_timeout(now + FRAGMENT_AGE);
    assert_eq!((incoming.unfinished(), incoming.poll_timeout()), (None, None));
}

#[test]
fn reliable_messages_beyond_the_bound_of_unfinished_ones_are_a_violation() {
    let mut incoming = RecvChannels::default();
    let mut part = |number| {
        let channel = channel(Delivery::Ordered);
        incoming.part(Instant::ORIGIN, channel, number, (0, 2000), &[1; 100])
    };
    let limit = u64::try_from(MAX_UNFINISHED_PER_PEER).unwrap();
    assert!((0..limit).all(|number| part(number) == Ok(ReceivedPart::New)));
    assert!(part(limit).is_err());
}

#[test]
fn a_number_is_taken_below_the_span_and_refused_from_it_on() {
    for delivery in [Delivery::Ordered, Delivery::Unordered] {
        let mut incoming = RecvChannels::default();
        let mut take = |number| incoming.message(channel(delivery), number, &[]);
        assert_eq!(take(MAX_MESSAGE_SPAN - 1), Ok(ReceivedPart::New));
        assert!(take(MAX_MESSAGE_SPAN).is_err() && take(u64::MAX).is_err());
        assert_eq!(take(0), Ok(ReceivedPart::New));
        assert_eq!(take(MAX_MESSAGE_SPAN), Ok(ReceivedPart::New));
    }
}

#[test]
fn parts_that_contradict_one_another_are_a_violation() {
    let mut incoming = RecvChannels::default();
    let mut part = |at: (u32, u32), body: &[u8]| {
        incoming.part(Instant::ORIGIN, channel(Delivery::Unordered), 0, at, body)
    };
    assert_eq!(part((2, 9), b"cde"), Ok(ReceivedPart::New));
    assert_eq!(part((2, 9), b"cde"), Ok(ReceivedPart::Duplicate));
    assert!(part((2, 10), b"cde").is_err());
    assert!(part((1, 9), b"bX").is_err());
    assert!(part((8, 9), b"xy").is_err());
    assert_eq!(part((1, 9), b"bcdefghi"), Ok(ReceivedPart::New));
    assert_eq!(part((0, 9), b"a"), Ok(ReceivedPart::New));
    assert_eq!(incoming.poll().unwrap().body, "abcdefghi");
}
