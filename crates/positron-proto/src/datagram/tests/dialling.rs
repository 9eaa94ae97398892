use super::*;

/// The packets of a handshake in which nothing goes wrong.
fn packets(knows: bool) -> usize {
    let mut world = World::new(2);
    world.dial(0, 1, knows);
    world.run();
    assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
    world.sent.len()
}

/// Runs a handshake in which packet `at` becomes what `change` makes of it, and gives it time.
fn with_packet(knows: bool, at: usize, change: impl Fn(&Packet) -> Vec<Packet>) -> World {
    let mut world = World::new(2);
    world.dial(0, 1, knows);
    let mut count = 0;
    world.run_with(|packet| {
        count += 1;
        if count == at + 1 { change(packet) } else { vec![packet.clone()] }
    });
    world.advance(Duration::from_secs(3));
    world
}

fn assert_connected(world: &World, what: &str) {
    assert_eq!((world.closed(0), world.closed(1)), (vec![], vec![]), "{what}");
    assert_eq!((world.connected(0), world.accepted(1)), (1, 1), "{what}");
    assert_eq!((world.established(0), world.established(1)), (1, 1), "{what}");
    assert_eq!((world.closed(0), world.closed(1)), (vec![], vec![]), "{what}");
}

#[test]
fn both_ends_know_each_other_after_either_pattern() {
    for knows in [true, false] {
        let mut world = World::new(2);
        let id = world.dial(0, 1, knows);
        world.run();
        assert_connected(&world, "without loss");
        let remote = world.nodes[0].end.view(id).unwrap().remote.unwrap();
        assert_eq!((remote.id, remote.addr), (world.nodes[1].id, world.nodes[1].addr));
        assert_eq!((remote.noise_static, remote.boot), (world.nodes[1].noise_static, 2));
        let remote = world.nodes[1].end.views()[0].remote.unwrap();
        assert_eq!((remote.id, remote.addr), (world.nodes[0].id, world.nodes[0].addr));
        let syn = &world.sent_by(0, PacketType::Syn)[0];
        assert_eq!(syn.len(), LEAST_DATAGRAM);
    }
}

#[test]
fn a_dial_to_where_there_is_no_way_ends_at_once_and_nothing_else_does() {
    let mut world = World::new(3);
    let nowhere = world.dial(0, 1, true);
    world.dial(0, 2, true);
    let (now, to) = (world.now, world.nodes[1].addr);
    world.nodes[0].end.handle_no_way(now, to);
    world.nodes[0].attend(now);
    assert_eq!(world.closed(0), [Closed::NoWay]);
    assert!(world.nodes[0].end.view(nowhere).is_none());
    world.run();
    assert_eq!((world.connected(0), world.accepted(2)), (1, 1));
    // What is agreed goes on: a way may be found again.
    let (now, to) = (world.now, world.nodes[2].addr);
    world.nodes[0].end.handle_no_way(now, to);
    world.run();
    assert_eq!((world.established(0), world.established(2)), (1, 1));
    assert_eq!(world.closed(0), [Closed::NoWay]);
}

#[test]
fn any_one_packet_may_be_lost() {
    for knows in [true, false] {
        for at in 0..packets(knows) {
            let world = with_packet(knows, at, |_| vec![]);
            assert_connected(&world, &format!("{knows} {at}"));
        }
    }
}

#[test]
fn a_sealed_packet_that_overtakes_the_third_message_waits_for_it() {
    let mut world = World::new(2);
    let id = world.dial(0, 1, false);
    world.nodes[0].end.send(world.now, id, 0, Delivery::Ordered, "hello").unwrap();
    let mut held = None;
    world.run_with(|packet| {
        if packet.2[2] == PacketType::Ack as u8 && held.is_none() {
            held = Some(packet.clone());
            return vec![];
        }
        let is_sealed = packet.2[2] == PacketType::Data as u8;
        let late = held.take_if(|_| is_sealed);
        [packet.clone()].into_iter().chain(late).collect()
    });
    assert_connected(&world, "without waiting for a timeout");
    let heard = |event: &EndpointEvent| matches!(event, EndpointEvent::Message { .. });
    assert!(world.nodes[1].events.iter().any(heard));
    assert_eq!(world.sent_by(0, PacketType::Data).len(), 1, "nothing was sent again");
}

#[test]
fn what_a_half_open_handshake_keeps_for_later_is_one_small_packet() {
    let mut world = World::new(2);
    world.dial(0, 1, false);
    world.run_with(|packet| {
        let is_lost = [PacketType::Ack, PacketType::Ping].map(|kind| kind as u8);
        if is_lost.contains(&packet.2[2]) { vec![] } else { vec![packet.clone()] }
    });
    let (addr, ack) = (world.nodes[0].addr, world.sent_by(0, PacketType::Ack)[0].clone());
    let forged = |len: usize| {
        let mut datagram = vec![7; len];
        let connection = Header::decode(&ack).unwrap().0.connection;
        let payload_len = u32::try_from(len - HEADER_LEN).unwrap();
        let flags = Flags::ENCRYPTED;
        let header = Header { flags, payload_len, ..Header::new(PacketType::Data, connection) };
        header.encode(datagram.first_chunk_mut().unwrap());
        datagram
    };
    let to = world.nodes[1].addr;
    for len in [LEAST_DATAGRAM + 1, LEAST_DATAGRAM, LEAST_DATAGRAM / 2] {
        world.deliver(&(addr, to, forged(len)));
    }
    // A forged one in the place of a genuine one costs what it cost before: the retransmission.
    world.advance(Duration::from_secs(3));
    assert_connected(&world, "in the end");
    assert_eq!(world.nodes[1].end.counters().decrypt_failed, 1);
}

