//! Packet protection `[PROTOCOL 9]`: seals and opens packets, and changes keys on the way.

mod keys;

use core::fmt;

use self::keys::{Key, KeyPhase, Opening, Previous, Sealing};
use super::{
    contract::EndpointCounters,
    replay::{ReplayWindow, Stale},
};
use crate::{
    crypto::TAG,
    handshake::{
        aead::{Role, Suite, nonce},
        noise::Split,
    },
    limits::{FORGED_LIMIT_AES, FORGED_LIMIT_CHACHA, MOST_PACKETS, PACKETS_PER_KEY},
    time::{Duration, Instant},
    wire::packet::{
        Flags, HEADER_LEN, Header, associated_data, checksum, extend_number, low, put_checksum,
    },
};

/// Numbers of packets that tests and simulators change, so that what takes days elsewhere happens
/// at once. It must be the same at both ends; nothing checks that. Nodes use the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Packets sealed under one key before this end changes it; at least 1. Twice as many are
    /// sealed if it may not change it yet, and no more: then the connection ends with
    /// [`Closed::CipherLimit`](super::contract::Closed::CipherLimit). Keep it above what can be in
    /// flight.
    pub packets_per_key: u64,
    /// The number of the first sealed packet, in both directions. 2^32 - 1 and less lets the
    /// number in the header come around soon.
    pub first_number: u64,
}

/// The packet keys of both directions of one connection.
///
/// [`seal`](Self::seal) what is sent, [`open`](Self::open) what arrives, and say with
/// [`handle_ack`](Self::handle_ack) which of our packets arrived.
///
/// **Numbers.** The packets of a direction have one space of 64-bit numbers, of which the header
/// carries the low half. A number seals one packet: numbers only grow, across all keys, and end at
/// [`MOST_PACKETS`]. What arrives is extended from the highest number that was *opened*.
///
/// **Keys** change together in both directions (RFC 9001, 6), told by one bit of the header:
///
/// - This end begins a phase when its key has sealed its share, if the other end is in the present
///   phase too and has acknowledged something of it. It gives the other end 3 PTO to let go of the
///   key before, unless half a share more is sealed by then.
/// - The other end begins one by a packet that opens with the next key and has the highest number
///   so far. Our packets go on under the new key at once.
/// - Nobody begins two in a row: a packet under the next key is forged unless we sealed something
///   after the first packet of the present phase arrived, which is the least that an
///   acknowledgment of it takes.
/// - The key before opens what was overtaken, until 3 PTO after the first packet of the phase.
///
/// **State changes only after authentication**, but for the count of forgeries. A packet costs at
/// most one attempt to open it, whatever its bits say, and no memory: the next key is at hand
/// before anybody asks for it. The key phase is no secret, so only this matters of timing.
///
/// **Bounds**: four keys and the replay window, about 4 KiB. The share of a key is 2^23 packets and
/// never more than 2^24. RFC 9001, B.1.1 allows AES-256-GCM `2^35 / l` packets of `l` blocks: 2^25
/// of our largest ones, of 2^10 blocks.
pub(super) struct Protection {
    suite: Suite,
    packets_per_key: u64,
    first_number: u64,
    /// Phases begun so far; the parity is the bit in the header.
    phase: u64,
    /// Whether something opened of the present phase was followed by something sealed: from there
    /// on the other end may begin the next one.
    answered: bool,
    sealing: Sealing,
    opening: Opening,
    window: ReplayWindow,
    forged: u64,
}

/// There is no number or no key left: nothing can be said any more on this connection, it ends
/// without a word. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Why a packet was not opened. Nothing but a count has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// A packet of this number was opened before.
    Replayed,
    /// It is below the replay window, or of a phase whose key is gone.
    TooOld,
    /// Nobody who holds the keys sealed it like this, or they did when they may not.
    Forged {
        /// The checksum does not fit either: more likely an accident than somebody.
        damaged: bool,
    },
    /// It does not say that it is sealed, or is too short to be.
    NotSealed,
}

impl Protection {
    /// The keys that a finished handshake comes to.
    pub(super) fn tuned(split: &Split, suite: Suite, role: Role, tuning: Tuning) -> Self {
        let from_initiator = Key::first(split, &split.from_initiator, suite);
        let from_responder = Key::first(split, &split.from_responder, suite);
        let (ours, theirs) = match role {
            Role::Initiator => (from_initiator, from_responder),
            Role::Responder => (from_responder, from_initiator),
        };
        let next_number = tuning.first_number;
        let next = theirs.next(suite);
        Self {
            suite,
            packets_per_key: tuning.packets_per_key.max(1),
            first_number: tuning.first_number,
            phase: 0,
            answered: false,
            sealing: Sealing { key: ours, next_number, since: next_number, acknowledged: false },
            opening: Opening { previous: None, present: theirs, next, first: None, floor: 0 },
            window: ReplayWindow::new(),
            forged: 0,
        }
    }

