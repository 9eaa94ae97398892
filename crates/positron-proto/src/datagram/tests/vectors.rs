//! Sealed things as data: `tests/vectors/sealed.txt` [PROTOCOL 10]. Whole handshakes over
//! datagrams, one packet of each type that is sealed, and packets around a change of keys.

use std::fmt::Write as _;

use super::*;
use crate::{
    datagram::{
        client_handshake::unsealed,
        protection::{Protection, Tuning, Unopened},
        query::{
            packets::{ColdAnswer, open_answer, open_query, seal_answer, seal_query},
            secret::TicketSecret,
            ticket::TicketName,
        },
    },
    handshake::{
        aead::{Role, Suite},
        agreement::{self, Agreement, Answer, HandshakeCarrier, Proposal},
        hello::Local,
        noise::Pattern,
        query::{HeardQuestion, QueryProposal},
    },
    rng::Rng,
    wire::{
        frame::CloseReason,
        packet::{Fragment, HandshakeAck, QUERY_PATTERN, Syn, TAG_LEN},
        packet_frame::{AckRanges, Channel, Delivery, PacketFrame, StreamSide},
    },
};

const OF_INITIATOR: u32 = 0xA1A2_A3A4;
const OF_RESPONDER: u32 = 0xB1B2_B3B4;
const THREE_PTO: Duration = Duration::from_millis(300);

/// An end that knows whom it talks to.
struct End {
    local: Local,
    carrier: HandshakeCarrier,
    rng: Rng,
}

fn end(seed: u8, ours: u32) -> End {
    let me = Arc::new(Identity::from_seed([seed; 32]));
    let local = Local::new(me, NetworkId::from_name("vectors"), seed.into());
    let carrier = HandshakeCarrier::Datagrams { initiator: OF_INITIATOR, ours };
    End { local, carrier, rng: Seed::from_number(seed.into()).stream("ephemeral") }
}

#[test]
fn whole_handshakes_and_sealed_packets_are_as_written_down() {
    let mut lines = String::new();
    for pattern in [Pattern::Ik, Pattern::Xx] {
        let name = if pattern == Pattern::Ik { "ik" } else { "xx" };
        let (alice, bob) = shake_hands(&mut lines, name, pattern);
        assert_eq!((alice.suite, alice.refusal.clone()), (bob.suite, None));
        let split = &alice.split;
        line(&mut lines, &format!("{name}.hash"), &split.hash);
        line(&mut lines, &format!("{name}.split.initiator"), &*split.from_initiator);
        line(&mut lines, &format!("{name}.split.responder"), &*split.from_responder);
        say_everything(&mut lines, name, &alice, &bob);
    }
    for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        change_keys(&mut lines, suite);
    }
    ask(&mut lines);
    let stated = include_str!("../../../tests/vectors/sealed.txt");
    let stated = stated.lines().filter(|line| !line.starts_with('#'));
    assert!(stated.eq(lines.lines()), "the vectors differ from the code, which says:\n{lines}");
}

/// Every datagram of a handshake, and the ephemeral secrets that make it what it is.
fn shake_hands(lines: &mut String, name: &str, pattern: Pattern) -> (Agreement, Agreement) {
    let (mut alice, mut bob) = (end(1, OF_INITIATOR), end(2, OF_RESPONDER));
    let (expect, theirs) = (Expect::Node(bob.local.me.node_id()), link_public_key(&bob.local.me));
    line(lines, &format!("{name}.initiator.ephemeral"), &alice.rng.clone().bytes::<32>());
    line(lines, &format!("{name}.responder.ephemeral"), &bob.rng.clone().bytes::<32>());
    let (mut proposal, noise) = match pattern {
        Pattern::Ik => {
            Proposal::ik(&alice.local, alice.carrier, expect, &theirs, &mut alice.rng).unwrap()
        }
        Pattern::Xx => Proposal::xx(&alice.local, alice.carrier, expect, &mut alice.rng).unwrap(),
    };
    let pattern_byte = pattern as u8;
    let syn = Syn { pattern: pattern_byte, connection: OF_INITIATOR, cookie: &[], noise: &noise };
    line(lines, &format!("{name}.syn"), &unsealed(PacketType::Syn, 0, |out| syn.encode(out)));
    let (answered, noise) = match pattern {
        Pattern::Ik => {
            let (agreed, noise) =
                agreement::hear_ik(&noise, &bob.local, bob.carrier, &mut bob.rng).unwrap();
            (Err(agreed), noise)
        }
        Pattern::Xx => {
            let (answer, noise) =
                Answer::to(&noise, &bob.local, bob.carrier, &mut bob.rng).unwrap();
            (Ok(answer), noise)
        }
    };
    let syn_ack = SynAck::Noise { pattern: pattern_byte, noise: &noise };
    let datagram = unsealed(PacketType::SynAck, OF_INITIATOR, |out| syn_ack.encode(out));
    line(lines, &format!("{name}.syn_ack"), &datagram);
    let (of_alice, last) = proposal.answer(&noise, &alice.local).unwrap();
    let of_bob = match (answered, last) {
        (Err(agreed), None) => agreed,
        (Ok(mut answer), Some(noise)) => {
            let ack = HandshakeAck { pattern: pattern_byte, noise: &noise };
            let datagram = unsealed(PacketType::Ack, OF_RESPONDER, |out| ack.encode(out));
            line(lines, &format!("{name}.ack"), &datagram);
            answer.hear(&noise, &bob.local).unwrap()
        }
        _ => unreachable!("IK has two messages and XX three"),
    };
    assert_eq!(of_alice.connection, Some(OF_RESPONDER));
    assert_eq!(of_bob.connection, Some(OF_INITIATOR));
    (*of_alice, *of_bob)
}

