use super::*;

/// What a stranger makes up: a sealed packet of this type for a connection.
fn made_up(kind: PacketType, wire: u32, number: u32, len: usize) -> Vec<u8> {
    let mut datagram = vec![0x5A; HEADER_LEN + len];
    let mut header = Header::new(kind, wire);
    header.flags = Flags::ENCRYPTED;
    if kind == PacketType::Fragment {
        header.flags = header.flags.with(Flags::FRAGMENTED);
        header.fragment = Fragment { id: number, index: 0, total: 900 };
    }
    (header.number, header.window) = (number, u16::MAX);
    header.payload_len = u32::try_from(len).unwrap();
    header.encode(datagram.first_chunk_mut().unwrap());
    datagram
}

/// Two nodes that talk, and the ids by which they call each other.
fn talking() -> (World, ConnectionId, u32) {
    let mut world = World::new(2);
    let connection = world.dial(0, 1, true);
    world.run();
    let wire = world.nodes[0].end.view(connection).unwrap().id_there.unwrap();
    (world, connection, wire)
}

fn heard(world: &World, n: usize) -> Vec<Bytes> {
    let body = |event: &EndpointEvent| match event {
        EndpointEvent::Message { body, .. } => Some(body.clone()),
        _ => None,
    };
    world.nodes[n].events.iter().filter_map(body).collect()
}

/// Node 0 says something, and it arrives.
fn say(world: &mut World, connection: ConnectionId, body: Bytes) {
    let now = world.now;
    world.nodes[0].end.send(now, connection, 0, Delivery::Ordered, body).unwrap();
    world.run();
}

fn assert_alive(world: &mut World, connection: ConnectionId) {
    world.advance(Duration::from_secs(1));
    let before = heard(world, 1).len();
    say(world, connection, Bytes::from_static(b"alive"));
    assert_eq!(heard(world, 1).len(), before + 1);
    assert_eq!((world.closed(0), world.closed(1)), (vec![], vec![]));
}

#[test]
fn of_a_million_first_fragments_of_strangers_nothing_is_kept() {
    let mut victim = Victim::new();
    let mut packet = made_up(PacketType::Fragment, 1, 0, 1100);
    let (mut hints, mut buf) = (0, Vec::with_capacity(2048));
    let used = allocation_counter::measure(|| {
        for n in 1..=1_000_000_u32 {
            packet[28..32].copy_from_slice(&n.to_be_bytes());
            packet[20..24].copy_from_slice(&n.to_be_bytes());
            victim.end.handle_datagrams(victim.now, stranger(n), packet.len(), &packet);
            while let Some(transmit) = victim.end.poll_transmit(victim.now, 8, &mut buf) {
                hints += 1;
                assert!(transmit.len < 40);
            }
        }
    });
    assert!(used.bytes_max < 64 * 1024, "{} bytes", used.bytes_max);
    assert!(used.bytes_current < 4096, "{} bytes stay", used.bytes_current);
    assert_eq!((hints, victim.end.counters().unknown_connections), (10, 1_000_000));
    assert_eq!((victim.end.half_open(), victim.end.views().len(), victim.unfinished()), (0, 0, 0));
}

#[test]
fn a_million_forged_and_replayed_packets_do_not_touch_a_live_session() {
    let (mut world, connection, wire) = talking();
    let honest = world.nodes[0].addr;
    let rng = &mut Seed::from_number(7).stream("forger");
    let mut said = Vec::new();
    for round in 0..1000_u32 {
        let body = Bytes::from(round.to_be_bytes().to_vec());
        said.push(body.clone());
        say(&mut world, connection, body);
        world.advance(Duration::from_millis(20));
        let genuine: Vec<Vec<u8>> = {
            let sealed = |(from, _, datagram): &&super::super::Packet| {
                *from == honest && Header::decode(datagram).unwrap().0.connection == wire
            };
            world.sent.iter().rev().filter(sealed).take(20).map(|packet| packet.2.clone()).collect()
        };
        for n in 0..1000_u32 {
            let mut datagram = rng.choose(&genuine).unwrap().clone();
            let from = if n % 3 == 0 { stranger(n) } else { honest };
            match n % 4 {
                // As it was, again.
                0 => {}
                // One that was never sent, in every field as the next one would be.
                1 => {
                    let next = u32::from_be_bytes(*datagram[4..].first_chunk().unwrap()) + n % 64;
                    datagram[4..8].copy_from_slice(&next.to_be_bytes());
                }
                // A bit of it, anywhere but in the id.
                2 => {
                    let at = rng.index(datagram.len());
                    let at = if (28..32).contains(&at) { 4 } else { at };
                    datagram[at] ^= 1 << (n % 8);
                }
                // A first fragment that claims the number and the id of a message to come.
                _ => datagram = made_up(PacketType::Fragment, wire, round + n % 9, 100),
            }
            world.nodes[1].end.handle_datagrams(world.now, from, datagram.len(), &datagram);
        }
        let node = &mut world.nodes[1];
        node.events.extend(std::iter::from_fn(|| node.end.poll_event()));
        // What was sent before is not needed any more.
        let keep = world.sent.len().saturating_sub(64);
        world.sent.drain(..keep);
    }
    assert_eq!(heard(&world, 1), said, "each once, in order, and nothing else");
    let counters = world.nodes[1].end.counters();
    let refused = counters.decrypt_failed + counters.replayed + counters.malformed;
    assert!(refused > 990_000, "{counters:?}");
    assert!(counters.replayed > 200_000 && counters.decrypt_failed > 200_000, "{counters:?}");
    assert_eq!(counters.migrations, 0);
    assert_alive(&mut world, connection);
}

