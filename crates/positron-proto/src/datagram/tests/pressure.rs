use super::*;
use crate::limits::{COOKIES_FROM, MAX_DATAGRAM_HALF_OPEN, MAX_HALF_OPEN_PER_IP, SYNS_PER_SECOND};

pub(super) fn stranger(n: u32) -> SocketAddr {
    let [a, b, c, d] = n.to_be_bytes();
    SocketAddr::from(([11_u8.wrapping_add(a), b, c, d], 9))
}

/// Lets so many strangers in that only cookies open the door, and forgets what they were told.
fn crowd(world: &mut World) {
    let syn = syn_of_somebody(world);
    let to = world.nodes[1].addr;
    for n in 0..u32::try_from(COOKIES_FROM).unwrap() {
        world.deliver(&(stranger(n), to, syn.clone()));
    }
    world.collect();
    world.wire.clear();
}

/// A SYN that is not node 0's.
fn syn_of_somebody(world: &mut World) -> Vec<u8> {
    let n = world.add(77, [10, 77, 0, 1], "test");
    world.dial(n, 1, false);
    world.collect();
    world.wire.clear();
    world.nodes.remove(n);
    world.sent.pop().unwrap().2
}

#[test]
fn under_pressure_a_newcomer_brings_its_cookie_and_gets_in() {
    for knows in [true, false] {
        let mut world = World::new(2);
        crowd(&mut world);
        assert_eq!(world.nodes[1].end.half_open(), COOKIES_FROM);
        world.dial(0, 1, knows);
        world.run();
        assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
        assert_eq!(world.nodes[1].end.counters().cookies_sent, 1);
        assert_eq!(world.sent_by(0, PacketType::Syn).len(), 2);
    }
}

#[test]
fn a_syn_of_a_pattern_to_come_is_dropped_and_counted_and_answered_by_nothing() {
    let mut world = World::new(2);
    let syn = syn_of_somebody(&mut world);
    let to = world.nodes[1].addr;
    for pattern in [0, 4, 5, 255] {
        let mut later = syn.clone();
        later[HEADER_LEN] = pattern;
        put_checksum(&mut later);
        world.deliver(&(stranger(pattern.into()), to, later));
    }
    world.collect();
    assert!(world.wire.is_empty(), "no answer is larger than the question");
    let counters = world.nodes[1].end.counters();
    assert_eq!((counters.handshakes_failed, counters.malformed), (4, 0));
    assert_eq!(world.nodes[1].end.half_open(), 0);
    world.dial(0, 1, true);
    world.run();
    assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
}

#[test]
fn forged_cookies_do_not_keep_a_dial_from_its_answer_and_do_not_make_it_flood() {
    let mut world = World::new(2);
    crowd(&mut world);
    world.dial(0, 1, true);
    let dialler = world.nodes[0].addr;
    world.run_with(|packet| {
        let (from, to, datagram) = packet;
        if *to != dialler || datagram[2] != PacketType::SynAck as u8 {
            return vec![packet.clone()];
        }
        let wire = Header::decode(datagram).unwrap().0.connection;
        let forged = (0..20_u8).map(|n| {
            let answer = SynAck::Cookie { cookie: &[n; 40] };
            let kind = PacketType::SynAck;
            (
                *from,
                *to,
                super::super::client_handshake::unsealed(kind, wire, |out| answer.encode(out)),
            )
        });
        forged.chain([packet.clone()]).collect()
    });
    world.advance(HANDSHAKE_TIMEOUT / 2);
    assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
    assert!(world.sent_by(0, PacketType::Syn).len() < 12);
}

