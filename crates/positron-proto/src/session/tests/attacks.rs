use super::*;
use crate::{
    handshake::{agreement::HandshakeCarrier, hello::Local, noise::Pattern},
    stream::handshake::{Kind, framed},
};

/// A connection to node `n` over which bytes are said by hand.
fn stranger(world: &mut World, n: usize, name: u64) -> LinkId {
    let link = LinkId::of_driver(10_000 + name);
    let from = SocketAddr::from(([10, 7, 7, 7], 7));
    let mut out = VecDeque::new();
    let now = world.now;
    world.nodes[n].sessions.handle_accepted(now, LinkKind::Tcp, link, from, None, &mut out);
    link
}

/// What node `n` does about bytes of a link.
fn hears(world: &mut World, n: usize, link: LinkId, bytes: &[u8]) -> Vec<SessionEffect> {
    let (now, mut out) = (world.now, VecDeque::new());
    let sessions = &mut world.nodes[n].sessions;
    sessions.handle_bytes(now, link, Bytes::copy_from_slice(bytes), &mut out);
    sessions.flush(now, &mut out);
    out.into()
}

fn written(out: &[SessionEffect]) -> Vec<u8> {
    let bytes = out.iter().filter_map(|out| match out {
        SessionEffect::Write { bytes, .. } => Some(bytes.as_ref()),
        _ => None,
    });
    bytes.collect::<Vec<_>>().concat()
}

/// The first message of a dial from node 0 to node 1, which does not arrive.
fn syn_of(world: &mut World, dial: DialRequest) -> Vec<u8> {
    world.dial(0, dial);
    let wire = world.wires.len() - 1;
    world.wires[wire].pipes[0].pop_front().unwrap().to_vec()
}

#[test]
fn a_node_that_claims_the_key_of_another_is_not_answered() {
    let mut world = World::new(2);
    let network = config().network;
    let mallory = Identity::from_seed([66; 32]);
    let alice = Local::new(Arc::new(Identity::from_seed([67; 32])), network, 1);
    // Alice's hello with her own true binding, said under Mallory's static key.
    let hello = alice.hello(3, None).encode();
    let theirs = world.nodes[1].noise_static;
    let prologue = HandshakeCarrier::Stream { certificate: None }.prologue(Pattern::Ik);
    let mut noise = Pattern::Ik.initiator(&prologue, &mallory, Some(&theirs), [5; 32]).unwrap();
    let mut message = Vec::new();
    noise.write(&hello, &mut message).unwrap();
    let syn = framed(Kind::Syn, Pattern::Ik, &message).unwrap();
    let link = stranger(&mut world, 1, 0);
    let out = hears(&mut world, 1, link, &syn);
    assert_eq!(out, [SessionEffect::Hangup { link, how: Hangup::Abort }]);
    assert_eq!(world.nodes[1].sessions.counters().handshakes_failed, 1);
}

#[test]
fn an_answer_under_a_key_that_its_identity_did_not_bind_fails_the_dial() {
    let mut world = World::new(2);
    let network = config().network;
    let mallory = Identity::from_seed([66; 32]);
    let dial = DialRequest { noise_static: None, ..world.known(1) };
    let syn = syn_of(&mut world, dial);
    let prologue = HandshakeCarrier::Stream { certificate: None }.prologue(Pattern::Xx);
    let mut noise = Pattern::Xx.responder(&prologue, &mallory, [5; 32]).unwrap();
    noise.read(&syn[6..]).unwrap();
    let bob = Local::new(
        world.nodes[1].sessions.carriers_mut().streams.local_mut().me.clone(),
        network,
        1,
    );
    let hello = bob.hello(1, None).encode();
    let mut message = Vec::new();
    noise.write(&hello, &mut message).unwrap();
    let syn_ack = framed(Kind::SynAck, Pattern::Xx, &message).unwrap();
    world.wires[0].pipes[1].push_back(syn_ack.into());
    world.carry(0, 1);
    let unproven =
        DialFailure::from(HandshakeFailure::Broken("the other end did not prove its identity"));
    assert_eq!(world.failures(0), [unproven]);
}