    /// The number of the next packet that is sealed.
    pub(super) const fn next_number(&self) -> u64 {
        self.sealing.next_number
    }

    /// The highest number that was opened: just after [`open`](Self::open), whether that packet is
    /// the newest.
    pub(super) const fn highest_opened(&self) -> Option<u64> {
        self.window.highest()
    }

    /// How often the keys changed, whoever began it.
    pub(super) const fn key_updates(&self) -> u64 {
        self.phase
    }

    /// Packets that failed to open.
    #[cfg(test)]
    pub(super) const fn forged(&self) -> u64 {
        self.forged
    }

    /// Whether so many failed that the connection must end (RFC 9001, 6.6).
    pub(super) const fn is_at_cipher_limit(&self) -> bool {
        let limit = match self.suite {
            Suite::Aes256Gcm => FORGED_LIMIT_AES,
            Suite::ChaCha20Poly1305 => FORGED_LIMIT_CHACHA,
        };
        self.forged >= limit
    }

    /// Finishes a datagram in place and returns its number: header ‖ frames ‖ 16 spare bytes. Of
    /// the header, everything is the caller's (the payload length counts the spare bytes) but the
    /// number, ENCRYPTED, KEY_PHASE and the checksum, which are put here.
    ///
    /// Takes no memory, except when the key changes.
    pub(super) fn seal(&mut self, now: Instant, datagram: &mut [u8]) -> Result<u64, Exhausted> {
        let (mut header, _) = Header::decode(datagram).expect("a header that we wrote ourselves");
        if self.is_key_update_due(now) {
            self.update_keys(None);
        }
        let number = self.sealing.next_number;
        let under_this_key = number - self.sealing.since;
        if number >= MOST_PACKETS || under_this_key >= self.packets_per_key.saturating_mul(2) {
            return Err(Exhausted);
        }
        header.number = low(number);
        let ours = Flags::ENCRYPTED.with(Flags::KEY_PHASE).0;
        header.flags = Flags(header.flags.0 & !ours).with(sealed_flags(self.phase));
        let (front, payload) = datagram
            .split_first_chunk_mut::<HEADER_LEN>()
            .expect("a header was read from it above");
        header.encode(front);
        let end = payload.len().checked_sub(TAG).expect("our datagrams have room for the tag");
        let (frames, spare) = payload.split_at_mut(end);
        let Key { secret, cipher } = &self.sealing.key;
        // The checksum is zero here, as the associated data demands it.
        let tag = cipher.seal(&nonce(secret, number), front, frames);
        spare.copy_from_slice(&tag);
        put_checksum(datagram);
        self.sealing.next_number = number + 1;
        self.answered |= self.opening.first.is_some();
        Ok(number)
    }

