//! Stories of direct messages between two nodes, told message by message.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Direct, DirectEffect, DirectMessage, QueueFull, Undelivered};
use crate::{
    id::{NetworkId, NodeId, Ticket},
    identity::{Identity, Signed, Verified},
    limits::{
        DIRECT_RECONNECT, DIRECT_RETRY, DIRECT_TIMEOUT, MAX_DIRECT_RANGES,
        MAX_UNACKNOWLEDGED_DIRECT, MAX_WAITING_DIRECT, MAX_WAITING_DIRECT_BYTES,
    },
    misbehavior::Misbehavior,
    time::{Duration, Instant, Now, WallTime},
    wire::message::{AppMessage, Audience, Envelope, RoomMessage as _},
};

fn network() -> NetworkId {
    NetworkId::from_name("direct tests")
}

fn alice() -> Identity {
    Identity::from_seed([1; 32])
}

fn bob() -> Identity {
    Identity::from_seed([2; 32])
}

fn at(since_start: Duration) -> Now {
    Now { mono: Instant::ORIGIN + since_start, wall: WallTime::default() + since_start }
}

const START: Duration = Duration::ZERO;

fn tell(from: &Identity, to: NodeId, sequence: u64, payload: &[u8]) -> Verified<AppMessage> {
    let message = AppMessage {
        sender: *from.public_key(),
        audience: Audience::Node(to),
        sequence,
        timestamp: WallTime::default(),
        payload: payload.to_vec().into(),
    };
    from.sign(message, &network())
}

/// Alice's messages to Bob.
struct Sender {
    direct: Direct,
    out: VecDeque<DirectEffect>,
}

impl Sender {
    fn new() -> Self {
        Self { direct: Direct::default(), out: VecDeque::new() }
    }

    fn send(&mut self, number: u64, up: bool) -> Result<(), QueueFull> {
        self.send_bytes(number, up, b"hello")
    }

    fn send_bytes(&mut self, number: u64, up: bool, payload: &[u8]) -> Result<(), QueueFull> {
        let to = bob().node_id();
        let message = tell(&alice(), to, number, payload);
        self.direct.send(at(START), to, message, Ticket(number), up, &mut self.out)
    }

    fn tickets_sent(&mut self) -> Vec<u64> {
        let sent = |out| match out {
            DirectEffect::Send { ticket, .. } => Some(ticket.0),
            _ => None,
        };
        self.out.drain(..).filter_map(sent).collect()
    }

    fn completed(&mut self) -> Vec<(u64, Result<(), Undelivered>)> {
        let completed = |out| match out {
            DirectEffect::Completed { ticket, outcome } => Some((ticket.0, outcome)),
            _ => None,
        };
        self.out.drain(..).filter_map(completed).collect()
    }

    fn wake(&mut self, at_time: Duration) {
        self.direct.handle_timeout(at(at_time), &mut self.out);
    }
}

/// What Bob does with a claim that Alice's link brought, verdict included.
fn receive(direct: &mut Direct, from: NodeId, claim: Signed<AppMessage>) -> Vec<DirectEffect> {
    let mut out = VecDeque::new();
    direct.handle_message(at(START), from, DirectMessage::CustomData(claim), &mut out);
    let mut seen = Vec::new();
    while let Some(next) = out.pop_front() {
        let DirectEffect::Verify { from, claim } = next else {
            seen.push(next);
            continue;
        };
        let verdict = claim.job(&network()).run();
        match claim.accept(verdict) {
            Some(good) => direct.handle_verified(at(START), from, good, &mut out),
            None => direct.handle_refuted(at(START), from, &mut out),
        }
    }
    seen
}

fn decode(message: Bytes, receiver: NodeId) -> DirectMessage {
    Envelope::open(message).and_then(|envelope| envelope.read(receiver)).expect("whole")
}

