//! When the congestion window grows.

use super::*;

/// A round trip with `most` bytes in flight, acknowledged `each` packets at a time.
fn round_trip(sender: &mut Recovery<u64>, round: u64, most: u64, each: u64) {
    let (mut first, mut out) = (sender.next_number(), AckOutcome::new());
    while sender.in_flight() + bytes_of(SIZE) <= most {
        let (now, number) = (at(round * ROUND_TRIP), sender.next_number());
        sender.handle_sent(now, number, SIZE, SentPacketKind::Eliciting, 0);
    }
    while first < sender.next_number() {
        let (now, end) = (at((round + 1) * ROUND_TRIP - 1), sender.next_number().min(first + each));
        let some = core::iter::once(first..=end - 1);
        sender.handle_ack(now, some, Duration::ZERO, end, &mut out).unwrap();
        first = end;
    }
}

#[test]
fn a_window_that_the_queue_of_the_sender_holds_back_does_not_grow_without_end() {
    let (mut sender, queue) = (recovery(), 100 * bytes_of(SIZE));
    for round in 1..1000 {
        let most = queue.min(sender.congestion().window());
        round_trip(&mut sender, round, most, u64::MAX / 2);
    }
    let window = sender.congestion().window();
    assert!((queue..=3 * queue).contains(&window), "{window}");
}

#[test]
fn a_full_window_grows_by_every_acknowledgment_of_its_round_trip() {
    let mut sender = recovery();
    for round in 1..8 {
        let window = sender.congestion().window();
        round_trip(&mut sender, round, window, 1);
        assert_eq!(sender.congestion().window(), 2 * window, "round {round}");
    }
}
