//! From the first byte to keys `[PROTOCOL 5.1]`.
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

use super::{
    contract::{DialFailure, Expect},
    hello::{Hello, Local, VERSION},
    inbound::Inbound,
    noise::{Broken, Noise, Pattern},
    record::{Keys, Role, Suite},
};
use crate::{
    id::NodeId, identity::PublicKey, limits::MAX_HANDSHAKE, rng::Rng, wire::frame::CloseReason,
};

/// The first byte of everything of ours.
const MAGIC: u8 = 0xBE;
/// Magic, version, kind, pattern, length.
const HEADER: usize = 6;

/// What a handshake message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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

/// What the other end proved, and the keys to talk to it.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) key: PublicKey,
    pub(super) id: NodeId,
    pub(super) noise_static: [u8; 32],
    pub(super) boot: u64,
    pub(super) keys: Keys,
    /// Why there can be no session all the same: to be said, sealed.
    pub(super) refusal: Option<CloseReason>,
}

/// The dialling end, waiting for an answer.
#[derive(Debug)]
pub(super) struct Initiator {
    noise: Noise,
    pattern: Pattern,
    expect: Expect,
}

/// What an answer came to.
#[derive(Debug)]
pub(super) enum Answered {
    /// The listener has another key: a new handshake, on the same stream.
    Again(Initiator, Vec<u8>),
    /// Done; the bytes, if any, go first.
    Secured(Box<Secured>, Vec<u8>),
}

impl Initiator {
    /// Begins: IK if the static key of the other end is known, XX otherwise.
    pub(super) fn start(
        local: &Local,
        expect: Expect,
        noise_static: Option<&[u8; 32]>,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        // A key from somebody's record may be of small order; then XX finds out the true one.
        if let Some(theirs) = noise_static
            && let Ok(started) = Self::start_ik(local, expect, theirs, rng)
        {
            return Ok(started);
        }
        Self::start_xx(local, expect, rng)
    }

    fn start_ik(
        local: &Local,
        expect: Expect,
        theirs: &[u8; 32],
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        let peer = match expect {
            Expect::Node(id) => Some(id),
            Expect::Anyone => None,
        };
        let mut noise = Noise::initiator(Pattern::Ik, &local.me, Some(theirs), rng.bytes())?;
        let hello = local.hello(local.suites, peer);
        let syn = write(&mut noise, Kind::Syn, Pattern::Ik, &hello.encode())?;
        Ok((Self { noise, pattern: Pattern::Ik, expect }, syn))
    }

    fn start_xx(local: &Local, expect: Expect, rng: &mut Rng) -> Result<(Self, Vec<u8>), Broken> {
        let mut noise = Noise::initiator(Pattern::Xx, &local.me, None, rng.bytes())?;
        let syn = write(&mut noise, Kind::Syn, Pattern::Xx, &[])?;
        Ok((Self { noise, pattern: Pattern::Xx, expect }, syn))
    }

    /// Takes the listener's message.
    pub(super) fn answer(
        self,
        packet: &Packet,
        local: &Local,
        rng: &mut Rng,
    ) -> Result<Answered, DialFailure> {
        match packet.kind {
            Kind::Rst => self.reset(packet, local, rng),
            Kind::SynAck if packet.version == VERSION && packet.pattern == self.pattern as u8 => {
                self.secure(packet, local)
            }
            _ => Err(DialFailure::Handshake("a message out of turn")),
        }
    }

    fn reset(self, packet: &Packet, local: &Local, rng: &mut Rng) -> Result<Answered, DialFailure> {
        let hint = packet.body.first().copied();
        if hint == Some(Hint::Version as u8) && packet.version != VERSION {
            return Err(DialFailure::Closed(CloseReason::WrongVersion));
        }
        // Anybody on the path can forge this hint; it costs the round trip of an XX handshake, and
        // the expected node must still prove itself.
        if hint == Some(Hint::NotThisKey as u8) && self.pattern == Pattern::Ik {
            let (again, syn) = Self::start_xx(local, self.expect, rng).map_err(|Broken| BROKEN)?;
            return Ok(Answered::Again(again, syn));
        }
        Err(DialFailure::Handshake("reset by the other end"))
    }

