//! The handshake on a byte stream: from the first byte to shared secrets `[PROTOCOL 5.1]`.
//!
//! ```text
//! dialler                                 listener
//! Initiator ── SYN (IK) ───────────────▸  Responder::Listening
//!           ◂─────────────── SYN_ACK ──   Secured
//! Secured
//!
//! Initiator ── SYN (XX) ───────────────▸  Responder::Listening
//!           ◂─────────────── SYN_ACK ──   Responder::Answered
//! Secured   ── ACK ────────────────────▸  Secured
//! ```
//!
//! A listener that cannot read an IK SYN says so (RST 2), and the dialler starts again with XX on
//! the same stream, once. Each state consumes itself: what it was cannot be used again, and a
//! message that does not fit ends it.

use bytes::BytesMut;

use super::inbound::Inbound;
use crate::{
    handshake::{
        HandshakeFailure,
        agreement::{self, Agreement, Answer, HandshakeCarrier, NotAgreed, Proposal},
        expect::Expect,
        hello::Local,
        noise::{Broken, Pattern},
    },
    limits::MAX_HANDSHAKE,
    rng::Rng,
    wire::{
        frame::CloseReason,
        packet::{MAGIC, VERSION},
    },
};

/// Magic, version, kind, pattern, length.
const HEADER: usize = 6;

/// What a handshake message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Syn = 1,
    SynAck = 2,
    Ack = 3,
    Rst = 6,
}

/// The one unsealed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// The version byte says which version is spoken here.
    Version = 1,
    /// The IK message was not for this key.
    NotThisKey = 2,
}

/// One handshake message off the wire: well-formed, and nothing more is known of it.
#[derive(Debug)]
pub(super) struct Packet {
    version: u8,
    kind: Kind,
    pattern: u8,
    body: BytesMut,
}

/// The bytes are no handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

impl Packet {
    /// Takes the next message, if it is all there.
    pub(super) fn read(inbound: &mut Inbound) -> Result<Option<Self>, NotOurs> {
        if inbound.peek::<1>().is_some_and(|[first]| first != MAGIC) {
            return Err(NotOurs);
        }
        let Some([_, version, kind, pattern, high, low]) = inbound.peek::<HEADER>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let kind = match kind {
            1 => Kind::Syn,
            2 => Kind::SynAck,
            3 => Kind::Ack,
            6 => Kind::Rst,
            _ => return Err(NotOurs),
        };
        if len > MAX_HANDSHAKE {
            return Err(NotOurs);
        }
        let body = inbound.take(HEADER + len).map(|mut packet| packet.split_off(HEADER));
        Ok(body.map(|body| Self { version, kind, pattern, body }))
    }
}

/// The dialling end, waiting for an answer.
#[derive(Debug)]
pub(super) struct Initiator(Proposal);

/// What an answer came to.
#[derive(Debug)]
pub(super) enum Answered {
    /// The listener has another key: a new handshake, on the same stream.
    Again(Initiator, Vec<u8>),
    /// Done; the bytes, if any, go first.
    Secured(Box<Agreement>, Vec<u8>),
}

impl Initiator {
    /// Begins: IK if the static key of the other end is known, XX otherwise.
    pub(super) fn start(
        local: &Local,
        carrier: HandshakeCarrier,
        expect: Expect,
        noise_static: Option<&[u8; 32]>,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        // A key from somebody's record may be of small order; then XX finds out the true one.
        if let Some(theirs) = noise_static
            && let Ok(started) = Proposal::ik(local, carrier, expect, theirs, rng)
        {
            return Self::framed(started);
        }
        Self::framed(Proposal::xx(local, carrier, expect, rng)?)
    }

    fn framed((proposal, message): (Proposal, Vec<u8>)) -> Result<(Self, Vec<u8>), Broken> {
        let syn = framed(Kind::Syn, proposal.pattern(), &message)?;
        Ok((Self(proposal), syn))
    }

    /// Takes the listener's message.
    pub(super) fn answer(
        mut self,
        packet: &Packet,
        local: &Local,
        rng: &mut Rng,
    ) -> Result<Answered, HandshakeFailure> {
        match packet.kind {
            Kind::Rst => self.reset(packet, local, rng),
            Kind::SynAck
                if packet.version == VERSION && packet.pattern == self.0.pattern() as u8 =>
            {
                let (agreed, last) = self.0.answer(&packet.body, local)?;
                let ack = last.map(|last| framed(Kind::Ack, Pattern::Xx, &last)).transpose();
                Ok(Answered::Secured(agreed, ack.map_err(|Broken| BROKEN)?.unwrap_or_default()))
            }
            _ => Err(HandshakeFailure::Broken("a message out of turn")),
        }
    }

    fn reset(
        self,
        packet: &Packet,
        local: &Local,
        rng: &mut Rng,
    ) -> Result<Answered, HandshakeFailure> {
        let hint = packet.body.first().copied();
        if hint == Some(Hint::Version as u8) && packet.version != VERSION {
            return Err(HandshakeFailure::Refused(CloseReason::WrongVersion));
        }
        // Anybody on the path can forge this hint; it costs the round trip of an XX handshake, and
        // the expected node must still prove itself.
        if hint == Some(Hint::NotThisKey as u8) && self.0.pattern() == Pattern::Ik {
            let again = Proposal::xx(local, self.0.carrier(), self.0.expect(), rng);
            let (again, syn) = again.and_then(Self::framed).map_err(|Broken| BROKEN)?;
            return Ok(Answered::Again(again, syn));
        }
        Err(HandshakeFailure::Broken("reset by the other end"))
    }
}

