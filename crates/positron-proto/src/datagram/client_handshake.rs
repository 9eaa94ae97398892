//! Our own handshakes: from a SYN to shared secrets, whatever is lost or forged on the way
//! `[PROTOCOL 9]`.

use std::net::SocketAddr;

use super::contract::Closed;
use crate::{
    handshake::{
        agreement::{Agreement, HandshakeCarrier, NotAgreed, Proposal},
        expect::Expect,
        hello::Local,
        noise::{Broken, Pattern},
    },
    limits::{HANDSHAKE_TIMEOUT, IK_ATTEMPTS, MAX_COOKIES_TAKEN, SYN_TIMEOUT},
    rng::Rng,
    time::{Duration, Instant},
    wire::packet::{HandshakeAck, Hint, PacketType, Syn, SynAck, put_unsealed},
};

/// One handshake that we began.
///
/// The same SYN is said again after [`SYN_TIMEOUT`], then after twice that, until an answer opens
/// or [`HANDSHAKE_TIMEOUT`] is over; where nothing is heard, no more often than
/// [`say_at_most`](Self::say_at_most) allows. An answer that does not open changes nothing but
/// this: a cookie goes into the SYNs that follow, a hint may begin XX beside IK, once. Both can be
/// forged by whoever sees our SYN; neither keeps the genuine answer from being taken, whichever of
/// the two patterns it is for.
#[derive(Debug)]
pub(super) struct ClientHandshake {
    to: SocketAddr,
    expect: Expect,
    /// Our connection id.
    wire: u32,
    give_up: Instant,
    next: Instant,
    wait: Duration,
    /// SYNs said because time passed.
    said: u32,
    /// As many may be, until something is heard.
    most_unheard: u32,
    ik: Option<Attempt>,
    xx: Option<Attempt>,
    cookie: Vec<u8>,
    cookies_taken: u32,
    /// Somebody said that another version is spoken there.
    other_version: bool,
    /// The third message of XX, once there is one.
    last: Option<Vec<u8>>,
}

/// A proposal that is out.
#[derive(Debug)]
struct Attempt {
    proposal: Proposal,
    message: Vec<u8>,
}

/// What a packet or the time came to.
#[derive(Debug)]
pub(super) enum HandshakeProgress {
    /// Nothing is to be done.
    Nothing,
    /// This datagram is to be sent.
    Say(Vec<u8>),
    /// The other end is known; the datagram, if any, goes before everything sealed.
    Agreed(Box<Agreement>, Option<Vec<u8>>),
    /// It is over.
    Over(Closed),
}

impl ClientHandshake {
    /// Begins: IK if the static key of the other end is known, XX otherwise.
    pub(super) fn start(
        now: Instant,
        local: &Local,
        (to, wire): (SocketAddr, u32),
        expect: Expect,
        noise_static: Option<&[u8; 32]>,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        let mut dial = Self {
            to,
            expect,
            wire,
            give_up: now + HANDSHAKE_TIMEOUT,
            next: now + SYN_TIMEOUT,
            wait: SYN_TIMEOUT,
            said: 1,
            most_unheard: u32::MAX,
            ik: None,
            xx: None,
            cookie: Vec::new(),
            cookies_taken: 0,
            other_version: false,
            last: None,
        };
        // A key from somebody's record may be of small order; then XX finds out the true one.
        let ik = noise_static
            .and_then(|theirs| Proposal::ik(local, dial.carrier(), expect, theirs, rng).ok());
        match ik {
            Some((proposal, message)) => dial.ik = Some(Attempt { proposal, message }),
            None => dial.begin_xx(local, rng)?,
        }
        let syn = dial.syn();
        Ok((dial, syn))
    }

    const fn carrier(&self) -> HandshakeCarrier {
        HandshakeCarrier::Datagrams { initiator: self.wire, ours: self.wire }
    }

    /// Says no more than so many SYNs as long as nothing is heard from there.
    pub(super) const fn say_at_most(&mut self, syns: u32) {
        self.most_unheard = syns;
    }

    /// The time goes on: that nobody answers IK is no sign that anybody is there.
    fn begin_xx(&mut self, local: &Local, rng: &mut Rng) -> Result<(), Broken> {
        let (proposal, message) = Proposal::xx(local, self.carrier(), self.expect, rng)?;
        self.xx = Some(Attempt { proposal, message });
        Ok(())
    }