#[test]
fn a_million_spoofed_syns_take_no_more_memory_than_a_few_and_shut_nobody_out() {
    let mut world = World::new(2);
    let syn = syn_of_somebody(&mut world);
    let (to, now) = (world.nodes[1].addr, world.now);
    let mut answered = 0;
    let mut strike = |world: &mut World, strangers: core::ops::Range<u32>| {
        let mut buf = Vec::new();
        for n in strangers {
            let end = &mut world.nodes[1].end;
            end.handle_datagrams(now, stranger(n), syn.len(), &syn);
            while let Some(transmit) = end.poll_transmit(now, 8, &mut buf) {
                answered += transmit.len;
            }
        }
    };
    let used = allocation_counter::measure(|| {
        strike(&mut world, 0..500_000);
        // Meanwhile somebody honest comes.
        world.dial(0, 1, true);
        world.run();
        assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
        strike(&mut world, 500_000..1_000_000);
    });
    assert!(used.bytes_max < 2 << 20, "{} bytes", used.bytes_max);
    let end = &world.nodes[1].end;
    assert_eq!(end.half_open(), COOKIES_FROM);
    assert!(u64::try_from(answered).unwrap() < end.counters().bytes_received);
    assert_eq!((end.views().len(), end.unsealed()), (1, 0));
    assert_eq!(world.nodes[1].addr, to);
    world.dial(0, 1, true);
    world.run();
    assert_eq!((world.connected(0), world.accepted(1)), (2, 2));
}

#[test]
fn syns_that_fail_are_computed_on_only_so_often_in_a_second() {
    let mut world = World::new(3);
    // IK for another key: a computation, no row.
    world.dial(0, 2, true);
    world.collect();
    let (_, _, syn) = world.wire.pop_front().unwrap();
    let to = world.nodes[1].addr;
    for n in 0..2 * SYNS_PER_SECOND {
        world.deliver(&(stranger(n), to, syn.clone()));
    }
    let counters = world.nodes[1].end.counters();
    assert_eq!(counters.handshakes_failed, u64::from(SYNS_PER_SECOND));
    assert_eq!(counters.cookies_sent, u64::from(SYNS_PER_SECOND));
}

#[test]
fn one_address_has_so_many_places_and_proves_itself_for_more() {
    let mut world = World::new(2);
    let syn = syn_of_somebody(&mut world);
    let to = world.nodes[1].addr;
    // Somebody who pretends to be where node 0 is.
    for port in 0..100 {
        world.deliver(&(SocketAddr::from(([10, 0, 0, 1], 100 + port)), to, syn.clone()));
    }
    assert_eq!(world.nodes[1].end.half_open(), MAX_HALF_OPEN_PER_IP);
    world.collect();
    world.wire.clear();
    world.dial(0, 1, true);
    world.run();
    assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
    assert_eq!(world.nodes[1].end.counters().half_open_evicted, 1);
}

#[test]
fn no_answer_to_a_stranger_is_longer_than_three_times_what_came() {
    for knows in [true, false] {
        for crowded in [true, false] {
            let mut world = World::new(3);
            if crowded {
                crowd(&mut world);
            }
            world.dial(0, 1, knows);
            world.collect();
            let (_, _, syn) = world.wire.pop_front().unwrap();
            let mut other_version = syn.clone();
            other_version[1] = 2;
            let mut sealed = syn[..HEADER_LEN + 17].to_vec();
            sealed[2] = PacketType::Data as u8;
            sealed[3] = Flags::ENCRYPTED.0;
            sealed[16..20].copy_from_slice(&17_u32.to_be_bytes());
            sealed[28..32].copy_from_slice(&77_u32.to_be_bytes());
            let short = syn[..LEAST_DATAGRAM - 1].to_vec();
            for (packet, is_answered) in
                [(syn, true), (other_version, true), (sealed, true), (short, false)]
            {
                for n in [1, 2] {
                    let from = SocketAddr::from(([10, 50, 0, 1], 5));
                    world.deliver(&(from, world.nodes[n].addr, packet.clone()));
                    let before = world.sent.len();
                    world.collect();
                    let answers = &world.sent[before..];
                    assert_eq!(answers.len(), usize::from(is_answered));
                    let bytes: usize = answers.iter().map(|(_, _, datagram)| datagram.len()).sum();
                    let most = usize::try_from(AMPLIFICATION).unwrap() * packet.len();
                    assert!(bytes <= most, "{bytes} for {}", packet.len());
                }
            }
        }
    }
}

