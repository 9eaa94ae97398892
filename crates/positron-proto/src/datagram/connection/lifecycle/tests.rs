//! Endings, without a network between the two ends.

use super::*;
use crate::{
    datagram::{
        contract::{Delivery, EndpointConfig},
        window::WindowBudget,
    },
    id::NetworkId,
    misbehavior::Misbehavior,
};

const WHY: CloseReason = CloseReason::Pruned;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// Nothing waits to be sent or read.
fn nothing() -> Carried {
    let config = EndpointConfig::new(NetworkId::from_name("lifecycle"));
    Carried::new(at(0), &config, &mut WindowBudget::default())
}

fn established() -> Lifecycle {
    let mut lifecycle = Lifecycle::new(at(0), Direction::Outbound);
    assert!(lifecycle.establish(at(1)) && !lifecycle.establish(at(2)));
    assert_eq!(lifecycle.since(), at(1));
    lifecycle
}

fn close(lifecycle: &mut Lifecycle, now: Instant, carried: &Carried) -> Option<ConnectionEvent> {
    let event = lifecycle.close(now, WHY, Some(&Rtt::new()));
    lifecycle.close_if_drained(now, carried);
    event
}

#[test]
fn our_fin_goes_out_once_what_waits_was_acknowledged() {
    let (mut lifecycle, mut carried) = (established(), nothing());
    carried.outgoing.push(0, Delivery::Ordered, "x", 0).unwrap();
    assert_eq!(close(&mut lifecycle, at(1), &carried), None);
    assert!(!lifecycle.takes_messages() && !lifecycle.poll_fin());
    assert_eq!(lifecycle.poll_timeout(), Some(at(1) + FLUSH_TIMEOUT));
    lifecycle.close_if_drained(at(2), &nothing());
    assert!(lifecycle.poll_fin() && !lifecycle.poll_fin(), "once");
    lifecycle.handle_fin_loss();
    assert!(lifecycle.poll_fin(), "and again when it was lost");
    assert_eq!(lifecycle.handle_fin_ack(at(3), Some(&Rtt::new())), None);
    lifecycle.handle_fin_loss();
    assert!(!lifecycle.poll_fin(), "it arrived by now");
    let closed = Some(ConnectionEvent::Closed(Closed::ByUs(WHY)));
    let theirs = CloseReason::ShuttingDown;
    assert_eq!(lifecycle.handle_fin(at(3), theirs.clone(), Some(&Rtt::new())), closed);
    assert!(lifecycle.poll_fin_ack());
    assert_eq!(lifecycle.handle_fin(at(4), theirs, Some(&Rtt::new())), None, "told once");
    assert!(lifecycle.poll_fin_ack(), "our answer was lost");
    assert_eq!(lifecycle.handle_timeout(at(4) + Rtt::new().three_pto(), Some(&Rtt::new())), None);
    assert!(lifecycle.is_over(at(5)));
}

#[test]
fn what_waits_for_too_long_ends_in_silence_and_the_rest_is_told_by_resets() {
    let (mut lifecycle, mut carried) = (established(), nothing());
    carried.outgoing.push(0, Delivery::Ordered, "x", 0).unwrap();
    close(&mut lifecycle, at(1), &carried);
    lifecycle.handle_progress(at(2));
    let end = at(2) + FLUSH_TIMEOUT;
    assert_eq!(lifecycle.poll_timeout(), Some(end));
    let closed = Some(ConnectionEvent::Closed(Closed::Silent));
    assert_eq!(lifecycle.handle_timeout(end, Some(&Rtt::new())), closed);
    assert!(lifecycle.poll_reset() && !lifecycle.poll_reset());
    lifecycle.handle_late_packet(PacketType::Data);
    assert!(lifecycle.poll_reset());
    lifecycle.handle_late_packet(PacketType::Rst);
    assert!(!lifecycle.poll_reset(), "a RST is answered by nothing");
    assert!(!lifecycle.is_over(end) && lifecycle.is_over(end + Rtt::new().three_pto()));
}

#[test]
fn a_violation_is_told_to_whoever_did_it() {
    let mut lifecycle = established();
    let violation = Violation { what: "nonsense", misbehavior: Misbehavior::Malformed };
    assert!(lifecycle.handle_violation(at(1), violation, Some(&Rtt::new())).is_some());
    assert!(lifecycle.poll_reset());
    assert_eq!(lifecycle.reason(), CloseReason::Violation("nonsense".into()));
    assert_eq!(
        lifecycle.abort(at(2), Closed::Silent, Some(&Rtt::new())),
        None,
        "it is over already"
    );
}

#[test]
fn before_there_are_keys_it_ends_without_a_word() {
    let mut lifecycle = Lifecycle::new(at(0), Direction::Inbound);
    let closed = Some(ConnectionEvent::Closed(Closed::ByUs(WHY)));
    assert_eq!(lifecycle.close(at(1), WHY, None), closed);
    assert!(!lifecycle.poll_reset() && !lifecycle.resets() && lifecycle.is_over(at(1)));
}

#[test]
fn an_end_that_was_closed_to_is_heard_out_for_long_but_not_for_ever() {
    let mut lifecycle = established();
    close(&mut lifecycle, at(1), &nothing());
    assert!(lifecycle.poll_fin());
    assert_eq!(lifecycle.handle_fin_ack(at(2), Some(&Rtt::new())), None);
    let latest = at(1) + LONGEST_HALF_CLOSE;
    let mut now = at(2);
    while lifecycle.poll_timeout().is_some_and(|until| until < latest) {
        now = now + FLUSH_TIMEOUT / 2;
        lifecycle.handle_arrival(now);
        assert_eq!(lifecycle.handle_timeout(now, Some(&Rtt::new())), None);
    }
    lifecycle.handle_arrival(latest);
    assert_eq!(lifecycle.poll_timeout(), Some(latest));
    let closed = Some(ConnectionEvent::Closed(Closed::ByUs(WHY)));
    assert_eq!(lifecycle.handle_timeout(latest, Some(&Rtt::new())), closed);
    assert!(!lifecycle.poll_reset(), "it said nothing wrong");
}
