//! The second query to a node, and what somebody can make of it who is not its sender.

use super::*;

/// The patience of a path without delay.
const PATIENCE: Duration = crate::limits::TICKET_PATIENCE_LEAST;

/// Two nodes, of which the first holds a ticket of the second.
fn acquainted() -> World {
    let mut world = World::new(3);
    world.ask(0, 1, 0, b"hello").unwrap();
    world.run();
    assert_eq!(world.answers(0), [(0, Ok(&b"olleh"[..]))]);
    for node in &mut world.nodes {
        node.queries.clear();
        node.asked.clear();
    }
    world.sent.clear();
    world
}

/// The packet of a query that is under way.
fn caught(world: &mut World, id: u64, body: &[u8]) -> Packet {
    world.ask(0, 1, id, body).unwrap();
    world.collect();
    world.wire.pop_front().unwrap()
}

fn restart(world: &mut World, n: usize, seed: u8) {
    let me = Arc::new(Identity::from_seed([seed; 32]));
    let config = EndpointConfig::new(NetworkId::from_name("test"));
    let rng = Seed::from_number(u64::from(seed) + 100).stream("endpoint");
    world.nodes[n].end = Endpoint::new(config, me, 99, rng);
}

#[test]
fn the_second_query_to_a_node_is_one_small_packet_each_way() {
    let mut world = acquainted();
    world.ask(0, 1, 1, b"and now?").unwrap();
    world.run();
    assert_eq!(world.answers(0), [(1, Ok(&b"?won dna"[..]))]);
    assert_eq!(world.asked(1), [(&b"and now?"[..], true)]);
    assert_eq!(world.nodes[1].asked[0].from, world.asker(0));
    let lens: Vec<_> = world.sent.iter().map(|(_, _, sent)| (sent[2], sent.len())).collect();
    let query = HEADER_LEN + QueryPacket::CLEAR + 8 + 16;
    let answer = HEADER_LEN + 16 + 8 + 16;
    assert_eq!(lens, [(PacketType::Query as u8, query), (PacketType::Answer as u8, answer)]);
    world.assert_nothing_is_left(1);
    world.assert_nothing_is_left(0);
    // Only that node's, and only where it was.
    world.ask(0, 2, 2, b"a").unwrap();
    let elsewhere = QueryTarget { addr: "10.1.0.1:7001".parse().unwrap(), ..world.target(1) };
    let (now, end) = (world.now, &mut world.nodes[0].end);
    end.query(now, elsewhere, QueryId(3), Bytes::new()).unwrap();
    world.collect();
    let sent = &world.sent[2..];
    assert!(sent.iter().all(|(_, _, sent)| sent[2] == PacketType::Syn as u8));
}

#[test]
fn every_byte_of_a_query_and_of_its_answer_counts() {
    let mut world = acquainted();
    let (from, to, query) = caught(&mut world, 1, b"a");
    let sums = HEADER_LEN - 18..HEADER_LEN - 16;
    let variants = |genuine: &[u8]| {
        let changed = (0..genuine.len()).filter(|at| !sums.contains(at)).map(|at| {
            let mut forged = genuine.to_vec();
            forged[at] ^= 1;
            put_checksum(&mut forged);
            forged
        });
        let cut = (0..genuine.len()).map(|len| genuine[..len].to_vec());
        changed.chain(cut).collect::<Vec<_>>()
    };
    for forged in variants(&query) {
        world.deliver(&(from, to, forged));
    }
    assert_eq!(world.asked(1), []);
    world.deliver(&(from, to, query));
    world.collect();
    world.wire.clear();
    let (_, _, answer) = world.sent.last().unwrap().clone();
    for forged in variants(&answer) {
        world.deliver(&(to, from, forged));
    }
    assert_eq!(world.answers(0), []);
    world.deliver(&(world.nodes[2].addr, from, answer.clone()));
    assert_eq!(world.answers(0), []);
    world.deliver(&(to, from, answer.clone()));
    world.deliver(&(to, from, answer));
    assert_eq!(world.answers(0), [(1, Ok(&b"a"[..]))]);
}