impl From<NotAgreed> for HandshakeFailure {
    fn from(why: NotAgreed) -> Self {
        match why {
            NotAgreed::Broken => BROKEN,
            NotAgreed::Unproven(what) => Self::Broken(what),
        }
    }
}

/// The listening end.
#[derive(Debug)]
pub(super) enum Responder {
    /// Waits for a SYN.
    Listening {
        /// An IK message could not be read; only XX may follow.
        after_ik: bool,
    },
    /// Answered an XX message; waits for the dialler's last one.
    Answered(Answer),
}

/// What a dialler's message came to.
#[derive(Debug)]
pub(super) enum Heard {
    /// Wait for more, after sending this.
    Reply(Responder, Vec<u8>),
    /// Done; the bytes, if any, go first.
    Secured(Box<Agreement>, Vec<u8>),
    /// Another version: send the hint and hang up.
    OtherVersion(Vec<u8>),
}

/// Why a dialler's message is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamHandshakeError {
    /// It is not the beginning of a handshake.
    NotOurs,
    /// It does not continue the handshake.
    Broken,
}

impl Responder {
    /// Takes the dialler's next message.
    pub(super) fn hear(
        self,
        packet: &Packet,
        carrier: HandshakeCarrier,
        local: &Local,
        rng: &mut Rng,
    ) -> Result<Heard, StreamHandshakeError> {
        match (self, packet.kind) {
            (Self::Listening { after_ik }, Kind::Syn) => {
                if packet.version != VERSION {
                    return Ok(Heard::OtherVersion(hint(Hint::Version, packet.pattern)));
                }
                match Pattern::from_byte(packet.pattern) {
                    Some(Pattern::Ik) if after_ik => Err(StreamHandshakeError::Broken),
                    Some(Pattern::Ik) => hear_ik(packet, carrier, local, rng),
                    Some(Pattern::Xx) => hear_xx(packet, carrier, local, rng).map_err(Into::into),
                    None => Err(StreamHandshakeError::NotOurs),
                }
            }
            (Self::Answered(mut answer), Kind::Ack)
                if packet.version == VERSION && packet.pattern == Pattern::Xx as u8 =>
            {
                Ok(Heard::Secured(answer.hear(&packet.body, local)?, Vec::new()))
            }
            (Self::Listening { after_ik: false }, _) => Err(StreamHandshakeError::NotOurs),
            _ => Err(StreamHandshakeError::Broken),
        }
    }
}

impl From<Broken> for StreamHandshakeError {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

fn hear_ik(
    packet: &Packet,
    carrier: HandshakeCarrier,
    local: &Local,
    rng: &mut Rng,
) -> Result<Heard, StreamHandshakeError> {
    match agreement::hear_ik(&packet.body, local, carrier, rng) {
        Ok((agreed, reply)) => {
            Ok(Heard::Secured(agreed, framed(Kind::SynAck, Pattern::Ik, &reply)?))
        }
        Err(agreement::IgnoredMessage::NotThisKey) => {
            let again = Responder::Listening { after_ik: true };
            Ok(Heard::Reply(again, hint(Hint::NotThisKey, packet.pattern)))
        }
        Err(agreement::IgnoredMessage::Broken) => Err(StreamHandshakeError::Broken),
    }
}

fn hear_xx(
    packet: &Packet,
    carrier: HandshakeCarrier,
    local: &Local,
    rng: &mut Rng,
) -> Result<Heard, Broken> {
    let (answer, reply) = Answer::to(&packet.body, local, carrier, rng)?;
    Ok(Heard::Reply(Responder::Answered(answer), framed(Kind::SynAck, Pattern::Xx, &reply)?))
}

/// A message with its frame.
pub(crate) fn framed(kind: Kind, pattern: Pattern, message: &[u8]) -> Result<Vec<u8>, Broken> {
    let [high, low] = u16::try_from(message.len()).map_err(|_| Broken)?.to_be_bytes();
    let mut out = vec![MAGIC, VERSION, kind as u8, pattern as u8, high, low];
    out.extend_from_slice(message);
    Ok(out)
}

fn hint(hint: Hint, pattern: u8) -> Vec<u8> {
    vec![MAGIC, VERSION, Kind::Rst as u8, pattern, 0, 1, hint as u8]
}

/// What speaks at the other end, by its first bytes.
pub(super) fn protocol_of(first: &[u8]) -> &'static str {
    match first {
        [b'H', b'T', b'T', b'P', ..] => "HTTP",
        [b'S', b'S', b'H', b'-', ..] => "SSH",
        // RFC 8446, 5.1: alert or handshake, then a legacy version 3.x.
        [0x15 | 0x16, 0x03, ..] => "TLS",
        _ => "something else",
    }
}

const BROKEN: HandshakeFailure = HandshakeFailure::Broken("its message does not open");
