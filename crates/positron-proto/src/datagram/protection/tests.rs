//! What packet protection must stand.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::*;
use crate::{limits::REPLAY_WINDOW, rng::Seed, wire::packet::PacketType};

const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::ChaCha20Poly1305];
const THREE_PTO: Duration = Duration::from_millis(300);

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

fn pair(suite: Suite, packets_per_key: u64, first_number: u64) -> (Protection, Protection) {
    let split = Split {
        hash: [1; 32],
        from_initiator: Zeroizing::new([2; 32]),
        from_responder: Zeroizing::new([3; 32]),
    };
    let tuning = Tuning { packets_per_key, first_number };
    let end = |role| Protection::tuned(&split, suite, role, tuning);
    (end(Role::Initiator), end(Role::Responder))
}

fn datagram(frames: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; HEADER_LEN];
    datagram.extend_from_slice(frames);
    datagram.extend_from_slice(&[0; TAG]);
    let payload_len = u32::try_from(frames.len() + TAG).unwrap();
    let header = Header { payload_len, ack: 7, ..Header::new(PacketType::Data, 0xC0FF_EE01) };
    header.encode(datagram.first_chunk_mut().unwrap());
    datagram
}

fn seal(end: &mut Protection, now: Instant) -> (u64, Vec<u8>) {
    let mut sealed = datagram(b"the same frames");
    let number = end.seal(now, &mut sealed).unwrap();
    (number, sealed)
}

fn open(end: &mut Protection, now: Instant, datagram: &[u8]) -> Result<u64, Unopened> {
    let mut out = b"what was there before, and is longer than the frames".to_vec();
    let (header, _) = Header::decode(datagram).unwrap();
    let opened = end.open(now, THREE_PTO, &header, datagram, &mut out);
    assert_eq!(out.as_slice(), if opened.is_ok() { b"the same frames".as_slice() } else { &[] });
    opened
}

/// One packet there, one back, both acknowledged.
fn exchange(a: &mut Protection, b: &mut Protection, now: Instant) {
    let (number, packet) = seal(a, now);
    assert_eq!(open(b, now, &packet), Ok(number));
    let (answer, packet) = seal(b, now);
    assert_eq!(open(a, now, &packet), Ok(answer));
    a.handle_ack(number);
    b.handle_ack(answer);
}

fn flip_phase(packet: &mut [u8]) {
    packet[3] ^= Flags::KEY_PHASE.0;
    put_checksum(packet);
}

fn parity(packet: &[u8]) -> bool {
    Flags(packet[3]).contains(Flags::KEY_PHASE)
}

#[test]
fn packets_open_in_order_across_many_keys_with_either_cipher() {
    for suite in SUITES {
        let (mut a, mut b) = pair(suite, 4, 0);
        for number in 0..100 {
            assert_eq!((a.next_number(), b.next_number()), (number, number));
            exchange(&mut a, &mut b, at(number * 1_000));
        }
        assert!(a.key_updates() >= 20, "{} updates", a.key_updates());
        assert_eq!(a.key_updates(), b.key_updates());
        assert_eq!(a.forged() + b.forged(), 0);
    }
}