#[test]
fn a_ticket_is_of_no_use_from_another_address_and_costs_its_address_nothing() {
    let mut world = acquainted();
    let (from, to, query) = caught(&mut world, 1, b"a");
    for stolen in ["10.2.0.1:7000", "10.0.0.1:7001", "[::1]:7000", "127.0.0.1:7000"] {
        world.deliver(&(stolen.parse().unwrap(), to, query.clone()));
    }
    world.collect();
    assert_eq!((world.asked(1), world.wire.len()), (vec![], 0));
    assert_eq!(world.nodes[1].end.counters().tickets_refused, 4);
    // Ten times what the address may ask, none of it sealed by its owner.
    let mut forged = query.clone();
    forged[query.len() - 1] ^= 1;
    for _ in 0..10 * QUERIES_PER_ADDRESS {
        world.deliver(&(from, to, forged.clone()));
    }
    world.deliver(&(from, to, query));
    world.run();
    assert_eq!(world.answers(0), [(1, Ok(&b"a"[..]))]);
}

/// What a copy brings whoever sends it: the same answer to the same address, which opens only
/// there, and after ten seconds nothing.
#[test]
fn a_copy_of_a_query_with_a_ticket_is_of_no_use_after_ten_seconds() {
    let mut world = acquainted();
    world.advance(Duration::from_secs(100));
    let (from, to, query) = caught(&mut world, 1, b"abc");
    let mut answers = Vec::new();
    for _ in 0..3 {
        world.deliver(&(from, to, query.clone()));
        world.collect();
        answers.push(world.wire.pop_front().unwrap().2);
    }
    // The bodies are the same, and nothing of what is sealed is: no key seals twice.
    let sealed = |n: usize| &answers[n][HEADER_LEN..];
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let equal = sealed(a).iter().zip(sealed(b)).filter(|(a, b)| a == b).count();
        assert!(equal < 6, "{equal} bytes of {} are the same", sealed(a).len());
    }
    world.now.mono = world.now.mono + TICKET_LATENESS;
    world.deliver(&(from, to, query.clone()));
    assert_eq!(world.asked(1).len(), 4);
    world.now.mono = world.now.mono + Duration::from_secs(1);
    world.deliver(&(from, to, query));
    assert_eq!((world.asked(1).len(), world.nodes[1].end.counters().tickets_refused), (4, 1));
}

#[test]
fn a_node_that_knows_its_tickets_no_more_is_asked_without_one_after_a_silence() {
    let mut world = acquainted();
    restart(&mut world, 1, 2);
    world.ask(0, 1, 1, b"a").unwrap();
    world.advance(PATIENCE - Duration::from_millis(1));
    let types = |world: &World| world.sent.iter().map(|(_, _, sent)| sent[2]).collect::<Vec<_>>();
    assert_eq!(types(&world), [PacketType::Query as u8]);
    world.advance(Duration::from_millis(1));
    let (query, syn, syn_ack) = (PacketType::Query, PacketType::Syn, PacketType::SynAck);
    assert_eq!(types(&world), [query as u8, syn as u8, syn_ack as u8]);
    assert_eq!(world.answers(0), [(1, Ok(&b"a"[..]))]);
    let counters = world.nodes[0].end.counters();
    assert_eq!((counters.tickets_in_vain, counters.queries_failed), (1, 0));
    // And then there is a ticket again.
    world.ask(0, 1, 2, b"b").unwrap();
    world.run();
    assert_eq!(types(&world)[3..], [query as u8, PacketType::Answer as u8]);
    for n in [0, 1] {
        world.assert_nothing_is_left(n);
    }
}