#[test]
fn a_first_message_sent_again_does_nothing_to_a_live_session() {
    let mut world = World::new(2);
    let to_second = world.known(1);
    world.dial(0, to_second);
    let syn = world.wires[0].pipes[0][0].clone();
    world.run();
    world.send(0, 1, Lane::GOSSIP, "before");
    world.run();
    let before = world.nodes[1].said.len();
    for again in 0..5 {
        let link = stranger(&mut world, 1, again);
        let out = hears(&mut world, 1, link, &syn);
        assert!(
            matches!(out[..], [SessionEffect::Write { .. }]),
            "a SYN_ACK and nothing else: {out:?}"
        );
        // The attacker has no keys: whatever it sends next ends its link.
        let out = hears(&mut world, 1, link, &[0, 0, 0, 40, 1, 2, 3]);
        assert_eq!(out, []);
        let out = hears(&mut world, 1, link, &[7; 60]);
        assert_eq!(out, [SessionEffect::Hangup { link, how: Hangup::Abort }]);
    }
    assert_eq!(world.nodes[1].said.len(), before);
    assert_eq!(world.nodes[1].sessions.counters().sessions, 1);
    world.send(0, 1, Lane::GOSSIP, "after");
    world.send(1, 0, Lane::GOSSIP, "after");
    world.run();
    assert_eq!(world.heard(1), ["before", "after"]);
    assert_eq!(world.heard(0), ["after"]);
}

#[test]
fn messages_of_one_handshake_are_of_no_use_in_another() {
    for known in [true, false] {
        let mut world = World::new(2);
        let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
        for wire in [0, 1] {
            world.dial(0, dial);
            world.carry(wire, 0);
        }
        // The two answers change places.
        let answers = [0, 1].map(|wire: usize| world.wires[wire].pipes[1].pop_front().unwrap());
        let [first, second] = answers;
        world.wires[0].pipes[1].push_back(second);
        world.wires[1].pipes[1].push_back(first);
        world.run();
        let broken = DialFailure::from(HandshakeFailure::Broken("its message does not open"));
        assert_eq!(world.failures(0), [broken.clone(), broken]);
        assert_eq!(world.ups(0) + world.ups(1), 0);
    }
    // The same with the third message of XX.
    let mut world = World::new(2);
    let dial = dial(world.nodes[1].addr);
    for wire in [0, 1] {
        world.dial(0, dial);
        world.carry(wire, 0);
        world.carry(wire, 1);
    }
    let [first, second] = [0, 1].map(|wire: usize| world.wires[wire].pipes[0].pop_front().unwrap());
    world.wires[0].pipes[0].push_back(second);
    world.wires[1].pipes[0].push_back(first);
    world.run();
    assert_eq!(world.ups(0) + world.ups(1), 0);
    assert_eq!(world.nodes[1].sessions.counters().handshakes_failed, 2);
}

#[test]
fn a_node_does_not_take_its_own_words_for_those_of_another() {
    for known in [true, false] {
        for kind in [1, 2] {
            let mut world = World::new(2);
            let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
            let mut syn = syn_of(&mut world, dial);
            syn[2] = kind;
            world.wires[0].pipes[1].push_back(syn.into());
            world.carry(0, 1);
            let [DialFailure::Handshake(HandshakeFailure::Broken(_))] = world.failures(0)[..]
            else {
                panic!("{:?}", world.failures(0));
            };
        }
    }
    // Sealed records come back.
    let mut world = World::connected();
    world.send(0, 1, Lane::GOSSIP, "to the other");
    let record = world.wires[0].pipes[0].pop_front().unwrap();
    world.wires[0].pipes[1].push_back(record);
    world.run();
    assert_eq!(world.heard(0), [""; 0]);
    assert!(!world.is_up(0, 1));
    assert_eq!(world.nodes[0].sessions.counters().decrypt_failed, 1);
}

