use super::*;
use crate::limits::AMPLIFICATION;

#[track_caller]
fn assert_within(victim: &Victim, what: &str) {
    let proven =
        |addr: &SocketAddr| matches!(addr, SocketAddr::V4(v4) if v4.ip().octets()[1] == 66);
    for (addr, (came, went)) in victim.ledger.iter().filter(|(addr, _)| !proven(addr)) {
        let most = came * usize::try_from(AMPLIFICATION).unwrap();
        assert!(*went <= most, "{what}: {went} bytes to {addr} for {came}");
    }
}

#[test]
fn no_type_of_packet_draws_three_times_its_bytes_to_an_address_that_is_not_proven() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    peers[0].say(&mut victim, &[PacketFrame::Ping { token: 1 }]);
    victim.talk(&mut peers);
    // A genuine SYN of each pattern, and the id that its answer is sealed for cannot be known.
    let mut world = World::new(1);
    let (addr, key) = (world.nodes[0].addr, world.nodes[0].noise_static);
    let mut syns = Vec::new();
    for key in [Some(key), None] {
        let (now, expect) = (world.now, crate::handshake::Expect::Anyone);
        world.nodes[0].end.connect(now, addr, expect, key).unwrap();
        world.collect();
        syns.push(world.wire.pop_back().unwrap().2);
        world.wire.clear();
    }
    let (live, theirs) = (peers[0].wire, 2_u32);
    let mut count = 0_u32;
    for kind in PacketType::ALL {
        for flags in [Flags::NONE, Flags::ENCRYPTED] {
            for wire in [0, 5, live, theirs] {
                for len in [0, 1, 16, 17, 25, 100, 1168, 9000] {
                    for syn in &syns {
                        for filling in [0, 1] {
                            // One that is well-formed as far as it goes.
                            let mut packet = syn.clone();
                            packet.resize(HEADER_LEN + len, filling);
                            if filling == 1 {
                                packet[HEADER_LEN..].fill(1);
                            }
                            let mut header = Header::new(kind, wire);
                            header.flags = flags;
                            if kind == PacketType::Fragment {
                                header.flags = flags.with(Flags::FRAGMENTED);
                                header.fragment = Fragment { id: 1, index: 0, total: 2 };
                            }
                            header.payload_len = u32::try_from(len).unwrap();
                            header.encode(packet.first_chunk_mut().unwrap());
                            crate::wire::packet::put_checksum(&mut packet);
                            count += 1;
                            victim.hear(stranger(count), &packet);
                            victim.talk(&mut peers);
                            assert_within(&victim, &format!("{kind:?} {flags:?} {wire} {len}"));
                            victim.now.mono = victim.now.mono + Duration::from_millis(50);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(count, 14 * 2 * 4 * 8 * 4);
    // Some of them are answered.
    assert!(victim.ledger.values().filter(|(_, went)| *went > 0).count() > 20);
    assert!(victim.is_established(&peers[0]));
}

/// A peer's packets arrive from the address of somebody else, who must not be flooded.
#[test]
fn a_path_that_is_not_proven_gets_three_times_what_came_from_it_at_the_most() {
    for challenges in [false, true] {
        let mut victim = Victim::new();
        let mut peers = [Hostile::new(&mut victim, 1)];
        let somebody = SocketAddr::from(([20, 0, 0, 1], 53));
        let mut frames = vec![PacketFrame::Ping { token: 1 }, piece(1, 0, b"x", false)];
        if challenges {
            frames.push(PacketFrame::PathChallenge { token: [3; 8] });
        }
        let connection = peers[0].connection;
        for n in 0..10_000_u64 {
            let packet = peers[0].packet(victim.now.mono, PacketType::Data, &frames);
            victim.hear(somebody, &packet);
            if n % 100 == 0 {
                let body = Bytes::from(vec![9; 5000]);
                let sent = victim.end.send(victim.now, connection, 0, Delivery::Ordered, body);
                assert!(sent.is_ok());
            }
            victim.talk(&mut peers);
            assert_within(&victim, "a new path");
            victim.now.mono = victim.now.mono + Duration::from_millis(1);
            victim.end.handle_timeout(victim.now);
        }
        let (came, went) = victim.ledger[&somebody];
        assert!(0 < went && (challenges || went < came), "{went} for {came}");
        assert_eq!(victim.end.counters().migrations, 0);
        assert!(victim.is_established(&peers[0]));
    }
}
