//! Tell everyone: eager push, announcement, and anti-entropy `[PROTOCOL 6]`.

use std::collections::VecDeque;

use crate::{
    id::NodeId,
    identity::{Signed, Verified},
    misbehavior::Observation,
    rng::Rng,
    standings::Standings,
    time::{Duration, Instant, Now},
    wire::{
        holdings::Holdings,
        message::{AppMessage, Message},
    },
};

/// The founding document's knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Peers that a new message is pushed to at once; the others are told that it is there.
    pub fanout: usize,
    /// Time between two rounds of anti-entropy, each with one random peer.
    pub interval: Duration,
    /// Hops that our own messages are pushed.
    pub ttl: u8,
    /// Messages kept for late and healed nodes.
    pub cache_size: usize,
}

/// What a peer said that concerns gossip.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A message, with its remaining hops.
    Push(u8, Signed<AppMessage>),
    /// What it has.
    Have(Holdings),
    /// What it wants.
    Want(Holdings),
    /// The fingerprint of what it keeps.
    Sync {
        /// How many.
        count: u64,
        /// The sum of their ids.
        fingerprint: [u8; 32],
    },
}

/// What gossip wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Send this; a full queue loses it, and anti-entropy brings it later.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Check a signature; report [`Gossip::verified`] or [`Gossip::refuted`].
    Verify {
        /// Who brought it.
        from: NodeId,
        /// Its remaining hops.
        ttl: u8,
        /// The claim.
        claim: Signed<AppMessage>,
    },
    /// Hand it to the application: new here, and never handed over before.
    Deliver {
        /// What.
        message: Verified<AppMessage>,
        /// Who brought it.
        from: NodeId,
    },
    /// Keep it across restarts.
    Keep(Verified<AppMessage>),
    /// It left the retention window.
    Forget {
        /// Whose.
        sender: NodeId,
        /// Which.
        sequence: u64,
    },
    /// Messages of this sender below `floor` are old: never delivered again, not even after a
    /// restart.
    Floor {
        /// Whose.
        sender: NodeId,
        /// The lowest number that may still be new.
        floor: u64,
    },
    /// Something was seen of a peer.
    Observed {
        /// Of whom.
        peer: NodeId,
        /// What.
        what: Observation,
    },
}

/// What storage brings back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered {
    /// The retention window.
    pub messages: Vec<Verified<AppMessage>>,
    /// Per sender, the lowest number that may still be new.
    pub floors: Vec<(NodeId, u64)>,
}

/// What happened and what was dropped, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Our own messages.
    pub published: u64,
    /// Messages handed to the application.
    pub delivered: u64,
    /// Messages received (pushed or fetched), duplicates included.
    pub messages_received: u64,
    /// Messages received that were here already.
    pub duplicates: u64,
    /// Messages pushed.
    pub pushed: u64,
    /// Messages announced.
    pub announced: u64,
    /// Messages asked for.
    pub wanted: u64,
    /// Messages sent because somebody asked.
    pub served: u64,
    /// Requests that were not answered in time.
    pub want_timeouts: u64,
    /// Rounds of anti-entropy.
    pub syncs: u64,
    /// Rounds that found a difference.
    pub syncs_different: u64,
    /// Messages below their sender's floor or too far in the future.
    pub stale: u64,
    /// Two contents under one number.
    pub equivocations: u64,
    /// Messages whose signature was forged.
    pub forged: u64,
    /// Messages that left the retention window.
    pub evicted: u64,
}

/// The broadcasts that a node has, and those it is after.
#[derive(Debug)]
pub struct Gossip {}

#[allow(unused_variables, missing_docs, clippy::needless_pass_by_value)]
impl Gossip {
    pub fn new(config: Config, me: NodeId, remembered: Remembered, rng: Rng, now: Now) -> Self {
        Self {}
    }
    /// Tells everyone our own message. [`Out::Keep`] comes first, the pushes do not wait for it.
    pub fn publish(&mut self, now: Now, message: Verified<AppMessage>, out: &mut VecDeque<Out>) {}
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: Incoming,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
    }
    /// The claim of [`Out::Verify`] proved true.
    pub fn verified(
        &mut self,
        now: Now,
        from: NodeId,
        ttl: u8,
        message: Verified<AppMessage>,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
    }
    /// The claim of [`Out::Verify`] proved false.
    pub fn refuted(
        &mut self,
        now: Now,
        from: NodeId,
        claim: &Signed<AppMessage>,
        out: &mut VecDeque<Out>,
    ) {
    }
    /// There was no room to check the claim of [`Out::Verify`]: as if it never came.
    pub fn unchecked(
        &mut self,
        now: Now,
        from: NodeId,
        claim: &Signed<AppMessage>,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn peer_up(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {}
    pub fn peer_down(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {}
    pub fn handle_timeout(&mut self, now: Now, standings: &Standings, out: &mut VecDeque<Out>) {}
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
    /// Messages in the retention window, and their bytes.
    pub fn kept(&self) -> (usize, usize) {
        (0, 0)
    }
    /// The numbers held per sender: what two nodes compare.
    pub fn holdings(&self) -> Holdings {
        Holdings::new()
    }
}