#[test]
fn what_is_lost_and_overtaken_changes_nothing_for_the_rest_across_keys() {
    for (suite, seed) in SUITES.into_iter().zip([1, 2]) {
        let mut rng = Seed::from_number(seed).stream("loss and reordering");
        let (mut a, mut b) = pair(suite, 40, 0);
        let mut on_the_way = Vec::new();
        let (mut opened, mut too_old) = (0_u64, 0);
        for step in 0..4_000 {
            let now = at(step * 10);
            let (number, packet) = seal(&mut a, now);
            if !rng.chance(0.1) {
                on_the_way.push((number, packet));
            }
            // The last few change places.
            while on_the_way.len() > 16 {
                let (number, packet) = on_the_way.swap_remove(rng.index(on_the_way.len()));
                match open(&mut b, now, &packet) {
                    Ok(found) => {
                        assert_eq!(found, number);
                        opened += 1;
                    }
                    // A packet that waits long finds its key gone: a loss, never a forgery.
                    Err(why) => {
                        assert_eq!(why, Unopened::TooOld);
                        too_old += 1;
                    }
                }
                // Every fifth packet is answered, and every other answer arrives.
                if opened % 5 == 0 {
                    let (answer, packet) = seal(&mut b, now);
                    if rng.chance(0.5) {
                        assert_eq!(open(&mut a, now, &packet), Ok(answer));
                        a.handle_ack(number);
                        b.handle_ack(answer.saturating_sub(1));
                    }
                }
            }
        }
        assert!(a.key_updates() > 40, "seed {seed}: {} updates", a.key_updates());
        assert!(opened > 3_300 && too_old < 300, "seed {seed}: {opened} {too_old}");
        assert_eq!(a.forged() + b.forged(), 0, "seed {seed}");
    }
}

#[test]
fn both_ends_may_change_keys_at_the_same_moment() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    (0..4).for_each(|_| exchange(&mut a, &mut b, at(0)));
    let (_, from_a) = seal(&mut a, at(1));
    let (_, from_b) = seal(&mut b, at(1));
    assert!(parity(&from_a) && parity(&from_b));
    assert_eq!(open(&mut a, at(2), &from_b), Ok(4));
    assert_eq!(open(&mut b, at(2), &from_a), Ok(4));
    assert_eq!((a.key_updates(), b.key_updates()), (1, 1));
    exchange(&mut a, &mut b, at(3));
}

#[test]
fn the_end_that_hears_of_a_new_phase_seals_in_it_at_once() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    (0..2).for_each(|_| exchange(&mut a, &mut b, at(0)));
    // Only one end says much.
    (0..2).for_each(|_| drop(seal(&mut a, at(0))));
    let (_, first) = seal(&mut a, at(1));
    assert!(parity(&first));
    open(&mut b, at(2), &first).unwrap();
    let (_, answer) = seal(&mut b, at(2));
    assert!(parity(&answer));
    assert_eq!(open(&mut a, at(3), &answer), Ok(2));
}

#[test]
fn a_forged_key_phase_changes_nothing_and_takes_no_memory() {
    for suite in SUITES {
        let (mut a, mut b) = pair(suite, 4, 0);
        for round in 0..3_u64 {
            let now = at(round * 1_000);
            exchange(&mut a, &mut b, now);
            let (number, genuine) = seal(&mut a, now);
            let mut forged = genuine.clone();
            flip_phase(&mut forged);
            let (header, _) = Header::decode(&forged).unwrap();
            let mut out = Vec::with_capacity(2_000);
            let (before, updates) = (b.forged(), b.key_updates());
            let usage = allocation_counter::measure(|| {
                let verdict = b.open(now, THREE_PTO, &header, &forged, &mut out);
                assert_eq!(verdict, Err(Unopened::Forged { damaged: false }));
            });
            assert_eq!(usage.count_total, 0, "a forgery took memory");
            assert_eq!((b.forged(), b.key_updates()), (before + 1, updates));
            assert_eq!(open(&mut b, now, &genuine), Ok(number));
            let (answer, packet) = seal(&mut b, now);
            assert_eq!(open(&mut a, now, &packet), Ok(answer));
            a.handle_ack(number);
        }
    }
}

#[test]
fn sealing_and_opening_take_no_memory() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 1_000, 0);
    let mut sealed = datagram(&[9; 1_000]);
    let mut out = Vec::with_capacity(2_000);
    let usage = allocation_counter::measure(|| {
        a.seal(at(0), &mut sealed).unwrap();
        let (header, _) = Header::decode(&sealed).unwrap();
        b.open(at(0), THREE_PTO, &header, &sealed, &mut out).unwrap();
    });
    assert_eq!(usage.count_total, 0);
    assert_eq!(out, [9; 1_000]);
}

