//! What is asked and answered, and what strangers can make of it.

use std::net::SocketAddr;

use super::*;
use crate::{
    limits::{MAX_STUN_TRANSACTIONS, MAX_UNKNOWN_ATTRIBUTES, STUN_REQUESTS},
    rng::{Rng, Seed},
    time::{Duration, Instant},
};

fn dice() -> Rng {
    Seed::from_number(5).stream("stun")
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const ID: TransactionId = TransactionId([7; 12]);

/// A request with these attributes, each with its value.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let front = [&[0, 1][..], &len, &[0x21, 0x12, 0xA4, 0x42], &ID.0].concat();
    [front, body].concat()
}

#[test]
fn answers_come_back_as_they_were_said_in_both_families() {
    for seen in ["203.0.113.5:40001", "[2001:db8::1:2]:3"] {
        for with_fingerprint in [false, true] {
            let answer = BindingAnswer::Mapped(addr(seen));
            let bytes = answer.encode(&ID, with_fingerprint);
            assert_eq!(StunMessage::decode(&bytes), Ok(StunMessage::Answer(ID, answer)));
        }
    }
    let refused = BindingAnswer::Refused { code: UNKNOWN_ATTRIBUTE, unknown: vec![3, 0x24, 0x25] };
    let bytes = refused.encode(&ID, true);
    assert_eq!(StunMessage::decode(&bytes), Ok(StunMessage::Answer(ID, refused)));
}

#[test]
fn our_request_is_as_long_as_any_answer_to_it() {
    let asked = BindingRequest::encode(ID);
    for seen in ["203.0.113.5:40001", "[2001:db8::1:2]:3"] {
        let answer = BindingAnswer::Mapped(addr(seen)).encode(&ID, true);
        assert!(answer.len() <= asked.len(), "{} for {}", answer.len(), asked.len());
    }
    let Ok(StunMessage::Request(read)) = StunMessage::decode(&asked) else { panic!("no request") };
    assert!(read.id == ID && read.unknown.is_empty() && read.has_fingerprint);
}

#[test]
fn an_old_answer_without_xor_is_understood_and_one_with_it_goes_before() {
    let plain = [0, 1, 0x12, 0x34, 192, 0, 2, 1];
    let mut old = request(&[(1, &plain)]);
    old[..2].copy_from_slice(&[1, 1]);
    let seen = |bytes: &[u8]| match StunMessage::decode(bytes) {
        Ok(StunMessage::Answer(_, BindingAnswer::Mapped(seen))) => seen,
        other => panic!("{other:?}"),
    };
    assert_eq!(seen(&old), addr("192.0.2.1:4660"));
    let masked = [0, 1, 0x21 ^ 1, 0x12 ^ 2, 0x21 ^ 9, 0x12 ^ 8, 0xA4 ^ 7, 0x42 ^ 6];
    let mut both = request(&[(1, &plain), (0x20, &masked)]);
    both[..2].copy_from_slice(&[1, 1]);
    assert_eq!(seen(&both), addr("9.8.7.6:258"));
}

#[test]
fn what_must_be_understood_and_is_not_is_named_and_the_rest_is_read_past() {
    let unknown = |bytes: &[u8]| match StunMessage::decode(bytes) {
        Ok(StunMessage::Request(request)) => request.unknown,
        other => panic!("{other:?}"),
    };
    let optional: &[(u16, &[u8])] = &[(0x8022, b"x"), (0xC057, b""), (0x0026, &[0; 64])];
    assert_eq!(unknown(&request(optional)), [0_u16; 0]);
    let both: &[(u16, &[u8])] = &[(3, &[0; 4]), (0x8022, b"x"), (0x24, b""), (3, b"")];
    assert_eq!(unknown(&request(both)), [3, 0x24]);
    // Nothing stands behind MESSAGE-INTEGRITY.
    assert_eq!(unknown(&request(&[(8, &[0; 20]), (3, &[0; 4])])), [0_u16; 0]);
    let kinds: Vec<(u16, &[u8])> = (0x100..0x180).map(|kind| (kind, &b""[..])).collect();
    assert_eq!(unknown(&request(&kinds)).len(), MAX_UNKNOWN_ATTRIBUTES);
}