/// Each word that anybody on the path may say, and each byte of it: none brings about the dear
/// query before silence does.
#[test]
fn no_word_of_a_stranger_makes_us_ask_without_our_ticket() {
    let mut world = acquainted();
    let (from, to, query) = caught(&mut world, 1, b"a");
    let wire = u32::from_be_bytes(*query[..HEADER_LEN].last_chunk().unwrap());
    let mut words = Vec::new();
    for hint in [Hint::Version, Hint::NotThisKey, Hint::NoSuchConnection] {
        words.push(super::unsealed(PacketType::Rst, wire, |out| hint.encode(out)));
    }
    let (cookie, noise) = (&[7; 40][..], &[7; 200][..]);
    for answer in [
        SynAck::Cookie { cookie },
        SynAck::Noise { pattern: QUERY_PATTERN, noise },
        SynAck::Noise { pattern: 1, noise },
    ] {
        words.push(super::unsealed(PacketType::SynAck, wire, |out| answer.encode(out)));
    }
    for kind in PacketType::ALL {
        for flags in [Flags::NONE, Flags::ENCRYPTED] {
            let mut word = vec![9; 100];
            let header = Header { flags, payload_len: 68, ..Header::new(kind, wire) };
            header.encode(word.first_chunk_mut().unwrap());
            put_checksum(&mut word);
            words.push(word);
        }
    }
    let before = world.sent.len();
    for word in words {
        world.deliver(&(to, from, word));
        world.collect();
    }
    // Some are answered by a hint that nobody has such a connection.
    let is_more = |(_, _, sent): &&Packet| sent[2] != PacketType::Rst as u8;
    assert_eq!(world.sent[before..].iter().filter(is_more).count(), 0);
    world.deliver(&(from, to, query));
    world.run();
    assert_eq!(world.answers(0), [(1, Ok(&b"a"[..]))]);
    assert_eq!(world.nodes[0].end.counters().tickets_in_vain, 0);
}

#[test]
fn either_answer_counts_when_the_first_one_is_late() {
    for late in [false, true] {
        let mut world = acquainted();
        let (from, to, query) = caught(&mut world, 1, b"a");
        world.deliver(&(from, to, query));
        world.collect();
        let answer = world.wire.pop_front().unwrap();
        world.now.mono = world.now.mono + PATIENCE;
        world.nodes[0].end.handle_timeout(world.now);
        world.collect();
        let syn = world.wire.pop_front().unwrap();
        assert_eq!(syn.2[2], PacketType::Syn as u8);
        if late {
            world.deliver(&answer);
        }
        world.deliver(&syn);
        world.run();
        world.deliver(&answer);
        let rtt = |event: &QueryEvent| match event {
            QueryEvent::Answered { rtt, .. } => Some(*rtt),
            _ => None,
        };
        let rtts: Vec<_> = world.nodes[0].queries.iter().filter_map(rtt).collect();
        assert_eq!(rtts, [if late { PATIENCE } else { Duration::ZERO }]);
        world.assert_nothing_is_left(0);
    }
}

#[test]
fn a_query_that_only_a_ticket_carries_fails_with_it() {
    let mut world = acquainted();
    restart(&mut world, 1, 2);
    world.ask(0, 1, 1, &[1; MAX_COLD_QUERY + 1]).unwrap();
    world.advance(QUERY_TIMEOUT);
    assert_eq!(world.answers(0), [(1, Err(QueryFailure::Silent))]);
    assert_eq!(world.sent.len(), 1);
    world.assert_nothing_is_left(0);
    let too = NotAsked::TooLarge { len: MAX_COLD_QUERY + 1, limit: MAX_COLD_QUERY };
    assert_eq!(world.ask(0, 1, 2, &[1; MAX_COLD_QUERY + 1]), Err(too), "it has no ticket now");
}

#[test]
fn a_ticket_lasts_an_hour_through_one_change_of_keys() {
    let mut world = acquainted();
    let types = |world: &mut World, id: u64| {
        world.sent.clear();
        world.ask(0, 1, id, b"a").unwrap();
        world.run();
        assert_eq!(world.answers(0).last().unwrap().0, id);
        PacketType::from_byte(world.sent[0].2[2]).unwrap()
    };
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    world.advance(minutes(59));
    assert_eq!(types(&mut world, 1), PacketType::Query);
    world.advance(minutes(1));
    assert_eq!(types(&mut world, 2), PacketType::Query, "to the very end");
    world.advance(Duration::from_millis(1));
    assert_eq!(types(&mut world, 3), PacketType::Syn, "that brings a new one under new keys");
    world.advance(minutes(59));
    // Somebody else's makes the keys change.
    assert_eq!(types(&mut world, 4), PacketType::Query);
    world.advance(minutes(2));
    world.ask(2, 1, 0, b"a").unwrap();
    world.run();
    assert_eq!(types(&mut world, 5), PacketType::Syn);
    assert!(TICKET_LIFE == minutes(60));
}
