//! Somebody who sees what passes, and sends what they like under any address.

use std::net::SocketAddr;

use positron_proto::{
    rng::Seed,
    time::{Duration, Instant},
};

use super::{
    header_view::{HEADER, PacketHeaderView},
    story::Attacker,
};
use crate::dice::{Dice, named_dice};

/// Datagrams that are remembered.
const MEMORY: usize = 64;

/// The attacker at work.
#[derive(Debug)]
pub(crate) struct Malice {
    laws: Option<Attacker>,
    dice: Dice,
    seen: Vec<Datagram>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What the attacker does at the sight of a datagram.
#[derive(Debug, Default)]
pub(crate) struct Attacks {
    /// The datagram never arrives.
    pub(crate) stolen: bool,
    /// These do.
    pub(crate) sent: Vec<(Instant, Datagram)>,
}

impl Malice {
    pub(crate) fn new(laws: Option<Attacker>, seed: &Seed) -> Self {
        Self { laws, dice: named_dice(seed, "attacker"), seen: Vec::new() }
    }

    /// Goes away.
    pub(crate) fn stop(&mut self) {
        self.laws = None;
        self.seen.clear();
    }

    /// A datagram passes, which arrives after `delay` if nothing happens to it.
    pub(crate) fn sees(&mut self, now: Instant, delay: Duration, passing: &Datagram) -> Attacks {
        let mut attacks = Attacks::default();
        let Some(laws) = self.laws else { return attacks };
        self.remember(passing);
        if self.dice.chance(laws.replays) {
            let replay = self.recall(passing);
            attacks.sent.push((self.later(now), self.disguised(replay)));
        }
        if self.dice.chance(laws.alters) {
            let mut altered = self.recall(passing);
            self.alter(&mut altered.bytes);
            attacks.sent.push((self.later(now), self.disguised(altered)));
        }
        if self.dice.chance(laws.races) {
            let from = self.nobody();
            attacks.sent.push((now + delay / 2, Datagram { from, ..passing.clone() }));
            attacks.stolen = self.dice.chance(laws.steals);
        }
        if self.dice.chance(laws.invents) {
            let invented = self.invent(passing);
            attacks.sent.push((now + delay / 2, self.disguised(invented)));
        }
        attacks
    }

    fn remember(&mut self, passing: &Datagram) {
        if self.seen.len() < MEMORY {
            self.seen.push(passing.clone());
        } else if self.dice.chance(0.2) {
            let at = self.dice.index(MEMORY);
            self.seen[at] = passing.clone();
        }
    }

    fn recall(&mut self, passing: &Datagram) -> Datagram {
        if self.dice.chance(0.5) {
            return passing.clone();
        }
        let at = self.dice.index(self.seen.len());
        self.seen[at].clone()
    }

    /// Soon mostly, sometimes late.
    fn later(&mut self, now: Instant) -> Instant {
        let most = if self.dice.chance(0.7) { 50_000 } else { 5_000_000 };
        now + Duration::from_micros(self.dice.below(most))
    }

    /// Under the address of its sender, or of others.
    fn disguised(&mut self, datagram: Datagram) -> Datagram {
        let from = match self.dice.below(4) {
            0 => self.nobody(),
            1 => {
                let at = self.dice.index(self.seen.len());
                self.seen[at].from
            }
            _ => datagram.from,
        };
        Datagram { from, ..datagram }
    }

    /// An address where nobody answers.
    fn nobody(&mut self) -> SocketAddr {
        let last = u8::try_from(self.dice.below(4)).unwrap_or(0);
        SocketAddr::from(([10, 9, 0, last], 666))
    }

    fn alter(&mut self, bytes: &mut Vec<u8>) {
        let at = self.dice.index(bytes.len());
        match self.dice.below(6) {
            0 => bytes.truncate(at),
            1 => {
                let more = 1 + self.dice.index(40);
                bytes.extend(core::iter::repeat_n(0xAA, more));
            }
            // The header, in which nobody sees it at once: number, acknowledgment, window.
            2 | 3 => {
                let at = 4 + self.dice.index(HEADER - 4);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = byte.wrapping_add(1 + u8::try_from(self.dice.below(254)).unwrap_or(0));
                }
            }
            4 => {
                if let Some(flags) = bytes.get_mut(2 + at % 2) {
                    *flags ^= 1 << self.dice.below(8);
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.dice.below(8);
                }
            }
        }
    }

    /// Garbage, or a packet without a seal to one that passes by, in either direction.
    fn invent(&mut self, passing: &Datagram) -> Datagram {
        let Datagram { from, to, bytes } = passing;
        let connection = PacketHeaderView::of(bytes).map_or(0, |header| header.connection);
        let (from, to) = if self.dice.chance(0.5) { (*from, *to) } else { (*to, *from) };
        let most = if self.dice.chance(0.2) { 1_300 } else { 60 };
        let len = HEADER + self.dice.index(most);
        let mut invented: Vec<u8> = Vec::with_capacity(len + 8);
        while invented.len() < len {
            invented.extend(self.dice.draw().to_be_bytes());
        }
        invented.truncate(len);
        if self.dice.chance(0.9) {
            invented[0] = 0xBE;
            invented[1] = 1;
            invented[2] = u8::try_from(1 + self.dice.below(13)).unwrap_or(0);
            invented[3] = if self.dice.chance(0.5) { 0 } else { 4 };
            let payload = u32::try_from(len - HEADER).unwrap_or(0);
            invented[16..20].copy_from_slice(&payload.to_be_bytes());
            invented[20..28].fill(0);
            invented[28..32].copy_from_slice(&connection.to_be_bytes());
        }
        if self.dice.chance(0.5) {
            checksum(&mut invented);
        }
        Datagram { from, to, bytes: invented }
    }
}

/// Puts the right checksum on a packet: the low half of its CRC-32, with zero in its place.
fn checksum(packet: &mut [u8]) {
    packet[14..16].fill(0);
    let mut crc = u32::MAX;
    for byte in &*packet {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    let [_, _, high, low] = (!crc).to_be_bytes();
    packet[14..16].copy_from_slice(&[high, low]);
}
