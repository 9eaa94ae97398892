//! A handshake that stops after its second message: a question and its answer behind the hellos
//! `[PROTOCOL 9.11]`.
//!
//! It is IK (Noise revision 34, 7.5) with a prologue of its own, so that no message of it is one of
//! a handshake that goes on. What Noise says of the payloads (7.7): the question (1, 2) is sealed
//! to the responder's static key, without forward secrecy against its loss, and can be replayed;
//! the answer (2, 4) opens for its initiator only, and is forward secret unless the responder's
//! static key was in other hands already when it was given.

use super::{
    aead::Suite,
    agreement::{HandshakeCarrier, IgnoredMessage},
    hello::{Hello, Local},
    noise::{Broken, Noise, Pattern},
};
use crate::{identity::PublicKey, rng::Rng, wire::frame::CloseReason};

/// The asking end, waiting for its answer.
#[derive(Debug)]
pub(crate) struct QueryProposal {
    noise: Noise,
    /// Who must answer.
    key: PublicKey,
}

/// Why an answer was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAnAnswer {
    /// It does not open. Nothing was changed.
    Broken,
    /// It was sealed by the holder of the static key, who is not the node that was asked.
    Unproven,
    /// The two have nothing to say to each other.
    Refused(CloseReason),
}

impl QueryProposal {
    /// A question to the node of this key, whose links have the static key `theirs`, and its
    /// message. `wire` is what the answer is sent to.
    pub(crate) fn ask(
        local: &Local,
        wire: u32,
        (key, theirs): (PublicKey, &[u8; 32]),
        body: &[u8],
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Broken> {
        let prologue = HandshakeCarrier::Query { initiator: wire }.prologue(Pattern::Ik);
        let mut noise = Pattern::Ik.initiator(&prologue, &local.me, Some(theirs), rng.bytes())?;
        let mut payload = hello(local, &key);
        payload.extend_from_slice(body);
        let mut message = Vec::new();
        noise.write(&payload, &mut message)?;
        Ok((Self { noise, key }, message))
    }

    /// Takes the responder's message: what it says behind its hello.
    pub(crate) fn answer(&mut self, message: &[u8], local: &Local) -> Result<Vec<u8>, NotAnAnswer> {
        let payload = self.noise.read(message).map_err(|Broken| NotAnAnswer::Broken)?;
        let noise_static = self.noise.their_static().ok_or(NotAnAnswer::Broken)?;
        let (hello, rest) =
            Hello::authenticate(payload, noise_static).map_err(|_| NotAnAnswer::Unproven)?;
        match hello.mismatch(local) {
            Some(why) => Err(NotAnAnswer::Refused(why)),
            None if hello.key != self.key => Err(NotAnAnswer::Refused(CloseReason::WrongNode)),
            None => Ok(rest),
        }
    }
}

/// A question that was heard, until it is answered.
#[derive(Debug)]
pub(crate) struct HeardQuestion {
    noise: Noise,
    /// Who asks: it holds this key, but perhaps it asked some time ago.
    pub(crate) key: PublicKey,
    /// The static key of its links.
    pub(crate) noise_static: [u8; 32],
    /// What it asks.
    pub(crate) body: Vec<u8>,
    /// Whether it is told nothing but who we are: the two have nothing to say to each other.
    pub(crate) is_refused: bool,
}

impl HeardQuestion {
    /// Takes the initiator's message.
    pub(crate) fn hear(
        message: &[u8],
        local: &Local,
        wire: u32,
        rng: &mut Rng,
    ) -> Result<Self, IgnoredMessage> {
        let prologue = HandshakeCarrier::Query { initiator: wire }.prologue(Pattern::Ik);
        let mut noise = Pattern::Ik.responder(&prologue, &local.me, rng.bytes())?;
        let payload = noise.read(message).map_err(|Broken| IgnoredMessage::NotThisKey)?;
        let noise_static = noise.their_static().ok_or(IgnoredMessage::Broken)?;
        let (hello, body) =
            Hello::authenticate(payload, noise_static).map_err(|_| IgnoredMessage::Broken)?;
        let is_refused = hello.mismatch(local).is_some();
        Ok(Self { noise, key: hello.key, noise_static, body, is_refused })
    }

    /// What it asks, which is kept no longer than the caller does.
    pub(crate) fn take_body(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.body)
    }

    /// Our message, with `rest` behind our hello.
    pub(crate) fn answer(mut self, local: &Local, rest: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut payload = hello(local, &self.key);
        payload.extend_from_slice(rest);
        let mut message = Vec::new();
        self.noise.write(&payload, &mut message)?;
        Ok(message)
    }
}

/// Nothing is sealed under keys of this handshake: its suite is that of tickets.
fn hello(local: &Local, peer: &PublicKey) -> Vec<u8> {
    local.hello(Suite::Aes256Gcm.bit(), Some(peer.node_id())).encode()
}