    fn secure(mut self, packet: &Packet, local: &Local) -> Result<Answered, DialFailure> {
        let payload = self.noise.read(&packet.body).map_err(|Broken| BROKEN)?;
        let noise_static = self.noise.their_static().ok_or(BROKEN)?;
        let hello = Hello::authenticate(payload, noise_static)
            .map_err(|_| DialFailure::Handshake("the other end did not prove its identity"))?;
        let suite = Suite::from_bit(hello.suites)
            .ok_or(DialFailure::Handshake("the other end chose no cipher"))?;
        let id = hello.key.node_id();
        let refusal = hello.mismatch(local).or_else(|| self.refusal(id, suite, local));
        let ack = match self.pattern {
            Pattern::Ik => Vec::new(),
            Pattern::Xx => {
                let ours = local.hello(local.suites, Some(id)).encode();
                write(&mut self.noise, Kind::Ack, Pattern::Xx, &ours).map_err(|Broken| BROKEN)?
            }
        };
        let proven = Proven { hello, noise_static, suite, refusal };
        let secured = proven.secure(self.noise, local, Role::Initiator).map_err(|Broken| BROKEN)?;
        Ok(Answered::Secured(secured, ack))
    }

    fn refusal(&self, found: NodeId, suite: Suite, local: &Local) -> Option<CloseReason> {
        if self.expect != Expect::Anyone && self.expect != Expect::Node(found) {
            return Some(CloseReason::WrongNode);
        }
        // In XX the listener chooses before it has seen what is offered.
        (suite.bit() & local.suites == 0).then_some(CloseReason::WrongFeatures)
    }
}

/// The listening end.
#[derive(Debug)]
pub(super) enum Responder {
    /// Nothing was heard yet, or an IK message for another key.
    Listening {
        /// Whether an IK message was refused before: it is tried once.
        after_ik: bool,
    },
    /// Our SYN_ACK of XX is out.
    Answered {
        /// The handshake.
        noise: Noise,
        /// What our hello chose.
        suite: Suite,
    },
}

/// What a dialler's message came to.
#[derive(Debug)]
pub(super) enum Heard {
    /// Wait for more, after sending this.
    Reply(Responder, Vec<u8>),
    /// Done; the bytes, if any, go first.
    Secured(Box<Secured>, Vec<u8>),
    /// Another version: send the hint and hang up.
    OtherVersion(Vec<u8>),
}

/// Why a dialler's message is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unheard {
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
        local: &Local,
        rng: &mut Rng,
    ) -> Result<Heard, Unheard> {
        match (self, packet.kind) {
            (Self::Listening { after_ik }, Kind::Syn) => {
                if packet.version != VERSION {
                    return Ok(Heard::OtherVersion(hint(Hint::Version, packet.pattern)));
                }
                match Pattern::from_byte(packet.pattern) {
                    Some(Pattern::Ik) if after_ik => Err(Unheard::Broken),
                    Some(Pattern::Ik) => hear_ik(packet, local, rng),
                    Some(Pattern::Xx) => hear_xx(packet, local, rng).map_err(Into::into),
                    None => Err(Unheard::NotOurs),
                }
            }
            (Self::Answered { noise, suite }, Kind::Ack)
                if packet.version == VERSION && packet.pattern == Pattern::Xx as u8 =>
            {
                hear_ack(noise, suite, packet, local).map_err(Into::into)
            }
            (Self::Listening { after_ik: false }, _) => Err(Unheard::NotOurs),
            _ => Err(Unheard::Broken),
        }
    }
}