#[test]
fn any_one_packet_may_come_twice() {
    for knows in [true, false] {
        for at in 0..packets(knows) {
            let world = with_packet(knows, at, |packet| vec![packet.clone(), packet.clone()]);
            assert_connected(&world, &format!("{knows} {at}"));
        }
    }
}

#[test]
fn any_one_packet_may_be_cut_off_or_have_a_bit_flipped() {
    for knows in [true, false] {
        for at in 0..packets(knows) {
            for cut in [0, 1, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + 40] {
                let world = with_packet(knows, at, |(from, to, datagram)| {
                    vec![(*from, *to, datagram[..cut.min(datagram.len() - 1)].to_vec())]
                });
                assert_connected(&world, &format!("{knows} {at} {cut} bytes"));
            }
            for byte in (0..400).step_by(13) {
                let world = with_packet(knows, at, |(from, to, datagram)| {
                    let mut flipped = datagram.clone();
                    let byte = byte % flipped.len();
                    flipped[byte] ^= 0x10;
                    // As somebody would who can count.
                    put_checksum(&mut flipped);
                    vec![(*from, *to, flipped)]
                });
                assert_connected(&world, &format!("{knows} {at} byte {byte}"));
            }
        }
    }
}

#[test]
fn a_forged_packet_in_front_of_each_genuine_one_changes_nothing() {
    for knows in [true, false] {
        for byte in HEADER_LEN..HEADER_LEN + 330 {
            let mut world = World::new(2);
            world.dial(0, 1, knows);
            world.run_with(|(from, to, datagram)| {
                let mut forged = datagram.clone();
                let byte = byte.min(datagram.len() - 1);
                forged[byte] ^= 1;
                put_checksum(&mut forged);
                vec![(*from, *to, forged), (*from, *to, datagram.clone())]
            });
            // Without any wait: the genuine packets were taken as if there were no forged ones.
            assert_eq!((world.connected(0), world.accepted(1)), (1, 1), "{knows} {byte}");
        }
    }
}

#[test]
fn a_syn_is_said_again_byte_for_byte_and_not_for_ever() {
    let mut world = World::new(2);
    world.dial(0, 1, false);
    world.nodes.remove(1);
    world.advance(HANDSHAKE_TIMEOUT);
    assert_eq!(world.closed(0), [Closed::NoAnswer]);
    let syns = world.sent_by(0, PacketType::Syn);
    // At 0, 0.2, 0.6, 1.4 and 3.0 s.
    assert_eq!(syns.len(), 5);
    assert!(syns.iter().all(|syn| *syn == syns[0]));
    assert!(world.nodes[0].end.views().is_empty() && world.nodes[0].end.poll_timeout().is_none());
}

#[test]
fn xx_after_ik_makes_no_more_syns_and_whoever_may_say_one_says_one() {
    for (syns, said) in [(u32::MAX, 5), (2, 2), (1, 1)] {
        let mut world = World::new(2);
        let Node { id, addr, noise_static, .. } = world.nodes[1];
        let (now, end) = (world.now, &mut world.nodes[0].end);
        end.knock(now, addr, Expect::Node(id), Some(noise_static), syns).unwrap();
        world.nodes.remove(1);
        world.advance(HANDSHAKE_TIMEOUT);
        assert_eq!(world.closed(0), [Closed::NoAnswer]);
        assert_eq!(world.sent_by(0, PacketType::Syn).len(), said);
    }
}

#[test]
fn who_may_say_one_syn_says_more_once_something_is_heard() {
    let mut world = World::new(3);
    let (id, addr) = (world.nodes[1].id, world.nodes[1].addr);
    let old = world.nodes[2].noise_static;
    let (now, end) = (world.now, &mut world.nodes[0].end);
    end.knock(now, addr, Expect::Node(id), Some(old), 1).unwrap();
    let mut syns = 0;
    // The SYN of XX, after the hint, is lost.
    world.run_with(|packet| {
        syns += usize::from(packet.2[2] == PacketType::Syn as u8);
        if syns == 2 { vec![] } else { vec![packet.clone()] }
    });
    world.advance(Duration::from_secs(1));
    assert_connected(&world, "after the hint");
}

