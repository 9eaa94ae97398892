//! Somebody who is a node like any other, until it turns.

use std::{collections::VecDeque, net::SocketAddr};

use positron_proto::{
    datagram::contract::Transmit,
    gossip::{ValidationId, Validity},
    id::{NodeId, Ticket},
    node::{Command, Effect, Event, HandedOver, Input, NodeCore, Refused, Snapshot},
    time::{Duration, Instant, Now},
};

use super::{arrival::Arrival, byzantine::Attack};
use crate::{
    clock::at,
    dice::{Dice, named_dice},
    machine::Machine,
};

/// Bootstrap addresses that it begins with.
const LISTED: usize = 8;

/// What a node that turns does from then on. Its sessions, its heartbeats, what it knows and what
/// others made of it stay; it acknowledges, compares notes and answers as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Passes on nothing, and has nothing, that others say.
    Drop,
    /// The same, of every second message.
    DropHalf,
    /// The same, of what one node says, the first that is no bootstrap node; everything else goes
    /// on.
    Censor,
    /// Passes on everything so much later, at most
    /// [`VALIDATION_TIMEOUT`](positron_proto::limits::VALIDATION_TIMEOUT).
    Delay(Duration),
    /// Ends, and another program goes on with its key at its address.
    Into(Attack),
}

/// The shipped node, with an application that says of each message whether it is valid.
pub(super) struct Turncoat {
    node: NodeCore,
    after: Instant,
    turn: Turn,
    victim: NodeId,
    dice: Dice,
    /// What is accepted later, in order of time.
    later: VecDeque<(Instant, ValidationId)>,
    now: Now,
}

impl Turncoat {
    pub(super) fn new((after, turn): (Duration, Turn), links: usize, arrival: Arrival) -> Self {
        let mut dice = named_dice(&arrival.seed, "turncoat");
        let mut config = arrival.config;
        config.gossip.validates = true;
        config.peers.min_peers = links;
        config.peers.max_peers = config.peers.max_peers.max(3 * links);
        let listed = (0..LISTED).map(|_| arrival.targets[dice.index(arrival.targets.len())]);
        config.peers.bootstrap = listed.map(|target| target.to_string()).collect();
        let (identity, now) = (arrival.identity, Now::default());
        let node = NodeCore::new(config, identity, Snapshot::default(), &arrival.seed, now);
        let victim = arrival.victim;
        Self { node, after: at(after), turn, victim, dice, later: VecDeque::new(), now }
    }

    /// What its application says of a message; nothing for now, if it says it later.
    fn judge(&mut self, id: ValidationId, message: &HandedOver) -> Option<Validity> {
        if self.now.mono < self.after {
            return Some(Validity::Accept);
        }
        let is_dropped = match self.turn {
            Turn::Drop => true,
            Turn::DropHalf => self.dice.chance(0.5),
            Turn::Censor => message.sender == self.victim,
            Turn::Into(_) => false,
            Turn::Delay(by) => {
                self.later.push_back((self.now.mono + by, id));
                return None;
            }
        };
        Some(if is_dropped { Validity::Ignore } else { Validity::Accept })
    }
}

impl Machine for Turncoat {
    fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        while let Some((_, id)) = self.later.pop_front_if(|(due, _)| *due <= now.mono) {
            self.node.handle(now, Input::Validity { id, validity: Validity::Accept });
        }
        self.node.handle(now, input);
    }

    fn handle_datagrams(&mut self, now: Now, from: SocketAddr, size: usize, bytes: &[u8]) {
        self.now = now;
        self.node.handle_datagrams(now, from, size, bytes);
    }

    fn command(&mut self, now: Now, command: Command) -> Result<Ticket, Refused> {
        self.node.command(now, command)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        loop {
            match self.node.poll_effect()? {
                Effect::Emit(Event::Validate { id, message }) => {
                    if let Some(validity) = self.judge(id, &message) {
                        self.node.handle(self.now, Input::Validity { id, validity });
                    }
                }
                // Nobody else listens to it.
                Effect::Emit(_) => {}
                effect => return Some(effect),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let node = self.node.poll_timeout().map(|(when, _why)| when);
        let later = self.later.front().map(|(due, _)| *due);
        [node, later].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self, now: Now, most: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.node.poll_transmit(now, most, buf)
    }
}