    /// Opens a packet, of which `header` was read, into `out` and returns its number. What `out`
    /// held is replaced; giving the same one each time saves clearing it. `three_pto` is 3 times
    /// the present probe timeout.
    pub(super) fn open(
        &mut self,
        now: Instant,
        three_pto: Duration,
        header: &Header,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, Unopened> {
        let opened = self.try_open(now, three_pto, header, datagram, out);
        if opened.is_err() {
            out.clear();
        }
        opened
    }

    /// The other end acknowledged the packet of this number. Numbers that were never sealed are
    /// the caller's to refuse.
    pub(super) const fn handle_ack(&mut self, number: u64) {
        let Sealing { next_number, since, .. } = self.sealing;
        self.sealing.acknowledged |= since <= number && number < next_number;
    }

    fn try_open(
        &mut self,
        now: Instant,
        three_pto: Duration,
        header: &Header,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, Unopened> {
        let sealed = header.flags.contains(Flags::ENCRYPTED);
        let payload = datagram.get(HEADER_LEN..).filter(|_| sealed).ok_or(Unopened::NotSealed)?;
        let (frames, tag) = payload.split_last_chunk::<TAG>().ok_or(Unopened::NotSealed)?;
        let highest = self.window.highest().or(self.first_number.checked_sub(1));
        let number = extend_number(header.number, highest);
        self.window.check(number)?;
        self.let_go(now);
        let phase = self.phase_of(header, number)?;
        let Key { secret, cipher } = self.opening.key(phase);
        let aad = associated_data(datagram);
        // Not cleared first: the bytes that are there already need not be zeroed.
        out.resize(frames.len(), 0);
        if cipher.open(&nonce(secret, number), &aad, frames, tag, out).is_err() {
            self.forged = self.forged.saturating_add(1);
            let sent = datagram.get(CHECKSUM_AT..CHECKSUM_AT + 2).unwrap_or_default();
            return Err(Unopened::Forged { damaged: sent != checksum(datagram).to_be_bytes() });
        }
        self.opened(now, three_pto, phase, number)?;
        Ok(number)
    }

    /// Which key a packet is tried with: one, so that nobody makes us try two.
    fn phase_of(&self, header: &Header, number: u64) -> Result<KeyPhase, Unopened> {
        if header.flags.contains(Flags::KEY_PHASE) == is_odd(self.phase) {
            // Overtaken by more than a whole phase: the bit is that of two phases ago.
            let is_present = number >= self.opening.floor;
            return if is_present { Ok(KeyPhase::Present) } else { Err(Unopened::TooOld) };
        }
        // RFC 9001, 6.5: what is below the first packet of this phase is of the one before, and
        // until something of this phase has arrived nobody may have begun the next.
        let is_before = self.opening.first.is_none_or(|first| number < first);
        match &self.opening.previous {
            _ if !is_before || self.phase == 0 => Ok(KeyPhase::Next),
            Some(previous) if number >= previous.floor => Ok(KeyPhase::Previous),
            _ => Err(Unopened::TooOld),
        }
    }

    /// The packet is the other end's: only now something changes.
    fn opened(
        &mut self,
        now: Instant,
        three_pto: Duration,
        phase: KeyPhase,
        number: u64,
    ) -> Result<(), Unopened> {
        match phase {
            KeyPhase::Previous => {}
            KeyPhase::Present => {
                if let Some(Previous { until: until @ None, .. }) = &mut self.opening.previous {
                    *until = Some(now + three_pto);
                }
                let first = self.opening.first.map_or(number, |first| first.min(number));
                self.opening.first = Some(first);
            }
            KeyPhase::Next => {
                let is_newest = self.window.highest().is_none_or(|highest| number > highest);
                // RFC 9001, 6.2: begun twice without waiting for an acknowledgment; 6.4: a number
                // below one of the phase before. Only the other end itself can do either.
                if !self.answered || !is_newest {
                    self.forged = self.forged.saturating_add(1);
                    return Err(Unopened::Forged { damaged: false });
                }
                self.update_keys(Some(now + three_pto));
                self.opening.first = Some(number);
            }
        }
        self.window.commit(number);
        Ok(())
    }

    /// Whether this end changes the keys before its next packet.
    fn is_key_update_due(&mut self, now: Instant) -> bool {
        self.let_go(now);
        let share = self.packets_per_key;
        let sealed = self.sealing.next_number - self.sealing.since;
        // RFC 9001, 6.1 and 6.5.
        sealed >= share
            && self.sealing.acknowledged
            && self.opening.first.is_some()
            && (self.opening.previous.is_none() || sealed >= share.saturating_add(share / 2))
    }

    /// Goes on to the next keys, in both directions.
    fn update_keys(&mut self, previous_until: Option<Instant>) {
        self.phase += 1;
        self.answered = false;
        let Sealing { key, next_number, since, acknowledged } = &mut self.sealing;
        *key = key.next(self.suite);
        *since = *next_number;
        *acknowledged = false;
        let Opening { previous, present, next, first, floor } = &mut self.opening;
        let after = next.next(self.suite);
        let key = core::mem::replace(present, core::mem::replace(next, after));
        *previous = Some(Previous { key, until: previous_until, floor: *floor });
        *floor = first.take().unwrap_or(*floor);
    }

    /// Forgets the key of the phase before when its time is over.
    fn let_go(&mut self, now: Instant) {
        let until = self.opening.previous.as_ref().and_then(|previous| previous.until);
        if until.is_some_and(|until| until <= now) {
            self.opening.previous = None;
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self { packets_per_key: PACKETS_PER_KEY, first_number: 0 }
    }
}

impl From<Stale> for Unopened {
    fn from(stale: Stale) -> Self {
        match stale {
            Stale::Replayed => Self::Replayed,
            Stale::TooOld => Self::TooOld,
        }
    }
}

impl EndpointCounters {
    /// Counts a sealed packet that was not opened.
    pub(super) fn not_opened(&mut self, why: Unopened) {
        match why {
            Unopened::Replayed | Unopened::TooOld => self.replayed += 1,
            Unopened::Forged { damaged } => {
                self.decrypt_failed += 1;
                self.checksum_failed += u64::from(damaged);
            }
            Unopened::NotSealed => {}
        }
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection")
            .field("suite", &self.suite)
            .field("phase", &self.phase)
            .field("next_number", &self.sealing.next_number)
            .field("highest_opened", &self.window.highest())
            .field("forged", &self.forged)
            .finish_non_exhaustive()
    }
}

/// The flags of a packet sealed in this phase.
const fn sealed_flags(phase: u64) -> Flags {
    if is_odd(phase) { Flags::ENCRYPTED.with(Flags::KEY_PHASE) } else { Flags::ENCRYPTED }
}

const fn is_odd(phase: u64) -> bool {
    phase & 1 == 1
}

/// Where a header has its checksum.
const CHECKSUM_AT: usize = 14;

#[cfg(test)]
mod tests;