#[test]
fn a_node_with_another_key_is_reached_by_xx() {
    let mut world = World::new(3);
    let (id, addr) = (world.nodes[1].id, world.nodes[1].addr);
    let old = world.nodes[2].noise_static;
    world.nodes[0].end.connect(world.now, addr, Expect::Node(id), Some(old)).unwrap();
    world.run();
    assert_connected(&world, "after the hint");
    assert_eq!(world.sent_by(1, PacketType::Rst).len(), 1);
}

#[test]
fn a_node_with_another_key_is_reached_by_xx_even_if_its_hints_are_lost() {
    let mut world = World::new(3);
    let (id, addr) = (world.nodes[1].id, world.nodes[1].addr);
    let old = world.nodes[2].noise_static;
    world.nodes[0].end.connect(world.now, addr, Expect::Node(id), Some(old)).unwrap();
    for _ in 0..20 {
        world.now.mono = world.now.mono + Duration::from_millis(100);
        for node in &mut world.nodes {
            node.end.handle_timeout(world.now);
        }
        world.run_with(|packet| {
            let is_rst = packet.2[2] == PacketType::Rst as u8;
            if is_rst { vec![] } else { vec![packet.clone()] }
        });
    }
    assert_connected(&world, "without hints");
}

#[test]
fn a_forged_hint_does_not_keep_the_answer_to_ik_from_being_taken() {
    let mut world = World::new(2);
    let id = world.dial(0, 1, true);
    let dialler = world.nodes[0].addr;
    let mut is_first = true;
    world.run_with(|packet| {
        let (from, to, datagram) = packet;
        if *to != dialler || !core::mem::take(&mut is_first) {
            return vec![packet.clone()];
        }
        let wire = Header::decode(datagram).unwrap().0.connection;
        let hint = |hint: Hint| {
            let hint = super::super::client_handshake::unsealed(PacketType::Rst, wire, |out| {
                hint.encode(out);
            });
            (*from, *to, hint)
        };
        vec![hint(Hint::NotThisKey), hint(Hint::Version), packet.clone()]
    });
    world.advance(Duration::from_secs(1));
    assert_eq!(world.established(0), 1);
    assert_eq!(world.nodes[0].end.view(id).unwrap().state, ConnectionState::Established);
    assert_eq!(world.closed(0), []);
}

#[test]
fn whoever_is_not_expected_is_told_so_and_nothing_else() {
    for knows in [true, false] {
        let mut world = World::new(3);
        let (other, addr) = (world.nodes[2].id, world.nodes[1].addr);
        let key = knows.then_some(world.nodes[1].noise_static);
        world.nodes[0].end.connect(world.now, addr, Expect::Node(other), key).unwrap();
        world.advance(Duration::from_secs(6));
        let found = world.nodes[1].id;
        assert_eq!(world.closed(0), [Closed::WrongNode { found }]);
        assert_eq!((world.connected(0), world.accepted(1)), (0, 0));
        assert!(world.nodes[0].end.views().is_empty() && world.nodes[1].end.views().is_empty());
        assert_eq!(world.nodes[1].end.half_open(), 0);
    }
}

#[test]
fn a_node_that_reaches_itself_notices() {
    for knows in [true, false] {
        let mut world = World::new(1);
        let (addr, key) = (world.nodes[0].addr, world.nodes[0].noise_static);
        let key = knows.then_some(key);
        world.nodes[0].end.connect(world.now, addr, Expect::Anyone, key).unwrap();
        world.advance(Duration::from_secs(6));
        assert_eq!(world.closed(0), [Closed::Ourselves]);
        assert_eq!((world.accepted(0), world.nodes[0].end.half_open()), (0, 0));
    }
}

#[test]
fn a_node_of_another_network_is_refused() {
    for knows in [true, false] {
        let mut world = World::new(1);
        let other = world.add(9, [10, 9, 0, 1], "another");
        world.dial(0, other, knows);
        world.advance(Duration::from_secs(6));
        let why = crate::wire::frame::CloseReason::WrongNetwork;
        assert_eq!(world.closed(0), [Closed::ByUs(why)]);
        assert_eq!((world.accepted(1), world.established(1)), (0, 0));
    }
}

#[test]
fn two_ends_that_dial_each_other_get_two_connections() {
    for knows in [true, false] {
        let mut world = World::new(2);
        world.dial(0, 1, knows);
        world.dial(1, 0, knows);
        world.run();
        for n in [0, 1] {
            assert_eq!((world.connected(n), world.accepted(n), world.established(n)), (1, 1, 2));
        }
    }
}

#[test]
fn a_first_message_sent_again_does_nothing_to_a_live_connection() {
    let mut world = World::new(2);
    world.dial(0, 1, true);
    world.run();
    let syn = world.sent[0].clone();
    let elsewhere = (SocketAddr::from(([10, 66, 0, 1], 6)), syn.1, syn.2.clone());
    for packet in [&syn, &syn, &elsewhere] {
        world.deliver(packet);
    }
    assert_eq!(world.nodes[1].end.half_open(), 2);
    world.advance(HANDSHAKE_TIMEOUT);
    assert_connected(&world, "after replays");
    assert_eq!(world.nodes[1].end.half_open(), 0);
}
