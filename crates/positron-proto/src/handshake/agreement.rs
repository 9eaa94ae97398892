//! Who the two ends are and which secrets they share, whatever carries their messages
//! `[PROTOCOL 5.1]`.
//!
//! A byte stream frames the messages in [`crate::stream`], datagrams in [`crate::datagram`].
//! A message that does not open changes nothing: the genuine one may still come (RUSTSEC-2024-0011,
//! where one forged message ended a session). Noise itself holds to that only where a message
//! begins with a key exchange; the third message of XX does not, and there the state is made
//! again.

use zeroize::Zeroizing;

use super::{
    aead::{Role, Suite},
    expect::Expect,
    hello::{Hello, Local},
    noise::{Broken, Noise, Pattern, Split},
};
use crate::{
    id::NodeId,
    identity::PublicKey,
    limits::WINDOW_SCALE,
    rng::Rng,
    wire::{frame::CloseReason, packet::QUERY_PATTERN},
};

/// What carries the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeCarrier {
    /// A byte stream.
    Stream {
        /// The SHA-256 of the certificate that it was opened under, if something below proves one:
        /// who stands in between with another certificate has another transcript.
        certificate: Option<[u8; 32]>,
    },
    /// Datagrams, which find their connection by the ids that the ends chose.
    Datagrams {
        /// The initiator's connection id, which the transcript covers.
        initiator: u32,
        /// This end's.
        ours: u32,
    },
    /// Datagrams of a query, of which there is no connection.
    Query {
        /// What the initiator calls it, which the transcript covers.
        initiator: u32,
    },
}

impl HandshakeCarrier {
    /// What both ends must agree on before the first message: "positron-net/1", the pattern byte,
    /// and for datagrams that word and the initiator's connection id, for a stream that has one the
    /// hash of its certificate. A prefix of one kind is none of another by its length.
    pub(crate) fn prologue(self, pattern: Pattern) -> Vec<u8> {
        let mut prologue = b"positron-net/1".to_vec();
        prologue.push(if let Self::Query { .. } = self { QUERY_PATTERN } else { pattern as u8 });
        match self {
            Self::Datagrams { initiator, .. } | Self::Query { initiator } => {
                prologue.extend_from_slice(b"datagram");
                prologue.extend_from_slice(&initiator.to_be_bytes());
            }
            Self::Stream { certificate } => prologue.extend(certificate.into_iter().flatten()),
        }
        prologue
    }

    fn payload(self, mut hello: Hello) -> Vec<u8> {
        let Self::Datagrams { ours, .. } = self else { return hello.encode() };
        hello.window_scale = WINDOW_SCALE;
        let mut payload = hello.encode();
        payload.extend_from_slice(&ours.to_be_bytes());
        payload
    }
}