#[test]
fn a_packet_opens_once() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4_000, 0);
    let (_, first) = seal(&mut a, at(0));
    let (_, second) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &second), Ok(1));
    assert_eq!(open(&mut b, at(0), &second), Err(Unopened::Replayed));
    assert_eq!(open(&mut b, at(0), &first), Ok(0));
    assert_eq!(open(&mut b, at(0), &first), Err(Unopened::Replayed));
    let (_, late) = seal(&mut a, at(0));
    (1..REPLAY_WINDOW).for_each(|_| drop(seal(&mut a, at(0))));
    let (number, newest) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &newest), Ok(number));
    assert_eq!(open(&mut b, at(0), &late), Err(Unopened::TooOld));
    // None of them was tried, so none counts.
    assert_eq!(b.forged(), 0);
}

#[test]
fn a_packet_opens_only_as_it_was_sealed() {
    for suite in SUITES {
        let (mut a, mut b) = pair(suite, 4_000, 0);
        (0..5).for_each(|_| exchange(&mut a, &mut b, at(0)));
        let (number, genuine) = seal(&mut a, at(0));
        for byte in 0..genuine.len() {
            for bit in 0..8 {
                let mut forged = genuine.clone();
                forged[byte] ^= 1 << bit;
                let is_checksum = (CHECKSUM_AT..CHECKSUM_AT + 2).contains(&byte);
                // What does not even read as a header goes no further.
                if is_checksum || Header::decode(&forged).is_err() {
                    continue;
                }
                let verdict = open(&mut b, at(0), &forged);
                let name = format!("byte {byte}, bit {bit}");
                match verdict {
                    Err(Unopened::Forged { damaged }) => assert!(damaged, "{name}"),
                    Err(Unopened::NotSealed) => assert_eq!((byte, bit), (3, 2)),
                    Err(Unopened::Replayed) => assert_eq!(byte, 7, "{name}"),
                    Err(Unopened::TooOld) | Ok(_) => panic!("{name}: {verdict:?}"),
                }
            }
        }
        // What passes all of that on the way is the packet itself, whatever its checksum says.
        let mut other_checksum = genuine.clone();
        other_checksum[CHECKSUM_AT] ^= 1;
        assert_eq!(open(&mut b, at(0), &other_checksum), Ok(number));
    }
}

#[test]
fn a_packet_of_the_other_direction_or_connection_does_not_open() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4_000, 0);
    let (_, packet) = seal(&mut a, at(0));
    assert_eq!(open(&mut a, at(0), &packet), Err(Unopened::Forged { damaged: false }));
    let mut elsewhere = packet.clone();
    elsewhere[31] ^= 1;
    put_checksum(&mut elsewhere);
    assert_eq!(open(&mut b, at(0), &elsewhere), Err(Unopened::Forged { damaged: false }));
    assert_eq!(open(&mut b, at(0), &packet), Ok(0));
}

#[test]
fn a_packet_too_short_to_be_sealed_is_not_sealed() {
    let (_, mut b) = pair(Suite::Aes256Gcm, 4_000, 0);
    for payload in 0..TAG {
        let mut short = vec![0; HEADER_LEN + payload];
        let payload_len = u32::try_from(payload).unwrap();
        let flags = Flags::ENCRYPTED;
        let header = Header { flags, payload_len, ..Header::new(PacketType::Data, 1) };
        header.encode(short.first_chunk_mut().unwrap());
        assert_eq!(open(&mut b, at(0), &short), Err(Unopened::NotSealed));
    }
    assert_eq!(b.forged(), 0);
}