/// One packet of each type, from the initiator, and the first one of the responder.
fn say_everything(lines: &mut String, name: &str, alice: &Agreement, bob: &Agreement) {
    let mut from = Protection::tuned(&alice.split, alice.suite, alice.role, Tuning::default());
    let mut to = Protection::tuned(&bob.split, bob.suite, bob.role, Tuning::default());
    for (kind, fragment, frames) in packets() {
        let mut plain = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut plain));
        let datagram = seal(&mut from, kind, OF_RESPONDER, fragment, &plain);
        let what = format!("{kind:?}").to_lowercase();
        if !plain.is_empty() {
            line(lines, &format!("{name}.sealed.{what}.frames"), &plain);
        }
        line(lines, &format!("{name}.sealed.{what}"), &datagram);
        assert_eq!(open(&mut to, &datagram), Ok(plain));
    }
    let datagram = seal(&mut to, PacketType::Ack, OF_INITIATOR, Fragment::default(), &[]);
    line(lines, &format!("{name}.sealed.responder.ack"), &datagram);
    assert_eq!(open(&mut from, &datagram), Ok(vec![]));
}

fn packets() -> Vec<(PacketType, Fragment, Vec<PacketFrame>)> {
    let channel = Channel { delivery: Delivery::Ordered, lane: 1 };
    let none = Fragment::default();
    let body = bytes::Bytes::from_static(b"hello");
    let ranges = AckRanges::from_descending([7..=9, 0..=4]).unwrap();
    let acks = PacketFrame::PacketAck { ranges, delay: Duration::from_millis(2) };
    let data = vec![
        acks.clone(),
        PacketFrame::Message { channel, number: 0, body: body.clone() },
        PacketFrame::Stream { id: 1, lane: 2, fin: true, offset: 0, body: body.clone() },
        PacketFrame::StreamEnd { id: 2, side: StreamSide::Reading, offset: 5, code: 1 },
        PacketFrame::StopWaiting { number: 1 },
    ];
    let fragment = Fragment { id: 1, index: 1, total: 2 };
    let part = PacketFrame::Fragment { channel, number: 1, offset: 5, total: 10, body };
    let close = PacketFrame::Close(CloseReason::ShuttingDown);
    vec![
        (PacketType::Ping, none, vec![PacketFrame::Ping { token: 1 }]),
        (PacketType::Pong, none, vec![PacketFrame::Pong { token: 1 }]),
        (PacketType::Data, none, data),
        (PacketType::Fragment, fragment, vec![part]),
        (PacketType::MessageAck, none, vec![PacketFrame::MessageAck { channel, number: 1 }]),
        (PacketType::MessageNack, none, vec![PacketFrame::MessageNack { channel, number: 1 }]),
        (PacketType::Ack, none, vec![acks]),
        (PacketType::Fin, none, vec![close.clone()]),
        (PacketType::FinAck, none, vec![]),
        (PacketType::Rst, none, vec![close]),
    ]
}

/// Keys change after two packets; one of the phase before comes late.
fn change_keys(lines: &mut String, suite: Suite) {
    let (mut alice, mut bob) = (end(1, OF_INITIATOR), end(2, OF_RESPONDER));
    let key = link_public_key(&bob.local.me);
    let expect = Expect::Node(bob.local.me.node_id());
    let (mut proposal, noise) =
        Proposal::ik(&alice.local, alice.carrier, expect, &key, &mut alice.rng).unwrap();
    let (_, noise) = agreement::hear_ik(&noise, &bob.local, bob.carrier, &mut bob.rng).unwrap();
    let (agreed, _) = proposal.answer(&noise, &alice.local).unwrap();
    // Numbers about to pass 32 bits, too.
    let tuning = Tuning { packets_per_key: 2, first_number: 0xFFFF_FFFE };
    let protection = |role| Protection::tuned(&agreed.split, suite, role, tuning);
    let (mut from, mut to) = (protection(Role::Initiator), protection(Role::Responder));
    let name = if suite == Suite::Aes256Gcm { "update.aes" } else { "update.chacha" };
    let mut late = Vec::new();
    for step in 0..4_u64 {
        let frames = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[u8::try_from(step).unwrap()]].concat();
        let there = seal(&mut from, PacketType::Ping, OF_RESPONDER, Fragment::default(), &frames);
        let back = |to: &mut Protection| {
            seal(to, PacketType::Ping, OF_INITIATOR, Fragment::default(), &frames)
        };
        line(lines, &format!("{name}.{step}.initiator"), &there);
        if step == 1 {
            late.clone_from(&there);
        } else {
            assert_eq!(open(&mut to, &there).as_ref(), Ok(&frames));
        }
        let back = back(&mut to);
        line(lines, &format!("{name}.{step}.responder"), &back);
        assert_eq!(open(&mut from, &back).as_ref(), Ok(&frames));
        let last = from.next_number() - 1;
        from.handle_ack(last);
        to.handle_ack(last);
        if step == 2 {
            assert!(open(&mut to, &late).is_ok(), "what was overtaken opens under the key before");
        }
    }
    assert_eq!((from.key_updates(), to.key_updates()), (1, 1));
}