#[test]
fn nobody_ends_a_session_from_outside() {
    let (mut world, connection, wire) = talking();
    let ours = world.nodes[1].end.views()[0].id_there.unwrap();
    let (honest, to) = (world.nodes[0].addr, world.nodes[1].addr);
    // A second session of the same two, whose FIN and RST are genuine.
    let mut genuine = Vec::new();
    for resets in [true, false] {
        let other = world.dial(0, 1, true);
        world.run();
        let now = world.now;
        if resets {
            world.nodes[0].end.reset(now, other, CloseReason::Pruned);
        } else {
            world.nodes[0].end.close(now, other, CloseReason::Pruned);
        }
        world.advance(Duration::from_secs(2));
    }
    for kind in [PacketType::Fin, PacketType::Rst] {
        genuine.extend(world.sent_by(0, kind));
    }
    assert_eq!(genuine.len(), 2);
    let ended_before = world.closed(1).len();
    for from in [honest, stranger(1)] {
        for hint in [Hint::Version, Hint::NotThisKey, Hint::NoSuchConnection] {
            // By the id of either end.
            for id in [wire, ours] {
                let hint = unsealed(PacketType::Rst, id, |out| hint.encode(out));
                world.deliver(&(from, to, hint));
            }
        }
        for kind in [PacketType::Rst, PacketType::Fin, PacketType::FinAck] {
            for number in 0..100 {
                world.deliver(&(from, to, made_up(kind, wire, number, 60)));
            }
        }
        for mut packet in genuine.clone() {
            world.deliver(&(from, to, packet.clone()));
            packet[28..32].copy_from_slice(&wire.to_be_bytes());
            world.deliver(&(from, to, packet));
        }
        let before = world.sent.len();
        world.run();
        // The other end is asked about them at the most; strangers hear that there is no such
        // session as the one that is over.
        let strangely = world.sent[before..].iter().filter(|(_, to, _)| *to == stranger(1));
        assert!(strangely.clone().all(|(_, _, datagram)| datagram.len() == HEADER_LEN + 1));
        assert!(strangely.count() <= 2);
    }
    assert_eq!(world.closed(1).len(), ended_before);
    let before = heard(&world, 1).len();
    say(&mut world, connection, Bytes::from_static(b"alive"));
    assert_eq!(heard(&world, 1).len(), before + 1);
    let state = world.nodes[0].end.view(connection).map(|view| view.state);
    assert_eq!(state, Some(ConnectionState::Established));
}

#[test]
fn first_messages_of_a_live_session_sent_again_are_bounded_and_do_nothing_to_it() {
    for knows in [true, false] {
        let mut world = World::new(2);
        let connection = world.dial(0, 1, knows);
        world.run();
        let (honest, to, syn) = world.sent[0].clone();
        assert_eq!(syn[2], PacketType::Syn as u8);
        let mut answered = 0;
        for n in 0..100_000 {
            let from = if n % 2 == 0 { honest } else { stranger(n % 50_000) };
            let end = &mut world.nodes[1].end;
            end.handle_datagrams(world.now, from, syn.len(), &syn);
            let mut buf = Vec::new();
            while let Some(transmit) = end.poll_transmit(world.now, 8, &mut buf) {
                answered += transmit.len;
            }
        }
        assert!(answered < 100_000 * syn.len());
        assert!(world.nodes[1].end.half_open() <= crate::limits::COOKIES_FROM, "{knows}");
        assert_eq!(world.nodes[1].addr, to);
        world.advance(HANDSHAKE_TIMEOUT);
        assert_eq!((world.accepted(1), world.nodes[1].end.half_open()), (1, 0));
        assert_alive(&mut world, connection);
    }
}

#[test]
fn a_syn_and_a_packet_of_a_later_version_are_dropped_and_counted() {
    let mut victim = Victim::new();
    let syn = Syn { pattern: 4, connection: 7, cookie: &[], noise: &[0x4E; 96] };
    let padded = unsealed(PacketType::Syn, 0, |out| syn.encode(out));
    let short = unsealed(PacketType::Syn, 0, |out| out.extend_from_slice(&[4, 0, 0, 0, 7, 44]));
    let mut later = made_up(PacketType::Data, 1, 1, 100);
    later[2] = 15;
    for (n, datagram) in [padded, short, later].iter().enumerate() {
        let from = stranger(u32::try_from(n).unwrap());
        victim.hear(from, datagram);
        assert_eq!(victim.ledger[&from], (datagram.len(), 0));
    }
    let counters = victim.end.counters();
    assert_eq!((counters.handshakes_failed, counters.malformed), (1, 2));
}
