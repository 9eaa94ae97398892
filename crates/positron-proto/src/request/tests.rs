//! Stories of requests between two nodes, told message by message.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Refusal, RequestEffect, RequestMessage, Requests, Status, TooManyRequests, Unanswered,
};
use crate::{
    id::{NodeId, Ticket},
    limits::{
        LONGEST_REQUEST, MAX_ASKED, MAX_ASKED_BYTES, MAX_FAILURE_TEXT, MAX_PAYLOAD, MAX_REFUSALS,
        MAX_SERVED, MAX_SERVED_BYTES_PER_PEER, MAX_SERVED_PER_PEER, PROBE_AFTER, REQUEST_RECONNECT,
        REQUEST_RETRY,
    },
    misbehavior::Misbehavior,
    time::{Duration, Instant, Now, WallTime},
};

const START: Duration = Duration::ZERO;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The process of either end.
const BOOT: u64 = 7;

fn alice() -> NodeId {
    NodeId::from_bytes([1; 32])
}

fn bob() -> NodeId {
    NodeId::from_bytes([2; 32])
}

fn at(since_start: Duration) -> Now {
    Now { mono: Instant::ORIGIN + since_start, wall: WallTime::default() + since_start }
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

/// One end, what its application sees of it, and what its session was given.
#[derive(Default)]
struct End {
    requests: Requests,
    /// Whether its sessions have no room.
    is_clogged: bool,
    out: VecDeque<RequestEffect>,
    seen: Vec<RequestEffect>,
    sent: Vec<RequestMessage>,
}

impl End {
    fn linked_with(peer: NodeId) -> Self {
        let mut end = Self::default();
        end.up(START, peer);
        end
    }

    fn up(&mut self, now: Duration, peer: NodeId) {
        self.requests.peer_up(at(now), peer, BOOT, &mut self.out);
        self.settle(now);
    }

    fn down(&mut self, now: Duration, peer: NodeId) {
        self.requests.peer_down(at(now), peer, &mut self.out);
        self.settle(now);
    }

    fn ask(&mut self, ticket: u64, to: NodeId) -> Result<(), TooManyRequests> {
        self.ask_with(ticket, to, b"what?".as_slice().into())
    }

    fn ask_with(&mut self, ticket: u64, to: NodeId, payload: Bytes) -> Result<(), TooManyRequests> {
        let ticket = Ticket(ticket);
        let asked = self.requests.ask(at(START), to, payload, TIMEOUT, ticket, &mut self.out);
        self.settle(START);
        asked
    }

    fn hear(&mut self, from: NodeId, message: RequestMessage) {
        self.requests.handle_message(at(START), from, message, &mut self.out);
        self.settle(START);
    }

    fn answer(&mut self, from: NodeId, id: u64, answer: Result<Bytes, Refusal>) {
        self.requests.answer(from, id, answer, &mut self.out);
        self.settle(START);
    }

    fn cancel(&mut self, ticket: u64) {
        self.requests.cancel(Ticket(ticket), &mut self.out);
        self.settle(START);
    }

    fn wake(&mut self, now: Duration) {
        self.requests.handle_timeout(at(now), &mut self.out);
        self.settle(now);
    }

    /// Does what the wiring does.
    fn settle(&mut self, now: Duration) {
        while let Some(effect) = self.out.pop_front() {
            let RequestEffect::Send { to } = effect else {
                self.seen.push(effect);
                continue;
            };
            while let Some(message) = self.requests.offer(&to) {
                if self.is_clogged {
                    self.requests.handle_not_sent(at(now), to);
                    break;
                }
                self.requests.handle_sent(to);
                self.sent.push(message);
            }
        }
    }

    fn sent(&mut self) -> Vec<RequestMessage> {
        core::mem::take(&mut self.sent)
    }

    fn seen(&mut self) -> Vec<RequestEffect> {
        core::mem::take(&mut self.seen)
    }

    fn completed(&mut self) -> Vec<(u64, Result<Bytes, Unanswered>)> {
        let completed = |effect| match effect {
            RequestEffect::Completed { ticket, outcome } => Some((ticket.0, outcome)),
            _ => None,
        };
        self.seen().into_iter().filter_map(completed).collect()
    }
}

fn request(id: u64) -> RequestMessage {
    RequestMessage::Request { id, payload: b"what?".as_slice().into() }
}

fn response(id: u64, status: Status, payload: &'static [u8]) -> RequestMessage {
    RequestMessage::Response { id, status, payload: payload.into() }
}

fn cancel(id: u64) -> RequestMessage {
    RequestMessage::Cancel { id }
}

fn abandon(from: NodeId, id: u64) -> RequestEffect {
    RequestEffect::Abandon { from, id }
}

#[test]
fn a_request_is_served_once_and_completed_once() {
    let (mut asker, mut server) = (End::linked_with(bob()), End::linked_with(alice()));
    asker.ask(1, bob()).unwrap();
    assert_eq!(asker.sent(), [request(1)]);
    server.hear(alice(), request(1));
    let payload = b"what?".as_slice().into();
    assert_eq!(server.seen(), [RequestEffect::Serve { from: alice(), id: 1, payload }]);
    server.answer(alice(), 1, Ok("this".into()));
    server.answer(alice(), 1, Ok("that".into()));
    assert_eq!(server.sent(), [response(1, Status::Answered, b"this")]);

    asker.hear(bob(), response(1, Status::Answered, b"this"));
    asker.hear(bob(), response(1, Status::Answered, b"that"));
    assert_eq!(asker.completed(), [(1, Ok("this".into()))]);
    assert_eq!(asker.requests.counters().late, 1);
    for end in [&mut asker, &mut server] {
        end.wake(PROBE_AFTER);
        assert_eq!(end.requests.poll_timeout(), None, "nobody waits any more");
    }
}

#[test]
fn a_request_ends_with_the_reason_that_the_other_end_gives() {
    let mut asker = End::linked_with(bob());
    let all = [
        (Refusal::NoHandler, Unanswered::NoHandler),
        (Refusal::Busy, Unanswered::Busy),
        (Refusal::Failed("no such block".into()), Unanswered::Failed("no such block".into())),
    ];
    for (ticket, (refusal, why)) in (0..).zip(all) {
        let mut server = End::linked_with(alice());
        asker.ask(ticket, bob()).unwrap();
        server.hear(alice(), request(ticket));
        server.answer(alice(), ticket, Err(refusal));
        asker.hear(bob(), server.sent().remove(0));
        assert_eq!(asker.completed(), [(ticket, Err(why))]);
    }
    asker.ask(9, bob()).unwrap();
    asker.hear(bob(), response(9, Status::Other(200), b"later"));
    assert_eq!(asker.completed(), [(9, Err(Unanswered::Failed("later".into())))]);
}

#[test]
fn a_request_waits_for_a_link_until_it_is_out_of_time() {
    let mut asker = End::default();
    asker.ask(1, bob()).unwrap();
    asker.ask(2, bob()).unwrap();
    assert_eq!(asker.seen(), [RequestEffect::Connect(bob())], "asked for once");
    asker.wake(REQUEST_RECONNECT);
    assert_eq!(asker.seen(), [RequestEffect::Connect(bob())], "and again later");
    asker.cancel(1);
    asker.up(REQUEST_RECONNECT, bob());
    assert_eq!(asker.sent(), [request(2)]);

    let mut asker = End::default();
    asker.ask(1, bob()).unwrap();
    asker.wake(TIMEOUT);
    assert_eq!(asker.completed(), [(1, Err(Unanswered::NoLink))]);
    asker.up(TIMEOUT, bob());
    asker.wake(TIMEOUT + PROBE_AFTER);
    assert_eq!((asker.sent(), asker.requests.poll_timeout()), (Vec::new(), None));
}

#[test]
fn what_a_full_queue_refused_is_offered_again_in_order() {
    let mut asker = End::linked_with(bob());
    asker.is_clogged = true;
    asker.ask(1, bob()).unwrap();
    asker.ask(2, bob()).unwrap();
    asker.cancel(2);
    asker.ask(3, bob()).unwrap();
    asker.is_clogged = false;
    assert_eq!(asker.sent(), []);
    asker.wake(REQUEST_RETRY);
    assert_eq!(asker.sent(), [request(1), request(3)]);
}

#[test]
fn out_of_time_and_unwanted_the_other_end_is_told_and_an_answer_comes_too_late() {
    let (mut asker, mut server) = (End::linked_with(bob()), End::linked_with(alice()));
    asker.ask(1, bob()).unwrap();
    asker.ask(2, bob()).unwrap();
    asker.cancel(1);
    asker.cancel(1);
    asker.wake(TIMEOUT);
    assert_eq!(asker.completed(), [(2, Err(Unanswered::TimedOut))]);
    for message in asker.sent() {
        server.hear(alice(), message);
    }
    assert_eq!(server.seen().split_off(2), [abandon(alice(), 1), abandon(alice(), 2)]);
    server.answer(alice(), 1, Ok("this".into()));
    assert_eq!(server.sent(), [], "nobody wants it");
}

#[test]
fn a_session_that_is_down_ends_what_it_took_and_what_waits_goes_on() {
    let (mut asker, mut server) = (End::linked_with(bob()), End::linked_with(alice()));
    asker.ask(1, bob()).unwrap();
    asker.is_clogged = true;
    asker.ask(2, bob()).unwrap();
    server.hear(alice(), request(1));
    let _ = server.seen();

    asker.down(START, bob());
    server.down(START, alice());
    let gone = RequestEffect::Completed { ticket: Ticket(1), outcome: Err(Unanswered::PeerGone) };
    assert_eq!(asker.seen(), [gone, RequestEffect::Connect(bob())]);
    assert_eq!(server.seen(), [abandon(alice(), 1)]);
    server.answer(alice(), 1, Ok("this".into()));

    asker.is_clogged = false;
    let _ = asker.sent();
    asker.up(START, bob());
    server.up(START, alice());
    assert_eq!(asker.sent(), [cancel(1), request(2)], "nothing is asked twice");
    assert_eq!(server.sent(), [response(1, Status::CutOff, b"")]);
}

#[test]
fn who_lost_sight_of_an_asker_that_noticed_nothing_says_so() {
    let (mut asker, mut server) = (End::linked_with(bob()), End::linked_with(alice()));
    asker.ask(1, bob()).unwrap();
    server.hear(alice(), request(1));
    server.down(START, alice());
    server.up(START, alice());
    asker.hear(bob(), server.sent().remove(0));
    assert_eq!(asker.completed(), [(1, Err(Unanswered::PeerGone))]);

    // Another process is owed nothing.
    server.hear(alice(), request(2));
    server.down(START, alice());
    server.requests.peer_up(at(START), alice(), BOOT + 1, &mut server.out);
    server.settle(START);
    assert_eq!(server.sent(), []);
}

#[test]
fn what_is_asked_is_bounded_in_number_and_bytes() {
    let mut asker = End::default();
    for ticket in 0..as_u64(MAX_ASKED) {
        asker.ask(ticket, bob()).unwrap();
    }
    assert_eq!(asker.ask(as_u64(MAX_ASKED), bob()), Err(TooManyRequests));
    asker.cancel(0);
    asker.ask(as_u64(MAX_ASKED), bob()).unwrap();

    let mut asker = End::default();
    let large: Bytes = vec![0; MAX_PAYLOAD].into();
    for ticket in 0..as_u64(MAX_ASKED_BYTES / MAX_PAYLOAD) {
        asker.ask_with(ticket, bob(), large.clone()).unwrap();
    }
    assert_eq!(asker.ask_with(1_000, bob(), large.clone()), Err(TooManyRequests));
    asker.up(START, bob());
    asker.ask_with(1_000, bob(), large).unwrap();
}

#[test]
fn what_is_served_is_bounded_for_each_peer_and_in_all_and_beyond_it_is_busy() {
    let mut server = End::linked_with(alice());
    let each = as_u64(MAX_SERVED_PER_PEER);
    for id in 0..=each {
        server.hear(alice(), request(id));
    }
    assert_eq!(server.seen().len(), MAX_SERVED_PER_PEER);
    assert_eq!(server.sent(), [response(each, Status::Busy, b"")]);
    server.answer(alice(), 0, Ok("this".into()));
    server.hear(alice(), request(each));
    assert_eq!(server.requests.counters().served, each + 1, "there is room again");

    let mut server = End::linked_with(alice());
    let large: Bytes = vec![0; MAX_PAYLOAD].into();
    for id in 0..=as_u64(MAX_SERVED_BYTES_PER_PEER / MAX_PAYLOAD) {
        server.hear(alice(), RequestMessage::Request { id, payload: large.clone() });
    }
    assert_eq!(server.requests.counters().refused, 1);

    let mut server = End::default();
    for n in 0..=u8::try_from(MAX_SERVED / MAX_SERVED_PER_PEER).unwrap() {
        let peer = NodeId::from_bytes([n; 32]);
        server.up(START, peer);
        (0..each).for_each(|id| server.hear(peer, request(id)));
    }
    let counters = server.requests.counters();
    assert_eq!((counters.served, counters.refused), (as_u64(MAX_SERVED), each));
}

#[test]
fn who_takes_no_answers_costs_no_more_than_the_bounds() {
    let mut server = End::linked_with(alice());
    server.is_clogged = true;
    let large: Bytes = vec![0; MAX_PAYLOAD].into();
    let each = as_u64(MAX_SERVED_PER_PEER);
    (0..each).for_each(|id| server.hear(alice(), request(id)));
    (0..each).for_each(|id| server.answer(alice(), id, Ok(large.clone())));
    for id in each..each + as_u64(2 * MAX_REFUSALS) {
        server.hear(alice(), request(id));
    }
    let counters = server.requests.counters();
    let fit = as_u64(MAX_SERVED_BYTES_PER_PEER / MAX_PAYLOAD);
    assert_eq!(counters.answers_dropped, each - fit);
    assert_eq!(counters.refused, as_u64(MAX_REFUSALS) - each);
    assert_eq!(counters.ignored, as_u64(MAX_REFUSALS) + each);
    server.down(START, alice());
    server.is_clogged = false;
    server.up(START, alice());
    assert_eq!(server.sent().len(), MAX_SERVED_PER_PEER, "each was cut off, and nothing else");
}

#[test]
fn a_number_that_is_used_twice_is_misbehavior_and_other_peers_numbers_are_not() {
    let carol = NodeId::from_bytes([3; 32]);
    let mut server = End::linked_with(alice());
    server.up(START, carol);
    server.hear(alice(), request(1));
    server.hear(carol, request(1));
    assert_eq!(server.requests.counters().served, 2);
    let _ = server.seen();
    server.hear(carol, request(1));
    let what = Misbehavior::ProtocolViolation;
    assert_eq!(server.seen(), [RequestEffect::Misbehaved { peer: carol, what }]);

    // Nor does an answer of somebody else count, nor a cancel.
    server.hear(carol, cancel(1));
    assert_eq!(server.seen(), [abandon(carol, 1)]);
    let mut asker = End::linked_with(bob());
    asker.up(START, carol);
    asker.ask(1, bob()).unwrap();
    asker.hear(carol, response(1, Status::Answered, b"mine"));
    assert_eq!(asker.completed(), []);
}

#[test]
fn what_is_served_for_too_long_has_failed() {
    let mut server = End::linked_with(alice());
    server.hear(alice(), request(1));
    let _ = server.seen();
    server.wake(LONGEST_REQUEST);
    assert_eq!(server.seen(), [RequestEffect::Awaited(alice()), abandon(alice(), 1)]);
    assert_eq!(server.sent(), [response(1, Status::Failed, b"it took too long")]);
}

#[test]
fn answers_and_reasons_that_are_too_long_are_cut_and_never_sent_as_they_are() {
    let mut server = End::linked_with(alice());
    server.hear(alice(), request(1));
    server.hear(alice(), request(2));
    server.answer(alice(), 1, Ok(vec![0; MAX_PAYLOAD + 1].into()));
    server.answer(alice(), 2, Err(Refusal::Failed("é".repeat(MAX_FAILURE_TEXT))));
    let sent = server.sent();
    let [RequestMessage::Response { status: Status::Failed, .. }, long] = &sent[..] else {
        panic!("{sent:?}")
    };
    let RequestMessage::Response { payload, .. } = long else { panic!("{long:?}") };
    assert_eq!(core::str::from_utf8(payload).unwrap().len(), MAX_FAILURE_TEXT);
}

#[test]
fn a_node_that_stops_owes_nobody_anything() {
    let mut node = End::linked_with(bob());
    node.ask(1, bob()).unwrap();
    node.hear(bob(), request(5));
    let _ = node.seen();
    node.requests.give_up_all(&mut node.out);
    node.settle(START);
    let stopped = RequestEffect::Completed { ticket: Ticket(1), outcome: Err(Unanswered::Stopped) };
    assert_eq!(node.seen(), [stopped, abandon(bob(), 5)]);
    node.wake(PROBE_AFTER);
    assert_eq!(node.requests.poll_timeout(), None);
}

/// How a request ends that nobody answers, whose receiver goes away, and that is refused in each
/// way.
pub(crate) fn unanswered() -> Vec<Unanswered> {
    let end = |asker: &mut End| asker.completed().remove(0).1.unwrap_err();
    let asked = || {
        let mut asker = End::linked_with(bob());
        asker.ask(1, bob()).unwrap();
        asker
    };
    let (mut silent, mut left) = (asked(), asked());
    silent.wake(TIMEOUT);
    left.down(START, bob());
    let mut ends = vec![end(&mut silent), end(&mut left)];
    for refusal in [Refusal::NoHandler, Refusal::Busy, Refusal::Failed("no such block".into())] {
        let (mut asker, mut server) = (asked(), End::linked_with(alice()));
        server.hear(alice(), asker.sent().remove(0));
        server.answer(alice(), 1, Err(refusal));
        asker.hear(bob(), server.sent().remove(0));
        ends.push(end(&mut asker));
    }
    ends
}
