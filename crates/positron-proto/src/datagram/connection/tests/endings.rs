//! How connections end, whatever the other end does.

use super::{streams::long, *};
use crate::limits::{FLUSH_TIMEOUT, LONGEST_HALF_CLOSE};

#[test]
fn a_close_does_not_wait_for_ever_for_an_end_that_never_says_it_has_a_message_whole() {
    let mut pair = Pair::new(1, CALM);
    pair.run(Duration::from_secs(1));
    pair.eats = Some(PacketType::MessageAck);
    pair.ends[0].send(0, Delivery::Ordered, Bytes::from(long(1, 100_000))).unwrap();
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    pair.run(FLUSH_TIMEOUT);
    assert_eq!(pair.closed(0), [], "its packets were acknowledged since");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.closed(0), [Closed::Silent]);
    assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::Pruned)]);
}

#[test]
fn a_close_does_not_wait_for_ever_for_an_end_that_does_not_read() {
    let mut pair = Pair::new(2, CALM);
    pair.releases = false;
    for body in numbered(1_000, 1_000) {
        pair.ends[0].send(0, Delivery::Ordered, body).unwrap();
    }
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    pair.run(FLUSH_TIMEOUT * 2);
    assert_eq!(pair.closed(0), [Closed::Silent]);
    assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::Pruned)]);
}

#[test]
fn a_close_over_a_slow_path_takes_as_long_as_it_needs() {
    let delay = Duration::from_millis(700);
    let mut pair = Pair::new(3, PathLaws { delay, loss: 0.05, ..CALM });
    let bodies = numbered(300, 3_000);
    for body in &bodies {
        pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    pair.run(FLUSH_TIMEOUT + Duration::from_secs(1));
    assert_eq!(pair.closed(0), []);
    pair.run(Duration::from_secs(60));
    pair.expect(1, &bodies);
    assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)]);
}

#[test]
fn a_close_outlasts_an_outage_of_a_quarter_of_its_patience_but_not_any_outage_within_it() {
    // Retransmissions at about 0.2, 0.6, 1.4, 3 and 6.2 s: the last one comes too late.
    let within = FLUSH_TIMEOUT - Duration::from_millis(1_500);
    for (outage, outlasts) in [(FLUSH_TIMEOUT / 4, true), (within, false)] {
        let mut pair = Pair::new(5, CALM);
        pair.run(Duration::from_secs(1));
        pair.weather().loss = 1.0;
        let bodies = [Bytes::from(long(5, 50_000))];
        pair.ends[0].send(0, Delivery::Ordered, bodies[0].clone()).unwrap();
        pair.ends[0].close(pair.now, CloseReason::Pruned);
        pair.run(outage);
        pair.weather().loss = 0.0;
        pair.run(FLUSH_TIMEOUT * 2);
        if outlasts {
            pair.expect(1, &bodies);
            assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)]);
        } else {
            assert_eq!(pair.closed(0), [Closed::Silent]);
        }
    }
}

#[test]
fn an_end_that_closed_hears_what_the_other_one_had_to_say() {
    for loss in [0.0, 0.2] {
        let mut pair = Pair::new(4, PathLaws { loss, ..CALM });
        let mut bodies = numbered(100, 700);
        bodies.push(Bytes::from(long(4, 50_000)));
        for body in &bodies {
            pair.ends[1].send(0, Delivery::Ordered, body.clone()).unwrap();
        }
        pair.ends[0].close(pair.now, CloseReason::Pruned);
        pair.run(Duration::from_secs(30));
        pair.expect(0, &bodies);
        assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)], "loss {loss}");
        assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::Pruned)], "loss {loss}");
        assert!(matches!(pair.heard[0].last(), Some(ConnectionEvent::Closed(_))));
    }
}

#[test]
fn both_ends_close_at_once() {
    for loss in [0.0, 0.3] {
        let mut pair = Pair::new(5, PathLaws { loss, ..CALM });
        pair.run(Duration::from_secs(1));
        pair.ends[0].close(pair.now, CloseReason::Pruned);
        pair.ends[1].close(pair.now, CloseReason::ShuttingDown);
        pair.run(Duration::from_secs(20));
        assert_eq!(pair.closed(0).len(), 1, "loss {loss}");
        assert_eq!(pair.closed(1).len(), 1, "loss {loss}");
        assert!(pair.ends[0].is_over(pair.now) && pair.ends[1].is_over(pair.now));
    }
}

#[test]
fn both_ends_hear_of_the_end_although_no_answer_to_a_fin_arrives() {
    let mut pair = Pair::new(6, CALM);
    pair.eats = Some(PacketType::FinAck);
    pair.run(Duration::from_secs(1));
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    pair.run(Duration::from_secs(20));
    assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)]);
    assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::Pruned)]);
}

#[test]
fn an_end_whose_peer_vanished_while_it_closed_ends_soon() {
    let mut pair = Pair::new(7, CALM);
    pair.run(Duration::from_secs(1));
    pair.weather().loss = 1.0;
    pair.ends[0].send(0, Delivery::Ordered, Bytes::from_static(b"anybody?")).unwrap();
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    pair.run(FLUSH_TIMEOUT + Duration::from_secs(1));
    assert_eq!(pair.closed(0), [Closed::Silent]);
    assert_eq!(pair.ends[0].poll_timeout(), None);
}

#[test]
fn an_end_that_closed_hears_out_one_that_takes_long() {
    let mut pair = Pair::new(8, PathLaws { delay: Duration::from_millis(700), ..CALM });
    let bodies = numbered(300, 3_000);
    for body in &bodies {
        pair.ends[1].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    pair.run(FLUSH_TIMEOUT + Duration::from_secs(3));
    assert_eq!(pair.closed(0), [], "there is more to hear");
    pair.run(Duration::from_secs(30));
    pair.expect(0, &bodies);
    assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)]);
    assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::Pruned)]);
}

#[test]
fn an_end_that_closed_does_not_listen_for_ever() {
    let mut pair = Pair::new(9, CALM);
    let (bytes, pause) = (long(9, 20_000_000), FLUSH_TIMEOUT / 2);
    let stream = pair.stream(1, 0, bytes.clone());
    pair.reads = false;
    pair.ends[0].close(pair.now, CloseReason::Pruned);
    let closed_at = pair.now;
    while pair.closed(0).is_empty() {
        pair.run(pause);
        pair.read_everything(0);
    }
    let listened = pair.now.since(closed_at);
    assert!((LONGEST_HALF_CLOSE..=LONGEST_HALF_CLOSE + pause).contains(&listened), "{listened:?}");
    assert!(pair.reader(1, stream).bytes.len() < bytes.len(), "there was more to hear");
    assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)]);
}