#[test]
fn what_is_not_whole_is_refused() {
    let whole = BindingRequest::encode(ID);
    for at in 0..whole.len() {
        assert!(StunMessage::decode(&whole[..at]).is_err(), "{at}");
    }
    let what = |bytes: &[u8]| StunMessage::decode(bytes).map_err(|wrong| wrong.what);
    for at in 8..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        // With another type, FINGERPRINT is an attribute that is read past, and covers nothing.
        assert!(what(&changed).is_err() || matches!(at, 48 | 49), "{at}");
        assert_ne!(StunMessage::decode(&changed), StunMessage::decode(&whole), "{at}");
    }
    let mut no_cookie = whole.clone();
    no_cookie[5] ^= 1;
    assert_eq!(what(&no_cookie), Err("not a message of STUN"));
    let mut success = request(&[]);
    success[..2].copy_from_slice(&[1, 1]);
    assert_eq!(what(&success), Err("an answer without an address"));
    let mut strange = request(&[(1, &[0, 1, 0, 1, 1, 2, 3, 4]), (3, b"")]);
    strange[..2].copy_from_slice(&[1, 1]);
    assert_eq!(what(&strange), Err("an attribute that must be understood"));
    assert_eq!(what(&request(&[(1, &[0, 3, 0, 1, 1, 2, 3, 4])])), Err("not an address"));
    let mut indication = request(&[]);
    indication[1] = 0x11;
    assert_eq!(StunMessage::decode(&indication), Ok(StunMessage::Other));
}

#[test]
fn a_question_is_asked_seven_times_ever_later_and_then_given_up() {
    let (mut client, server, start) = (StunClient::default(), addr("192.0.2.7:3478"), later(0));
    client.ask(start, server, &mut dice()).unwrap();
    let mut sent = vec![(0, client.poll_transmit().unwrap())];
    let mut events = Vec::new();
    while let Some(at) = client.poll_timeout() {
        client.handle_timeout(at);
        let after = at.since(start).as_millis();
        sent.extend(std::iter::from_fn(|| client.poll_transmit()).map(|sent| (after, sent)));
        events.extend(std::iter::from_fn(|| client.poll_event()).map(|event| (after, event)));
    }
    let times: Vec<u128> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(times.len(), usize::try_from(STUN_REQUESTS).unwrap());
    assert!(sent.iter().all(|(_, request)| *request == sent[0].1), "one transaction, one name");
    assert_eq!(events, [(39_500, StunEvent::Silent { server })]);
}

#[test]
fn an_answer_from_elsewhere_or_under_another_name_is_not_heard_nor_one_that_comes_twice() {
    let (mut client, server) = (StunClient::default(), addr("192.0.2.7:3478"));
    let id = client.ask(later(0), server, &mut dice()).unwrap();
    let answer = BindingAnswer::Mapped(addr("203.0.113.5:40001"));
    let (right, other) = (answer.encode(&id, true), answer.encode(&ID, true));
    for (from, bytes) in [
        (addr("192.0.2.7:3479"), &right),
        (addr("192.0.2.8:3478"), &right),
        (server, &other),
        (server, &BindingRequest::encode(id)),
    ] {
        assert!(!client.handle_datagram(later(1), from, bytes));
        assert_eq!(client.poll_event(), None);
    }
    assert!(client.handle_datagram(later(20), server, &right));
    let after = Duration::from_millis(20);
    assert_eq!(client.poll_event(), Some(StunEvent::Answered { server, answer, after }));
    assert!(!client.handle_datagram(later(21), server, &right), "it is over");
    assert_eq!((client.poll_event(), client.poll_timeout()), (None, None));
}

#[test]
fn questions_are_bounded_and_an_answer_makes_room() {
    let (mut client, mut dice) = (StunClient::default(), dice());
    let server = addr("[2001:db8::7]:3478");
    let ids: Vec<TransactionId> = (0..MAX_STUN_TRANSACTIONS)
        .map(|_| client.ask(later(0), server, &mut dice).unwrap())
        .collect();
    assert_eq!(client.ask(later(0), server, &mut dice), Err(TooManyTransactions));
    let refused = BindingAnswer::Refused { code: 500, unknown: Vec::new() };
    assert!(client.handle_datagram(later(1), server, &refused.encode(&ids[3], false)));
    assert!(client.ask(later(1), server, &mut dice).is_ok());
}

fn later(millis: u64) -> Instant {
    Instant::from_micros(1_000_000 + millis * 1000)
}