#[test]
fn a_flipped_bit_anywhere_in_a_sealed_stream_ends_the_link_and_delivers_nothing_false() {
    let bodies = ["one", "two", "three"];
    let stream_len = {
        let mut world = World::connected();
        for body in bodies {
            world.send(0, 1, Lane::GOSSIP, body);
        }
        world.wires[0].pipes[0].iter().map(Bytes::len).sum::<usize>()
    };
    for at in 0..stream_len {
        let mut world = World::connected();
        for body in bodies {
            world.send(0, 1, Lane::GOSSIP, body);
        }
        let mut stream: Vec<u8> = world.wires[0].pipes[0].drain(..).flatten().collect();
        stream[at] ^= 1 << (at % 8);
        world.wires[0].pipes[0].push_back(stream.into());
        world.carry(0, 0);
        // A longer length waits for bytes that the honest sender has yet to write; then its peer
        // looks like one that reads and never acknowledges.
        world.advance(secs(12));
        assert!(!world.is_up(1, 0) && !world.is_up(0, 1), "byte {at}");
        let heard = world.heard(1);
        assert!(heard.len() < 3 && heard == bodies[..heard.len()], "byte {at}: {heard:?}");
        let misbehaved = |out: &SessionEffect| matches!(out, SessionEffect::Misbehaved { .. });
        assert_eq!(world.count(1, misbehaved), 0, "nobody is blamed for broken bytes");
        if world.downs(0) == [DownReason::ByPeer(CloseReason::RecordBroken)] {
            let again = world.known(1);
            world.dial(0, again);
            world.run();
            assert_eq!(world.heard(1), bodies, "byte {at}: whole again on the next link");
        } else {
            assert!(at % (stream_len / 3) < 4, "byte {at}: {:?}", world.downs(0));
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_handshake_makes_no_session_with_anybody_else() {
    for (known, side, message) in
        [(true, 0, 0), (true, 1, 0), (false, 0, 0), (false, 1, 0), (false, 0, 1)]
    {
        for at in 0.. {
            let mut world = World::new(2);
            let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
            world.dial(0, dial);
            for _ in 0..side + 2 * message {
                let _moved = world.carry(0, 0) || world.carry(0, 1);
            }
            let mut bytes = world.wires[0].pipes[side].pop_front().unwrap().to_vec();
            if at == bytes.len() {
                break;
            }
            bytes[at] ^= 1 << (at % 8);
            world.wires[0].pipes[side].push_front(bytes.into());
            world.run();
            world.advance(secs(6));
            let which = format!("known {known}, side {side}, message {message}, byte {at}");
            assert_eq!(world.outcomes(0).len(), 1, "{which}");
            for n in [0, 1] {
                assert_eq!(world.nodes[n].sessions.half_open(), 0, "{which}");
                assert_eq!(world.is_up(n, 1 - n), world.is_up(1 - n, n), "{which}");
                assert!(world.nodes[n].sessions.conversations.peers().count() <= 1);
            }
        }
    }
}

#[test]
fn garbage_gets_silence() {
    let mut rng = Seed::from_number(1).stream("garbage");
    for round in 0..500 {
        let mut world = World::new(1);
        let link = stranger(&mut world, 0, 0);
        let mut bytes = vec![0; rng.index(2000) + 1];
        rng.fill(&mut bytes);
        if round % 2 == 0 {
            // Well-formed, with random contents.
            let len = u16::try_from(rng.index(300)).unwrap();
            let pattern = u8::try_from(1 + round / 2 % 2).unwrap();
            let [high, low] = len.to_be_bytes();
            bytes.splice(..0, [0xBE, 1, 1, pattern, high, low]);
        }
        let out = hears(&mut world, 0, link, &bytes);
        let answer = written(&out);
        assert!(answer.len() <= 300, "round {round}: {} bytes", answer.len());
        if round % 2 == 1 && bytes[0] != 0xBE {
            assert_eq!(out, [SessionEffect::Hangup { link, how: Hangup::Abort }]);
            assert_eq!(world.nodes[0].sessions.counters().protocol_mismatches, 1);
        }
        assert_eq!(world.nodes[0].sessions.conversations.peers().count(), 0);
    }
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\u{0}"] {
        let mut world = World::new(1);
        let link = stranger(&mut world, 0, 0);
        let out = hears(&mut world, 0, link, bytes.as_bytes());
        assert_eq!(out, [SessionEffect::Hangup { link, how: Hangup::Abort }]);
    }
}

#[test]
fn a_length_of_four_gigabytes_costs_nothing() {
    let mut world = World::connected();
    world.wires[0].pipes[0].push_back(Bytes::from_static(&[0xFF; 4]));
    world.carry(0, 0);
    assert!(!world.is_up(1, 0));
    assert_eq!(world.nodes[1].sessions.counters().decrypt_failed, 1);

    let link = stranger(&mut world, 1, 0);
    let out = hears(&mut world, 1, link, &[0xBE, 1, 1, 1, 0xFF, 0xFF]);
    assert_eq!(out, [SessionEffect::Hangup { link, how: Hangup::Abort }]);
}

#[test]
fn a_stream_that_ends_anywhere_leaves_nothing_behind() {
    let total = {
        let mut world = World::new(2);
        let dial = dial(world.nodes[1].addr);
        world.dial(0, dial);
        world.run();
        world.nodes[1].sessions.counters().bytes_received
    };
    for ends_after in 0..total {
        let mut world = World::new(2);
        let dial = dial(world.nodes[1].addr);
        world.dial(0, dial);
        let mut left = usize::try_from(ends_after).unwrap();
        while left > 0 {
            while let Some(mut bytes) = world.wires[0].pipes[0].pop_front() {
                let head = bytes.split_to(bytes.len().min(left));
                left -= head.len();
                let (n, link) = world.wires[0].ends[1];
                world.with(n, |s, now, out| s.handle_bytes(now, link, head, out));
            }
            if !world.carry(0, 1) {
                break;
            }
        }
        world.reset(0);
        world.advance(secs(40));
        for node in &world.nodes {
            assert!(!node.sessions.has_links() && node.sessions.conversations.peers().count() == 0);
            assert_eq!(node.sessions.poll_timeout(), None, "after {ends_after} bytes");
        }
        assert_eq!(world.outcomes(0).len(), 1);
    }
}
