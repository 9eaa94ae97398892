//! Peers that say anything at all, at any time.

use super::*;
use crate::rng::Rng;

/// Tells the seed of the sequence that failed.
struct Seeded(u64);

impl Drop for Seeded {
    fn drop(&mut self) {
        // tidy: allow(hidden-input) it only decides whether a failure says its seed
        if std::thread::panicking() {
            eprintln!("the sequence with seed {}", self.0);
        }
    }
}

/// A number near something that matters.
fn number(rng: &mut Rng) -> u64 {
    let around = [0, 1, 2, 63, 64, 128, 1 << 14, 64 * 1024, 128 * 1024, 1 << 30, (1 << 62) - 1];
    match rng.below(4) {
        0 => *rng.choose(&around).unwrap(),
        1 => rng.choose(&around).unwrap().saturating_sub(rng.below(3)),
        _ => rng.below(12),
    }
}

fn body(rng: &mut Rng) -> Bytes {
    let len = [0, 1, 5, 100, 1100][rng.index(5)];
    let byte = u8::try_from(rng.below(2)).unwrap();
    Bytes::from(vec![byte; len])
}

fn frame(rng: &mut Rng) -> PacketFrame {
    let delivery = *rng.choose(&Delivery::ALL).unwrap();
    let lane = u8::try_from(rng.below(3)).unwrap();
    let channel = Channel { delivery, lane };
    match rng.below(16) {
        0 => PacketFrame::Ping { token: rng.next_u64() },
        1..=3 => PacketFrame::Message { channel, number: number(rng), body: body(rng) },
        4..=6 => {
            let number = 20 + rng.below(6);
            let total = 4000 + u32::try_from(number).unwrap() * u32::from(rng.chance(0.999));
            let offset = u32::try_from(rng.below(u64::from(total))).unwrap();
            let len = usize::try_from(total - offset).unwrap().min(1 + rng.index(600));
            let body = Bytes::from(vec![0; len]);
            PacketFrame::Fragment { channel, number, offset, total, body }
        }
        7..=9 => {
            let body = body(rng);
            let (fin, offset) =
                if body.is_empty() { (true, 3000) } else { (false, rng.below(1900)) };
            PacketFrame::Stream { id: 1 + rng.below(5), lane, fin, offset, body }
        }
        10 => PacketFrame::MaxData { stream: rng.below(4), limit: number(rng) },
        11 => PacketFrame::StopWaiting { number: rng.below(20) },
        12 => PacketFrame::PathChallenge { token: rng.bytes() },
        13 => {
            let side = if rng.chance(0.5) { StreamSide::Sending } else { StreamSide::Reading };
            let offset = if rng.chance(0.9) { 3000 } else { rng.below(4000) };
            PacketFrame::StreamEnd { id: 1 + rng.below(5), side, offset, code: 7 }
        }
        14 => PacketFrame::MessageAck { channel, number: rng.below(4) },
        _ => PacketFrame::MessageNack { channel, number: rng.below(4) },
    }
}

/// Acknowledgments of some of what was sent, and now and then of more.
fn some_acks(rng: &mut Rng, sent: u64) -> PacketFrame {
    let high = sent.saturating_sub(1 + rng.below(4)) + u64::from(rng.chance(0.01)) * number(rng);
    let high = high.min((1 << 62) - 1);
    let low = high.saturating_sub(rng.below(5));
    let below = low.saturating_sub(3);
    let mut ranges = vec![low..=high];
    if low >= 3 {
        ranges.push(below.saturating_sub(rng.below(2))..=below);
    }
    let ranges = AckRanges::from_descending(ranges).unwrap();
    PacketFrame::PacketAck { ranges, delay: Duration::from_micros(number(rng)) }
}

/// What the application does meanwhile.
fn act(rng: &mut Rng, victim: &mut Victim, connection: ConnectionId, streams: &mut Vec<StreamId>) {
    let (now, lane) = (victim.now, u8::try_from(rng.below(3)).unwrap());
    let delivery = *rng.choose(&Delivery::ALL).unwrap();
    match rng.below(8) {
        0 | 1 => {
            let len = [0, 10, 1200, 9000, 70_000][rng.index(5)];
            let _ = victim.end.send(now, connection, lane, delivery, vec![3; len]);
        }
        2 => streams.extend(victim.end.open_stream(now, connection, lane)),
        3 | 4 => {
            if let Some(stream) = rng.choose(streams) {
                let _ = victim.end.write_stream(now, connection, *stream, &[1; 3000]);
                if rng.chance(0.2) {
                    let _ = victim.end.finish_stream(now, connection, *stream);
                }
            }
        }
        5 | 6 => {
            let readable = core::mem::take(&mut victim.readable);
            for (connection, stream) in readable {
                if rng.chance(0.1) {
                    victim.end.drop_stream(now, connection, stream, 0);
                } else {
                    let limit = 1 + rng.index(5000);
                    let _ = victim.end.read_stream(now, connection, stream, limit);
                }
            }
        }
        _ => {
            for body in core::mem::take(&mut victim.kept) {
                victim.end.release(now, connection, body.len());
            }
            if rng.chance(0.02) {
                victim.end.close(now, connection, CloseReason::Pruned);
            }
        }
    }
}