#[test]
fn no_nonce_seals_twice() {
    for suite in SUITES {
        let (mut a, mut b) = pair(suite, 3, (1 << 32) - 30);
        let mut seen = BTreeSet::new();
        for round in 0..60 {
            let now = at(round * 1_000);
            for end in [&mut a, &mut b] {
                let (number, secret) = (end.next_number(), end.sealing.key.secret.clone());
                let (_, packet) = seal(end, now);
                let frames = packet[HEADER_LEN..].to_vec();
                assert!(seen.insert(frames), "one key stream came twice");
                // The IV changes with the key: the nonces differ even across keys.
                assert!(seen.insert([&secret[..], &number.to_be_bytes()].concat()));
            }
            exchange(&mut a, &mut b, now);
        }
        assert!(a.key_updates() > 10);
    }
}

#[test]
fn the_32_bits_of_the_header_wrap_and_packets_overtake_each_other_there() {
    let wrap = 1_u64 << 32;
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 1 << 23, wrap - REPLAY_WINDOW / 2);
    let packets: Vec<_> = (0..REPLAY_WINDOW).map(|_| seal(&mut a, at(0))).collect();
    // First the last of them, then the others backwards: half of them from beyond the wrap.
    for (number, packet) in packets.iter().rev() {
        assert_eq!(open(&mut b, at(0), packet), Ok(*number));
    }
    assert_eq!(b.highest_opened(), Some(wrap + REPLAY_WINDOW / 2 - 1));
    for (_, packet) in &packets {
        assert_eq!(open(&mut b, at(0), packet), Err(Unopened::Replayed));
    }
    assert_eq!(b.forged(), 0);
}

#[test]
fn the_packet_after_the_wrap_may_be_the_first_that_arrives() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 1 << 23, u64::from(u32::MAX));
    let (before, last) = seal(&mut a, at(0));
    let (after, first) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &first), Ok(after));
    assert_eq!(open(&mut b, at(0), &last), Ok(before));
}

/// `a` has begun a phase that `b` has heard of; a packet of the phase before is still on the way.
fn with_one_overtaken() -> (Protection, Protection, Vec<u8>) {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    (0..3).for_each(|_| exchange(&mut a, &mut b, at(0)));
    let (_, late) = seal(&mut a, at(0));
    let (_, first) = seal(&mut a, at(0));
    assert!(!parity(&late) && parity(&first));
    assert_eq!(open(&mut b, at(1_000), &first), Ok(4));
    (a, b, late)
}

#[test]
fn an_overtaken_packet_of_the_phase_before_opens_within_three_pto() {
    let (_, mut b, late) = with_one_overtaken();
    assert_eq!(open(&mut b, at(1_299), &late), Ok(3));
    assert_eq!(open(&mut b, at(1_299), &late), Err(Unopened::Replayed));
    assert_eq!(b.key_updates(), 1);
}

#[test]
fn an_overtaken_packet_of_the_phase_before_is_too_old_after_three_pto() {
    let (_, mut b, late) = with_one_overtaken();
    assert_eq!(open(&mut b, at(1_300), &late), Err(Unopened::TooOld));
    assert_eq!(b.forged(), 0);
}

#[test]
fn the_end_that_began_a_phase_keeps_the_old_key_until_the_other_one_follows() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    (0..4).for_each(|_| exchange(&mut a, &mut b, at(0)));
    // `b` says one thing more before it begins the phase itself.
    b.packets_per_key = 100;
    let (_, early) = seal(&mut b, at(0));
    let (_, first) = seal(&mut a, at(0));
    assert!(parity(&first) && !parity(&early));
    assert_eq!(open(&mut a, at(3_600_000), &early), Ok(4));
    assert_eq!(a.key_updates(), 1);
}