/// What the other end proved, and the secrets shared with it.
#[derive(Debug)]
pub(crate) struct Agreement {
    pub(crate) key: PublicKey,
    pub(crate) id: NodeId,
    pub(crate) noise_static: [u8; 32],
    pub(crate) boot: u64,
    pub(crate) split: Split,
    pub(crate) suite: Suite,
    pub(crate) role: Role,
    /// Its connection id; only datagrams have one.
    pub(crate) connection: Option<u32>,
    /// Why there can be no session all the same: to be said, sealed.
    pub(crate) refusal: Option<CloseReason>,
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAgreed {
    /// It does not open. Nothing was changed.
    Broken,
    /// It opens, but who sealed it broke the protocol. The handshake is over.
    Unproven(&'static str),
}

/// The dialling end, waiting for an answer.
#[derive(Debug)]
pub(crate) struct Proposal {
    noise: Noise,
    pattern: Pattern,
    expect: Expect,
    carrier: HandshakeCarrier,
    theirs: Option<[u8; 32]>,
    /// To make the same state again.
    ephemeral: Zeroizing<[u8; 32]>,
}

impl Proposal {
    /// To somebody whose static key is known: the proposal and its message.
    pub(crate) fn ik(
        local: &Local,
        carrier: HandshakeCarrier,
        expect: Expect,
        theirs: &[u8; 32],
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        Self::begin(local, Pattern::Ik, carrier, expect, Some(*theirs), rng.bytes())
    }

    /// To somebody whose static key is not known: the proposal and its message.
    pub(crate) fn xx(
        local: &Local,
        carrier: HandshakeCarrier,
        expect: Expect,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        Self::begin(local, Pattern::Xx, carrier, expect, None, rng.bytes())
    }

    fn begin(
        local: &Local,
        pattern: Pattern,
        carrier: HandshakeCarrier,
        expect: Expect,
        theirs: Option<[u8; 32]>,
        ephemeral: [u8; 32],
    ) -> Result<(Self, Vec<u8>), Broken> {
        let prologue = carrier.prologue(pattern);
        let theirs_of_ik = theirs.as_ref();
        let mut noise = pattern.initiator(&prologue, &local.me, theirs_of_ik, ephemeral)?;
        let payload = match (pattern, expect) {
            (Pattern::Xx, _) => Vec::new(),
            (_, Expect::Node(id)) => carrier.payload(local.hello(local.suites, Some(id))),
            (_, Expect::Anyone) => carrier.payload(local.hello(local.suites, None)),
        };
        let mut message = Vec::new();
        noise.write(&payload, &mut message)?;
        let ephemeral = Zeroizing::new(ephemeral);
        Ok((Self { noise, pattern, expect, carrier, theirs, ephemeral }, message))
    }

    /// The same proposal as before any answer was taken: its message is the same.
    pub(crate) fn again(&self, local: &Local) -> Result<Self, Broken> {
        let Self { pattern, carrier, expect, theirs, .. } = *self;
        Ok(Self::begin(local, pattern, carrier, expect, theirs, *self.ephemeral)?.0)
    }

    pub(crate) const fn pattern(&self) -> Pattern {
        self.pattern
    }

    pub(crate) const fn carrier(&self) -> HandshakeCarrier {
        self.carrier
    }

    pub(crate) const fn expect(&self) -> Expect {
        self.expect
    }

    /// Takes the listener's message: what was agreed, and the third message if the pattern has one.
    pub(crate) fn answer(
        &mut self,
        message: &[u8],
        local: &Local,
    ) -> Result<(Box<Agreement>, Option<Vec<u8>>), NotAgreed> {
        let payload = self.noise.read(message)?;
        let noise_static = self.noise.their_static().ok_or(NotAgreed::Broken)?;
        let (hello, rest) = Hello::authenticate(payload, noise_static)
            .map_err(|_| NotAgreed::Unproven("the other end did not prove its identity"))?;
        let suite = Suite::from_bit(hello.suites)
            .ok_or(NotAgreed::Unproven("the other end chose no cipher"))?;
        let id = hello.key.node_id();
        let refusal = hello.mismatch(local).or_else(|| self.refusal(id, suite, local));
        let last = match self.pattern {
            Pattern::Ik => None,
            Pattern::Xx => {
                let payload = self.carrier.payload(local.hello(local.suites, Some(id)));
                let mut last = Vec::new();
                self.noise.write(&payload, &mut last)?;
                Some(last)
            }
        };
        let proven = Proven { hello, rest, noise_static, suite, refusal };
        let agreed = proven.agree(&mut self.noise, self.carrier, Role::Initiator)?.ok_or(
            NotAgreed::Unproven("the other end told no connection id or another window scale"),
        )?;
        Ok((agreed, last))
    }

    /// What we have against a listener whose own hello is fine.
    fn refusal(&self, found: NodeId, suite: Suite, local: &Local) -> Option<CloseReason> {
        match self.expect {
            Expect::Node(id) if id != found => Some(CloseReason::WrongNode),
            _ if local.suites & suite.bit() == 0 => Some(CloseReason::WrongFeatures),
            _ => None,
        }
    }
}

impl From<Broken> for NotAgreed {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// Why an IK message led to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IgnoredMessage {
    /// It was made for another static key, or for none.
    NotThisKey,
    /// Its sender broke the protocol.
    Broken,
}

impl From<Broken> for IgnoredMessage {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// Takes a dialler's IK message: what was agreed, and our message.
///
/// Only the initiator's first sealed words prove that this message is not an old one sent again:
/// nothing else may change here [PROTOCOL 5.2].
pub(crate) fn hear_ik(
    message: &[u8],
    local: &Local,
    carrier: HandshakeCarrier,
    rng: &mut Rng,
) -> Result<(Box<Agreement>, Vec<u8>), IgnoredMessage> {
    let prologue = carrier.prologue(Pattern::Ik);
    let mut noise = Pattern::Ik.responder(&prologue, &local.me, rng.bytes())?;
    let payload = noise.read(message).map_err(|Broken| IgnoredMessage::NotThisKey)?;
    let noise_static = noise.their_static().ok_or(IgnoredMessage::Broken)?;
    let (hello, rest) =
        Hello::authenticate(payload, noise_static).map_err(|_| IgnoredMessage::Broken)?;
    let common = Suite::common(local.suites, hello.suites);
    let id = hello.key.node_id();
    let refusal =
        hello.mismatch(local).or_else(|| common.is_none().then_some(CloseReason::WrongFeatures));
    // With nothing in common the refusal is sealed with the cipher that everybody has.
    let suite = common.unwrap_or(Suite::Aes256Gcm);
    let mut reply = Vec::new();
    noise.write(&carrier.payload(local.hello(suite.bit(), Some(id))), &mut reply)?;
    let proven = Proven { hello, rest, noise_static, suite, refusal };
    let agreed =
        proven.agree(&mut noise, carrier, Role::Responder)?.ok_or(IgnoredMessage::Broken)?;
    Ok((agreed, reply))
}

/// The answering end of XX, waiting for the third message.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None` after a message that did not open.
    noise: Option<Noise>,
    suite: Suite,
    carrier: HandshakeCarrier,
    /// To make the same state again.
    ephemeral: Zeroizing<[u8; 32]>,
    first: Vec<u8>,
}

impl Answer {
    /// Takes a dialler's XX message: the state, and our message.
    pub(crate) fn to(
        message: &[u8],
        local: &Local,
        carrier: HandshakeCarrier,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        let suite = Suite::common(local.suites, Suite::ALL).unwrap_or(Suite::Aes256Gcm);
        let (ephemeral, first) = (Zeroizing::new(rng.bytes()), message.to_vec());
        let mut answer = Self { noise: None, suite, carrier, ephemeral, first };
        let (noise, reply) = answer.make(local)?;
        answer.noise = Some(noise);
        Ok((answer, reply))
    }

    /// The state after our message; the same each time.
    fn make(&self, local: &Local) -> Result<(Noise, Vec<u8>), Broken> {
        let prologue = self.carrier.prologue(Pattern::Xx);
        let mut noise = Pattern::Xx.responder(&prologue, &local.me, *self.ephemeral)?;
        noise.read(&self.first)?;
        let mut reply = Vec::new();
        let hello = local.hello(self.suite.bit(), None);
        noise.write(&self.carrier.payload(hello), &mut reply)?;
        Ok((noise, reply))
    }

    /// Takes the dialler's third message. After an error the genuine one can still be taken.
    pub(crate) fn hear(&mut self, message: &[u8], local: &Local) -> Result<Box<Agreement>, Broken> {
        let mut noise = match self.noise.take() {
            Some(noise) => noise,
            None => self.make(local)?.0,
        };
        let payload = noise.read(message)?;
        let noise_static = noise.their_static().ok_or(Broken)?;
        let (hello, rest) = Hello::authenticate(payload, noise_static).map_err(|_| Broken)?;
        let offered = hello.suites & self.suite.bit() != 0;
        let refusal =
            hello.mismatch(local).or_else(|| (!offered).then_some(CloseReason::WrongFeatures));
        let proven = Proven { hello, rest, noise_static, suite: self.suite, refusal };
        proven.agree(&mut noise, self.carrier, Role::Responder)?.ok_or(Broken)
    }
}

/// The other end's authenticated hello, and what follows from it.
struct Proven {
    hello: Hello,
    rest: Vec<u8>,
    noise_static: [u8; 32],
    suite: Suite,
    refusal: Option<CloseReason>,
}

impl Proven {
    /// `Ok(None)` if what datagrams need was not told.
    fn agree(
        self,
        noise: &mut Noise,
        carrier: HandshakeCarrier,
        role: Role,
    ) -> Result<Option<Box<Agreement>>, Broken> {
        let connection = self.rest.first_chunk().map(|id| u32::from_be_bytes(*id));
        // Version 1 shifts all windows alike; the byte is there for versions that do not.
        let connection =
            connection.filter(|id| *id != 0 && self.hello.window_scale == WINDOW_SCALE);
        if matches!(carrier, HandshakeCarrier::Datagrams { .. }) && connection.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Agreement {
            key: self.hello.key,
            id: self.hello.key.node_id(),
            noise_static: self.noise_static,
            boot: self.hello.boot,
            split: noise.split()?,
            suite: self.suite,
            role,
            connection,
            refusal: self.refusal,
        })))
    }
}