/// The clock goes on, and now and then jumps, also back.
fn tick(rng: &mut Rng, victim: &mut Victim) {
    let mono = victim.now.mono;
    victim.now.mono = match rng.below(300) {
        0 => mono + Duration::from_secs(rng.below(100)),
        1 => Instant::from_micros(mono.as_micros().saturating_sub(rng.below(5_000_000))),
        2 if rng.chance(0.1) => Instant::from_micros(rng.next_u64()),
        3 if rng.chance(0.1) => Instant::from_micros(rng.below(3)),
        4 if rng.chance(0.1) => Instant::FAR_FUTURE,
        _ => mono + Duration::from_micros(rng.below(3000)),
    };
    victim.end.handle_timeout(victim.now);
    victim.attend();
}

fn sequence(seed: u64, steps: u32) -> (u64, bool) {
    let _seeded = Seeded(seed);
    let rng = &mut Seed::from_number(seed).stream("frenzy");
    let mut victim = Victim::new();
    let tuning = Tuning { packets_per_key: 40 + rng.below(200), first_number: 0 };
    let mut peers = [Hostile::tuned(&mut victim, 1, tuning)];
    let connection = peers[0].connection;
    victim.releases = rng.chance(0.5);
    let mut streams = Vec::new();
    let wild = if rng.chance(0.3) { 0.0 } else { 0.01 };
    for _ in 0..steps {
        peers[0].window = if rng.chance(0.1) { 0 } else { u16::try_from(rng.below(400)).unwrap() };
        let ack = peers[0].ack;
        if rng.chance(0.3) {
            peers[0].ack = ack.saturating_sub(rng.below(10));
        }
        let mut frames: Vec<_> = Vec::new();
        if rng.chance(0.5) && ack > 8 {
            frames.push(some_acks(rng, ack));
        }
        let kind =
            if rng.chance(wild) { PacketType::ALL[2 + rng.index(10)] } else { PacketType::Data };
        frames.extend((0..rng.below(4)).map(|_| frame(rng)));
        if kind == PacketType::Data {
            // Only what does not end it at once, most of the time.
            let mild = |frame: &PacketFrame| match frame {
                PacketFrame::MessageAck { .. } | PacketFrame::MessageNack { .. } => false,
                PacketFrame::StopWaiting { number } => *number == 0,
                PacketFrame::MaxData { stream, .. } => *stream == 0,
                PacketFrame::StreamEnd { side, offset, .. } => {
                    *side == StreamSide::Sending && *offset == 3000
                }
                PacketFrame::Message { channel, number, .. } => {
                    *number < 20 || channel.delivery == Delivery::Unreliable
                }
                _ => true,
            };
            frames.retain(|frame| mild(frame) || rng.chance(wild));
        } else if matches!(kind, PacketType::Fin | PacketType::Rst) {
            frames = vec![PacketFrame::Close(CloseReason::Pruned)];
        }
        let mut packet = peers[0].packet(victim.now.mono, kind, &frames);
        if packet.is_empty() {
            break;
        }
        if rng.chance(0.01) {
            let at = rng.index(packet.len());
            packet[at] ^= 1;
        }
        peers[0].ack = peers[0].ack.max(ack);
        let from = if rng.chance(0.02) { stranger(1) } else { peers[0].addr };
        let times = 1 + rng.below(20) / 19;
        for _ in 0..times {
            victim.hear(from, &packet);
        }
        act(rng, &mut victim, connection, &mut streams);
        if rng.chance(0.7) {
            victim.talk(&mut peers);
        }
        tick(rng, &mut victim);
        assert!(victim.unfinished() <= MAX_FRAGMENTS_PER_PEER);
        if let Some(view) = victim.view(&peers[0]) {
            assert!(view.unreleased_bytes < 5 << 20 && view.queued_bytes <= 8 << 20);
            assert!(view.datagram_size <= victim.end.config.max_datagram);
        }
    }
    let lived = victim.is_established(&peers[0]);
    victim.releases = true;
    victim.now.mono = Instant::from_micros(1 << 50);
    victim.end.handle_timeout(victim.now);
    victim.wait(Duration::from_secs(120), &mut peers);
    assert!(victim.closed.len() <= 1);
    (victim.messages, lived)
}

#[test]
fn two_thousand_peers_that_say_anything_break_nothing() {
    let (mut messages, mut lived) = (0, 0);
    for seed in 0..2000 {
        let mut outcome = (0, false);
        let most = peak(|| outcome = sequence(seed, 120));
        assert!(most < 8 * MIB, "{most} bytes, seed {seed}");
        messages += outcome.0;
        lived += u32::from(outcome.1);
    }
    // They are no mere noise.
    assert!(messages > 10_000 && lived > 200, "{messages} messages, {lived} lived");
}