/// A query without a ticket, its answer, and one with the ticket that came with it.
fn ask(lines: &mut String) {
    let (mut alice, mut bob) = (end(1, OF_INITIATOR), end(2, OF_RESPONDER));
    let theirs = link_public_key(&bob.local.me);
    let whom = (*bob.local.me.public_key(), &theirs);
    let key = *alice.local.me.public_key();
    line(lines, "query.initiator.ephemeral", &alice.rng.clone().bytes::<32>());
    line(lines, "query.responder.ephemeral", &bob.rng.clone().bytes::<32>());
    let (mut question, noise) =
        QueryProposal::ask(&alice.local, OF_INITIATOR, whom, b"who?", &mut alice.rng).unwrap();
    let (pattern, cookie) = (QUERY_PATTERN, &[][..]);
    let syn = Syn { pattern, connection: OF_INITIATOR, cookie, noise: &noise };
    line(lines, "query.syn", &unsealed(PacketType::Syn, 0, |out| syn.encode(out)));
    let heard = HeardQuestion::hear(&noise, &bob.local, OF_INITIATOR, &mut bob.rng).unwrap();
    assert_eq!((heard.key, &heard.body[..], heard.is_refused), (key, &b"who?"[..], false));
    let (name, secret) =
        (TicketName { nonce: [0x70; 8], issued: 1000 }, TicketSecret::new([0x73; 32]));
    let rest = ColdAnswer::encode(name, &secret, b"you");
    let noise = heard.answer(&bob.local, &rest).unwrap();
    let syn_ack = SynAck::Noise { pattern, noise: &noise };
    let datagram = unsealed(PacketType::SynAck, OF_INITIATOR, |out| syn_ack.encode(out));
    line(lines, "query.syn_ack", &datagram);
    assert_eq!(question.answer(&noise, &alice.local), Ok(rest));
    let (named, salt) = ((OF_INITIATOR, 5000), [0x72; 16]);
    let query = seal_query((name, &secret), (&key, alice.local.noise_static), named, b"who?");
    line(lines, "query.ticketed", &query);
    let header = |datagram: &[u8]| Header::decode(datagram).unwrap().0;
    assert_eq!(open_query(&secret, &header(&query), &query).unwrap(), b"who?");
    let answer = seal_answer(&secret, named, salt, b"you");
    line(lines, "query.answer", &answer);
    assert_eq!(open_answer(&secret, 5000, &header(&answer), &answer).unwrap(), b"you");
}

fn seal(
    from: &mut Protection,
    kind: PacketType,
    connection: u32,
    fragment: Fragment,
    frames: &[u8],
) -> Vec<u8> {
    let mut datagram = vec![0; HEADER_LEN];
    datagram.extend_from_slice(frames);
    datagram.extend_from_slice(&[0; TAG_LEN]);
    let payload_len = u32::try_from(datagram.len() - HEADER_LEN).unwrap();
    let mut flags = Flags::NONE;
    if kind == PacketType::Fragment {
        flags = Flags::FRAGMENTED.with(Flags::LAST_FRAGMENT).with(Flags::RELIABLE);
    }
    let header =
        Header { flags, fragment, payload_len, window: 256, ..Header::new(kind, connection) };
    header.encode(datagram.first_chunk_mut().unwrap());
    from.seal(Now::default().mono, &mut datagram).unwrap();
    datagram
}

fn open(to: &mut Protection, datagram: &[u8]) -> Result<Vec<u8>, Unopened> {
    let (header, _) = Header::decode(datagram).unwrap();
    let mut frames = Vec::new();
    to.open(Now::default().mono, THREE_PTO, &header, datagram, &mut frames)?;
    Ok(frames)
}

fn line(lines: &mut String, name: &str, bytes: &[u8]) {
    write!(lines, "{name} = ").unwrap();
    bytes.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
    lines.push('\n');
}