#[test]
fn a_process_that_does_not_know_how_far_the_last_one_was_is_heard() {
    let (mut receiver, mut out) = (Direct::default(), VecDeque::new());
    let (from, to) = (alice().node_id(), bob().node_id());
    receiver.peer_up(at(START), from, 1, &mut out);
    // So many gaps that everything below a number counts as received.
    for n in 0..2 * MAX_DIRECT_RANGES as u64 {
        let heard =
            receive(&mut receiver, from, tell(&alice(), to, 1_000 + 2 * n, b"a").claim().clone());
        assert!(matches!(heard[..], [DirectEffect::Deliver(_)]));
    }
    let low = |text| tell(&alice(), to, 3, text);
    assert_eq!(receive(&mut receiver, from, low(b"b").claim().clone()), []);
    receiver.peer_up(at(START), from, 2, &mut out);
    let heard = receive(&mut receiver, from, low(b"b").claim().clone());
    assert!(matches!(heard[..], [DirectEffect::Deliver(_)]));
    assert_eq!(receive(&mut receiver, from, low(b"b").claim().clone()), [], "once");
}

#[test]
fn a_message_is_sent_delivered_once_and_completed_once() {
    let (mut sender, mut receiver) = (Sender::new(), Direct::default());
    sender.send(7, true).unwrap();
    let Some(DirectEffect::Send { to, message, ticket }) = sender.out.pop_front() else {
        panic!("no send")
    };
    assert_eq!((to, ticket), (bob().node_id(), Ticket(7)));

    let DirectMessage::CustomData(claim) = decode(message.encode(), to);
    let heard = receive(&mut receiver, alice().node_id(), claim.clone());
    assert!(matches!(&heard[..], [DirectEffect::Deliver(m)] if m.content().payload == "hello"));
    assert_eq!(receive(&mut receiver, alice().node_id(), claim), [], "a replay is dropped");
    assert_eq!((receiver.counters().received, receiver.counters().duplicates), (1, 1));

    sender.direct.handle_delivered(at(START), Ticket(7), &mut sender.out);
    sender.direct.handle_delivered(at(START), Ticket(7), &mut sender.out);
    sender.direct.handle_undelivered(at(START), Ticket(7), &mut sender.out);
    assert_eq!(sender.completed(), [(7, Ok(()))]);
    assert_eq!(sender.direct.poll_timeout(), None);
}

#[test]
fn a_message_waits_for_a_link_and_leaves_in_order() {
    let mut sender = Sender::new();
    sender.send(1, false).unwrap();
    sender.send(2, false).unwrap();
    assert_eq!(sender.out, [DirectEffect::Connect(bob().node_id())], "asked for once");
    sender.out.clear();

    sender.wake(DIRECT_RECONNECT);
    assert_eq!(sender.out, [DirectEffect::Connect(bob().node_id())], "and again later");
    sender.direct.peer_up(at(DIRECT_RECONNECT), bob().node_id(), 1, &mut sender.out);
    assert_eq!(sender.tickets_sent(), [1, 2]);
}

#[test]
fn what_a_session_gave_up_is_sent_again_on_the_next_one() {
    let mut sender = Sender::new();
    sender.send(1, true).unwrap();
    assert_eq!(sender.tickets_sent(), [1]);
    sender.direct.peer_down(at(START), bob().node_id(), &mut sender.out);
    assert_eq!(sender.out, [DirectEffect::Connect(bob().node_id())]);
    sender.out.clear();

    sender.direct.handle_undelivered(at(START), Ticket(1), &mut sender.out);
    sender.direct.peer_up(at(START), bob().node_id(), 1, &mut sender.out);
    assert_eq!(sender.tickets_sent(), [1]);
    sender.direct.peer_up(at(START), bob().node_id(), 1, &mut sender.out);
    assert_eq!(sender.tickets_sent(), [], "a session that has it keeps it");
}

#[test]
fn what_a_full_queue_refused_is_offered_again_and_nothing_overtakes_it() {
    let mut sender = Sender::new();
    sender.send(1, true).unwrap();
    assert_eq!(sender.tickets_sent(), [1]);
    sender.direct.handle_undelivered(at(START), Ticket(1), &mut sender.out);
    sender.send(2, true).unwrap();
    assert_eq!(sender.tickets_sent(), []);
    sender.wake(DIRECT_RETRY);
    assert_eq!(sender.tickets_sent(), [1, 2]);
}

