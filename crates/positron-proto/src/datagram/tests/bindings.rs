//! Whoever asks by STUN how an endpoint sees it.

use super::*;
use crate::{
    datagram::contract::StunAnswered,
    limits::{
        BINDINGS_PER_ADDRESS, BINDINGS_PER_SECOND, SHORT_BINDINGS_PER_ADDRESS,
        SHORT_BINDINGS_PER_SECOND,
    },
    stun::{BindingAnswer, BindingRequest, StunMessage, TransactionId},
};

/// What a client that knows no more than RFC 3489 and the cookie sends: 20 bytes.
const SHORT: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, //
    9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
];

impl World {
    /// What endpoint 0 says to a datagram from there.
    fn stun(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Vec<u8>> {
        let to = self.nodes[0].addr;
        self.deliver(&(from, to, datagram.to_vec()));
        self.collect();
        let said = self.wire.drain(..);
        said.map(|(_, to, said)| {
            assert_eq!(to, from, "an answer goes to who asked");
            said
        })
        .collect()
    }
}

fn seen(answer: &[u8]) -> SocketAddr {
    match StunMessage::decode(answer) {
        Ok(StunMessage::Answer(_, BindingAnswer::Mapped(seen))) => seen,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_asks_by_stun_hears_how_it_is_seen_in_both_families() {
    let mut world = World::new(1);
    let asked = BindingRequest::encode(TransactionId([3; 12]));
    for from in ["203.0.113.5:40001", "[2001:db8::5]:40001"] {
        let from = from.parse().unwrap();
        let said = world.stun(from, &asked);
        assert_eq!((said.len(), seen(&said[0])), (1, from));
        assert!(said[0].len() <= asked.len());
    }
    let mapped = world.stun("[::ffff:203.0.113.9]:7".parse().unwrap(), &asked);
    assert_eq!(seen(&mapped[0]), "203.0.113.9:7".parse().unwrap(), "as it really is");
    assert_eq!(world.nodes[0].end.counters().stun_answered, 3);
}

#[test]
fn a_request_shorter_than_its_answer_is_answered_once_a_second_and_address() {
    let mut world = World::new(1);
    let from = stranger(1);
    let mut answers = 0;
    for _ in 0..10 {
        answers += world.stun(from, &SHORT).len();
    }
    assert_eq!(answers, usize::try_from(SHORT_BINDINGS_PER_ADDRESS).unwrap());
    assert_eq!(world.nodes[0].end.counters().stun_over_limit, 9);
    // Who pads what it asks is not held up by that.
    assert_eq!(world.stun(from, &BindingRequest::encode(TransactionId([1; 12]))).len(), 1);
    world.now.mono = world.now.mono + Duration::from_secs(1);
    let said = world.stun(from, &SHORT);
    assert_eq!((said[0].len(), seen(&said[0])), (32, from));
}

#[test]
fn a_flood_from_made_up_addresses_draws_no_more_than_it_sends_and_a_little() {
    let mut world = World::new(1);
    let (mut sent, mut said) = (0, 0);
    for n in 0..5000 {
        sent += SHORT.len();
        said += world.stun(stranger(n), &SHORT).iter().map(Vec::len).sum::<usize>();
    }
    let most = usize::try_from(SHORT_BINDINGS_PER_SECOND).unwrap();
    assert_eq!(said, most * 32, "of {sent} bytes");
    let asked = BindingRequest::encode(TransactionId([1; 12]));
    let mut answered = most;
    for n in 5000..7000 {
        answered += world.stun(stranger(n), &asked).len();
    }
    assert_eq!(answered, usize::try_from(BINDINGS_PER_SECOND).unwrap());
    world.now.mono = world.now.mono + Duration::from_secs(1);
    let of_one = (0..100).map(|_| world.stun(stranger(1), &asked).len()).sum::<usize>();
    assert_eq!(of_one, usize::try_from(BINDINGS_PER_ADDRESS).unwrap());
}

#[test]
fn what_is_no_whole_request_of_stun_is_met_with_silence() {
    let mut world = World::new(1);
    let asked = BindingRequest::encode(TransactionId([3; 12]));
    let mut forged = asked.clone();
    *forged.last_mut().unwrap() ^= 1;
    let answer = BindingAnswer::Mapped(stranger(2)).encode(&TransactionId([3; 12]), true);
    let mut indication = SHORT;
    indication[1] = 0x11;
    let mut allocate = SHORT;
    allocate[1] = 3;
    let all = [&forged[..], &answer, &indication, &allocate, &asked[..40]];
    for datagram in all {
        assert_eq!(world.stun(stranger(1), datagram), [[0_u8; 0]; 0]);
    }
    let counters = world.nodes[0].end.counters();
    assert_eq!((counters.stun_ignored, counters.malformed), (4, 0));
    // An answer may be one to a question of ours: whoever asked hears of it, and knows.
    let heard =
        StunAnswered { from: stranger(1), id: TransactionId([3; 12]), mapped: Some(stranger(2)) };
    assert_eq!(world.nodes[0].end.poll_stun(), Some(heard));
    assert_eq!(world.nodes[0].end.poll_stun(), None);
    assert_eq!(counters.stun_answered, 0);
}

#[test]
fn an_attribute_that_must_be_understood_is_refused_by_its_name() {
    let mut world = World::new(1);
    let mut asked = SHORT.to_vec();
    asked[3] = 24;
    // CHANGE-REQUEST of RFC 5780: from another address, which would be another one's.
    asked.extend([0, 3, 0, 4, 0, 0, 0, 6]);
    asked.extend([0x80, 0x22, 0, 12]);
    asked.extend([b'x'; 12]);
    let said = world.stun(stranger(1), &asked);
    let Ok(StunMessage::Answer(_, answer)) = StunMessage::decode(&said[0]) else { panic!() };
    assert_eq!(answer, BindingAnswer::Refused { code: 420, unknown: vec![3] });
}