    pub(super) const fn to(&self) -> SocketAddr {
        self.to
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn next(&self) -> Instant {
        self.next.min(self.give_up)
    }

    /// Whether the other end is known, and only our last message may not have arrived.
    pub(super) const fn is_agreed(&self) -> bool {
        self.last.is_some()
    }

    /// The SYN, byte for byte the same unless a cookie came or the pattern changed.
    fn syn(&self) -> Vec<u8> {
        let (pattern, attempt) = match &self.xx {
            Some(attempt) => (Pattern::Xx, Some(attempt)),
            None => (Pattern::Ik, self.ik.as_ref()),
        };
        let syn = Syn {
            pattern: pattern as u8,
            connection: self.wire,
            cookie: &self.cookie,
            noise: attempt.map_or(&[], |attempt| &attempt.message),
        };
        unsealed(PacketType::Syn, 0, |out| syn.encode(out))
    }

    /// Says again what was not answered.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        local: &Local,
        rng: &mut Rng,
    ) -> HandshakeProgress {
        if now >= self.give_up {
            return HandshakeProgress::Over(if self.other_version {
                Closed::Handshake("another version of the protocol is spoken there")
            } else {
                Closed::NoAnswer
            });
        }
        if now < self.next {
            return HandshakeProgress::Nothing;
        }
        self.wait *= 2;
        self.next = now + self.wait;
        if let Some(last) = &self.last {
            return HandshakeProgress::Say(last.clone());
        }
        if self.said >= self.most_unheard {
            return HandshakeProgress::Nothing;
        }
        // The other end may have got another key since its record was made.
        if self.said == IK_ATTEMPTS && self.xx.is_none() && self.begin_xx(local, rng).is_err() {
            return HandshakeProgress::Over(Closed::Handshake("no handshake can be started"));
        }
        self.said = self.said.saturating_add(1);
        HandshakeProgress::Say(self.syn())
    }

    /// Takes a SYN_ACK.
    pub(super) fn handle_syn_ack(&mut self, payload: &[u8], local: &Local) -> HandshakeProgress {
        if self.is_agreed() {
            return HandshakeProgress::Nothing;
        }
        match SynAck::decode(payload) {
            Ok(SynAck::Noise { pattern, noise }) => self.handle_answer(pattern, noise, local),
            Ok(SynAck::Cookie { cookie }) if cookie != self.cookie => {
                self.most_unheard = u32::MAX;
                self.cookie = cookie.to_vec();
                self.cookies_taken += 1;
                // Beyond that, somebody forges: the newest one goes with the next SYN.
                if self.cookies_taken <= MAX_COOKIES_TAKEN {
                    HandshakeProgress::Say(self.syn())
                } else {
                    HandshakeProgress::Nothing
                }
            }
            Ok(SynAck::Cookie { .. }) | Err(_) => HandshakeProgress::Nothing,
        }
    }

    fn handle_answer(&mut self, pattern: u8, message: &[u8], local: &Local) -> HandshakeProgress {
        let attempt = match Pattern::from_byte(pattern) {
            Some(Pattern::Ik) => self.ik.as_mut(),
            Some(Pattern::Xx) => self.xx.as_mut(),
            None => None,
        };
        let Some(Attempt { proposal, .. }) = attempt else { return HandshakeProgress::Nothing };
        match proposal.answer(message, local) {
            Ok((agreed, last)) => {
                let ack = last.zip(agreed.connection).map(|(noise, theirs)| {
                    let ack = HandshakeAck { pattern, noise: &noise };
                    unsealed(PacketType::Ack, theirs, |out| ack.encode(out))
                });
                self.last.clone_from(&ack);
                HandshakeProgress::Agreed(agreed, ack)
            }
            Err(NotAgreed::Broken) => HandshakeProgress::Nothing,
            // It was made for our SYN by somebody on the path, and nobody honest makes such.
            Err(NotAgreed::Unproven(_)) => {
                if let Ok(again) = proposal.again(local) {
                    *proposal = again;
                }
                HandshakeProgress::Nothing
            }
        }
    }

    /// The timer of the last message begins when it was first sent.
    pub(super) fn handle_agreement(&mut self, now: Instant) {
        (self.wait, self.next) = (SYN_TIMEOUT, now + SYN_TIMEOUT);
    }

    /// Takes an unsealed RST, which anybody may have written.
    pub(super) fn handle_hint(
        &mut self,
        now: Instant,
        hint: Hint,
        local: &Local,
        rng: &mut Rng,
    ) -> HandshakeProgress {
        let asks_for_xx = hint == Hint::NotThisKey && self.xx.is_none() && !self.is_agreed();
        if asks_for_xx && self.begin_xx(local, rng).is_ok() {
            // Whoever spoke up is there: no longer wait than for the first SYN.
            (self.wait, self.next) = (SYN_TIMEOUT, now + SYN_TIMEOUT);
            self.most_unheard = u32::MAX;
            return HandshakeProgress::Say(self.syn());
        }
        HandshakeProgress::Nothing
    }

    /// Somebody says that another version is spoken there.
    pub(super) fn handle_other_version(&mut self) {
        self.other_version = true;
    }
}

/// A whole unsealed datagram.
pub(super) fn unsealed(
    kind: PacketType,
    connection: u32,
    payload: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::new();
    put_unsealed(&mut out, kind, connection, payload);
    out
}