#[test]
fn half_open_handshakes_expire_and_the_oldest_gives_way() {
    let mut world = World::new(2);
    crowd(&mut world);
    let most = MAX_DATAGRAM_HALF_OPEN;
    for n in 0..u16::try_from(2 * most).unwrap() {
        // Each on its own, as somebody with many addresses: it brings its cookie.
        let ip = [20, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]];
        let seed = Seed::from_number(u64::from(n) + 100).stream("x");
        let me = Arc::new(Identity::from_seed([200; 32]));
        let config = EndpointConfig::new(NetworkId::from_name("test"));
        let (addr, mut end) = (SocketAddr::from((ip, 1)), Endpoint::new(config, me, 1, seed));
        let to = world.nodes[1].addr;
        end.connect(world.now, to, Expect::Anyone, None).unwrap();
        let mut buf = Vec::new();
        for _ in 0..2 {
            end.poll_transmit(world.now, 1, &mut buf).unwrap();
            let door = &mut world.nodes[1].end;
            door.handle_datagrams(world.now, addr, buf.len(), &buf);
            door.poll_transmit(world.now, 1, &mut buf).unwrap();
            end.handle_datagrams(world.now, to, buf.len(), &buf);
        }
        if n % 100 == 0 {
            world.now.mono = world.now.mono + SYN_TIMEOUT / 10;
        }
        assert!(world.nodes[1].end.half_open() <= most);
    }
    assert_eq!(world.nodes[1].end.half_open(), most);
    world.advance(HANDSHAKE_TIMEOUT);
    assert_eq!((world.nodes[1].end.half_open(), world.accepted(1)), (0, 0));
    assert_eq!(world.nodes[1].end.poll_timeout(), None);
}

#[test]
fn strays_are_hinted_at_ten_times_a_second_and_resets_never() {
    let mut world = World::new(2);
    let to = world.nodes[1].addr;
    let mut packet = vec![0; HEADER_LEN + 17];
    let header = |kind| Header { flags: Flags::ENCRYPTED, payload_len: 17, ..Header::new(kind, 5) };
    for (kind, hints) in [(PacketType::Rst, 0), (PacketType::Data, 10), (PacketType::Data, 10)] {
        header(kind).encode(packet.first_chunk_mut().unwrap());
        for n in 0..100 {
            world.deliver(&(stranger(n), to, packet.clone()));
        }
        world.collect();
        assert_eq!(world.wire.len(), hints, "{kind:?}");
        world.wire.clear();
        world.now.mono = world.now.mono + Duration::from_secs(1);
    }
}

#[test]
fn an_address_that_brings_its_cookies_makes_us_compute_no_more_than_its_places() {
    let mut world = World::new(2);
    let to = world.nodes[1].addr;
    let from = SocketAddr::from(([10, 60, 0, 1], 1));
    let me = Arc::new(Identity::from_seed([200; 32]));
    let config = EndpointConfig::new(NetworkId::from_name("test"));
    let mut end = Endpoint::new(config, me, 1, Seed::from_number(9).stream("x"));
    let wrong = world.nodes[0].noise_static;
    let (mut buf, mut with_cookies) = (Vec::new(), Vec::new());
    for n in 0..4 * MAX_HALF_OPEN_PER_IP {
        // A handshake that could succeed, or one for the key of somebody else.
        let key = (n % 2 == 1).then_some(wrong);
        end.connect(world.now, to, Expect::Anyone, key).unwrap();
        end.poll_transmit(world.now, 1, &mut buf).unwrap();
        world.deliver(&(from, to, buf.clone()));
        world.collect();
        let (_, _, answer) = world.wire.pop_back().unwrap();
        end.handle_datagrams(world.now, to, answer.len(), &answer);
        while end.poll_transmit(world.now, 1, &mut buf).is_some() {
            if n >= MAX_HALF_OPEN_PER_IP {
                with_cookies.push(buf.clone());
            }
        }
    }
    assert_eq!(with_cookies.len(), 3 * MAX_HALF_OPEN_PER_IP);
    for _ in 0..20 {
        for syn in &with_cookies {
            world.deliver(&(from, to, syn.clone()));
        }
    }
    let door = &world.nodes[1].end;
    assert_eq!(door.half_open(), MAX_HALF_OPEN_PER_IP);
    let computed = door.syns_computed();
    assert!(computed <= 2 * u32::try_from(MAX_HALF_OPEN_PER_IP).unwrap(), "{computed}");
    // Others are let in meanwhile.
    world.dial(0, 1, true);
    world.run();
    assert_eq!((world.connected(0), world.accepted(1)), (1, 1));
}