#[test]
fn out_of_time_a_message_ends_with_the_reason() {
    let mut sender = Sender::new();
    sender.send(1, false).unwrap();
    sender.wake(DIRECT_TIMEOUT);
    assert_eq!(sender.completed(), [(1, Err(Undelivered::NoLink))]);

    let mut sender = Sender::new();
    sender.send(1, true).unwrap();
    sender.direct.peer_down(at(START), bob().node_id(), &mut sender.out);
    sender.wake(DIRECT_TIMEOUT - Duration::from_micros(1));
    assert_eq!(sender.completed(), []);
    sender.wake(DIRECT_TIMEOUT);
    assert_eq!(sender.completed(), [(1, Err(Undelivered::NotAcknowledged))]);
    sender.direct.handle_delivered(at(DIRECT_TIMEOUT), Ticket(1), &mut sender.out);
    assert_eq!(sender.completed(), [], "exactly one end");
    assert_eq!(sender.direct.poll_timeout(), None);
    assert_eq!(sender.direct.counters().undelivered, 1);
}

#[test]
fn what_waits_is_bounded_in_messages_and_bytes() {
    let mut sender = Sender::new();
    let many = u64::try_from(MAX_WAITING_DIRECT).unwrap();
    for number in 0..many {
        sender.send(number, false).unwrap();
    }
    assert_eq!(sender.send(many, false), Err(QueueFull));
    sender.direct.peer_up(at(START), bob().node_id(), 1, &mut sender.out);
    assert_eq!(sender.tickets_sent().len(), MAX_WAITING_DIRECT);
    sender.send(many, true).unwrap();

    let mut sender = Sender::new();
    let mebibyte = vec![0; 1 << 20];
    let fit = u64::try_from(MAX_WAITING_DIRECT_BYTES >> 20).unwrap();
    for number in 0..fit {
        sender.send_bytes(number, false, &mebibyte).unwrap();
    }
    assert_eq!(sender.send_bytes(fit, false, &mebibyte), Err(QueueFull));
    sender.wake(DIRECT_TIMEOUT);
    assert_eq!(sender.completed().len(), usize::try_from(fit).unwrap());
    sender.send_bytes(fit, false, &mebibyte).unwrap();
}

#[test]
fn what_is_not_acknowledged_is_bounded_too() {
    let mut sender = Sender::new();
    let all = MAX_UNACKNOWLEDGED_DIRECT + MAX_WAITING_DIRECT;
    let message = tell(&alice(), bob().node_id(), 0, b"");
    let mut send = |number: usize, out: &mut VecDeque<DirectEffect>| {
        let ticket = Ticket(u64::try_from(number).unwrap());
        sender.direct.send(at(START), bob().node_id(), message.clone(), ticket, true, out)
    };
    for number in 0..all {
        send(number, &mut sender.out).unwrap();
    }
    assert_eq!(send(all, &mut sender.out), Err(QueueFull));
    assert_eq!(sender.tickets_sent().len(), MAX_UNACKNOWLEDGED_DIRECT);
}

#[test]
fn another_signer_another_audience_and_a_forgery_are_misbehavior() {
    let (mut receiver, me) = (Direct::default(), bob().node_id());
    let mallory = Identity::from_seed([3; 32]);
    let wrong = |what| [DirectEffect::Misbehaved { peer: mallory.node_id(), what }];

    let of_alice = tell(&alice(), me, 0, b"hello").claim().clone();
    let heard = receive(&mut receiver, mallory.node_id(), of_alice);
    assert_eq!(heard, wrong(Misbehavior::ProtocolViolation));

    // Signed for somebody else: the wire has no audience, so the receiver reads itself into it.
    let for_another = tell(&mallory, alice().node_id(), 0, b"hello");
    let encoded = DirectMessage::CustomData(for_another.claim().clone()).encode();
    let DirectMessage::CustomData(claim) = decode(encoded, me);
    let heard = receive(&mut receiver, mallory.node_id(), claim);
    assert_eq!(heard, wrong(Misbehavior::ForgedSignature));

    let good = tell(&mallory, me, 0, b"hello").claim().clone();
    let heard = receive(&mut receiver, mallory.node_id(), good);
    assert!(matches!(&heard[..], [DirectEffect::Deliver(_)]), "a forgery takes no number away");
}

/// How a message ends that waits for a link, and one that the other end took and did not
/// acknowledge.
pub(crate) fn undelivered() -> Vec<Undelivered> {
    let ends = [false, true].map(|is_linked| {
        let mut sender = Sender::new();
        sender.send(1, is_linked).unwrap();
        sender.wake(DIRECT_TIMEOUT);
        sender.completed().remove(0).1.unwrap_err()
    });
    ends.into()
}