impl From<Broken> for Unheard {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// Only the initiator's first record proves that this message is not an old one sent again: no
/// state but this link changes here [PROTOCOL 5.2].
fn hear_ik(packet: &Packet, local: &Local, rng: &mut Rng) -> Result<Heard, Unheard> {
    let mut noise = Noise::responder(Pattern::Ik, &local.me, rng.bytes())?;
    let Ok(payload) = noise.read(&packet.body) else {
        let again = Responder::Listening { after_ik: true };
        return Ok(Heard::Reply(again, hint(Hint::NotThisKey, packet.pattern)));
    };
    let noise_static = noise.their_static().ok_or(Unheard::Broken)?;
    let hello = Hello::authenticate(payload, noise_static).map_err(|_| Unheard::Broken)?;
    let common = Suite::common(local.suites, hello.suites);
    let id = hello.key.node_id();
    let refusal =
        hello.mismatch(local).or_else(|| common.is_none().then_some(CloseReason::WrongFeatures));
    // With nothing in common the refusal is sealed with the cipher that everybody has.
    let suite = common.unwrap_or(Suite::Aes256Gcm);
    let ours = local.hello(suite.bit(), Some(id)).encode();
    let syn_ack = write(&mut noise, Kind::SynAck, Pattern::Ik, &ours)?;
    let proven = Proven { hello, noise_static, suite, refusal };
    Ok(Heard::Secured(proven.secure(noise, local, Role::Responder)?, syn_ack))
}

fn hear_xx(packet: &Packet, local: &Local, rng: &mut Rng) -> Result<Heard, Broken> {
    let mut noise = Noise::responder(Pattern::Xx, &local.me, rng.bytes())?;
    noise.read(&packet.body)?;
    let suite = Suite::common(local.suites, Suite::ALL).unwrap_or(Suite::Aes256Gcm);
    let ours = local.hello(suite.bit(), None).encode();
    let syn_ack = write(&mut noise, Kind::SynAck, Pattern::Xx, &ours)?;
    Ok(Heard::Reply(Responder::Answered { noise, suite }, syn_ack))
}

fn hear_ack(
    mut noise: Noise,
    suite: Suite,
    packet: &Packet,
    local: &Local,
) -> Result<Heard, Broken> {
    let payload = noise.read(&packet.body)?;
    let noise_static = noise.their_static().ok_or(Broken)?;
    let hello = Hello::authenticate(payload, noise_static).map_err(|_| Broken)?;
    let offered = hello.suites & suite.bit() != 0;
    let refusal =
        hello.mismatch(local).or_else(|| (!offered).then_some(CloseReason::WrongFeatures));
    let proven = Proven { hello, noise_static, suite, refusal };
    Ok(Heard::Secured(proven.secure(noise, local, Role::Responder)?, Vec::new()))
}

/// The other end's authenticated hello, and what follows from it.
struct Proven {
    hello: Hello,
    noise_static: [u8; 32],
    suite: Suite,
    refusal: Option<CloseReason>,
}

impl Proven {
    fn secure(self, noise: Noise, local: &Local, role: Role) -> Result<Box<Secured>, Broken> {
        let keys = Keys::derive(&noise.split()?, self.suite, role, local.records_per_key);
        Ok(Box::new(Secured {
            key: self.hello.key,
            id: self.hello.key.node_id(),
            noise_static: self.noise_static,
            boot: self.hello.boot,
            keys,
            refusal: self.refusal,
        }))
    }
}

pub(super) fn write(
    noise: &mut Noise,
    kind: Kind,
    pattern: Pattern,
    hello: &[u8],
) -> Result<Vec<u8>, Broken> {
    let mut out = vec![MAGIC, VERSION, kind as u8, pattern as u8, 0, 0];
    noise.write(hello, &mut out)?;
    let len = u16::try_from(out.len() - HEADER).map_err(|_| Broken)?;
    out[4..HEADER].copy_from_slice(&len.to_be_bytes());
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

const BROKEN: DialFailure = DialFailure::Handshake("its message does not open");