#[test]
fn nobody_begins_a_second_phase_before_the_first_is_acknowledged() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    (0..4).for_each(|_| exchange(&mut a, &mut b, at(0)));
    // Nothing of the phase that begins here is acknowledged: it goes on as long as it may.
    let sealed: Vec<_> = (0..8).map(|_| seal(&mut a, at(0))).collect();
    assert!(sealed.iter().all(|(_, packet)| parity(packet)));
    assert_eq!(a.key_updates(), 1);
    assert_eq!(a.seal(at(0), &mut datagram(b"x")), Err(Exhausted));
    // An acknowledgment of an earlier phase does not help.
    a.handle_ack(3);
    assert_eq!(a.seal(at(0), &mut datagram(b"x")), Err(Exhausted));
    // One of this phase, and something sealed in it by the other end, do.
    let (_, first) = &sealed[0];
    assert_eq!(open(&mut b, at(0), first), Ok(4));
    let (_, answer) = seal(&mut b, at(0));
    assert_eq!(open(&mut a, at(0), &answer), Ok(4));
    a.handle_ack(4);
    let (number, packet) = seal(&mut a, at(0));
    assert_eq!(number, 12);
    assert_eq!(open(&mut b, at(0), &packet), Ok(12));
    assert_eq!((a.key_updates(), b.key_updates()), (2, 2));
}

#[test]
fn an_end_that_begins_two_phases_at_once_is_not_heard() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    exchange(&mut a, &mut b, at(0));
    a.update_keys(None);
    let (_, packet) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &packet), Ok(1));
    a.update_keys(None);
    let (_, packet) = seal(&mut a, at(0));
    let forged = Err(Unopened::Forged { damaged: false });
    assert_eq!(open(&mut b, at(0), &packet), forged);
    assert_eq!((b.key_updates(), b.forged()), (1, 1));
    // Once something was sealed that may have acknowledged the first, it is.
    let _ = seal(&mut b, at(0));
    assert_eq!(open(&mut b, at(0), &packet), Ok(2));
    assert_eq!(b.key_updates(), 2);
}

#[test]
fn a_new_phase_does_not_begin_below_what_was_opened() {
    let (mut a, mut b) = pair(Suite::Aes256Gcm, 4, 0);
    exchange(&mut a, &mut b, at(0));
    let fresh = a.next_number();
    let (_, newer) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &newer), Ok(1));
    let (_, newest) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &newest), Ok(2));
    // An end that lies about its numbers: number 1 again, under the next key.
    b.window = ReplayWindow::new();
    b.window.commit(2);
    a.sealing.next_number = fresh;
    a.update_keys(None);
    let (_, lie) = seal(&mut a, at(0));
    assert_eq!(open(&mut b, at(0), &lie), Err(Unopened::Forged { damaged: false }));
    assert_eq!(b.key_updates(), 0);
}

#[test]
fn numbers_end_at_their_limit() {
    let (mut a, _) = pair(Suite::Aes256Gcm, 1 << 23, MOST_PACKETS - 2);
    assert_eq!(seal(&mut a, at(0)).0, MOST_PACKETS - 2);
    assert_eq!(seal(&mut a, at(0)).0, MOST_PACKETS - 1);
    assert_eq!(a.seal(at(0), &mut datagram(b"x")), Err(Exhausted));
    assert_eq!(a.next_number(), MOST_PACKETS);
}

#[test]
fn so_many_forgeries_end_a_connection() {
    for (suite, limit) in SUITES.into_iter().zip([FORGED_LIMIT_AES, FORGED_LIMIT_CHACHA]) {
        let (mut a, mut b) = pair(suite, 1 << 23, 0);
        b.forged = limit - 1;
        assert!(!b.is_at_cipher_limit());
        let (_, mut packet) = seal(&mut a, at(0));
        packet[HEADER_LEN] ^= 1;
        assert_eq!(open(&mut b, at(0), &packet), Err(Unopened::Forged { damaged: true }));
        assert!(b.is_at_cipher_limit());
    }
}

#[test]
fn what_is_printed_tells_no_secrets() {
    let (a, _) = pair(Suite::Aes256Gcm, 1 << 23, 5);
    let printed = format!("{a:?}");
    let expected = "Protection { suite: Aes256Gcm, phase: 0, next_number: 5, \
                    highest_opened: None, forged: 0, .. }";
    assert_eq!(printed, expected);
}
