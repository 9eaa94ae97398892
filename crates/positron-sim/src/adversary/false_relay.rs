//! Somebody who forwards between others, until it does not.

use std::collections::VecDeque;

use positron_proto::{
    id::NodeId,
    limits::RELAY_WINDOW,
    node::Message,
    peers::PeersMessage,
    relay::{RelayConfig, RelayEffect, RelayLabel, RelayMessage, Relays},
    session::sessions::{Peer, SessionEffect},
    time::{Duration, Instant, Now},
    wire::message::RoomMessage,
};

use super::{arrival::Arrival, guest::Conduct, guest_sessions::GuestSessions};

/// How a relay deceives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deceit {
    /// It takes bytes and forwards nothing.
    Starve,
    /// The same, and it grants more as if they had been read.
    Pretend,
}

/// The shipped relay over sessions of its own; from one moment on it opens streams as before, and
/// drops what is said in them.
pub(super) struct FalseRelay {
    at: Instant,
    deceit: Deceit,
    arrival: Arrival,
    sessions: GuestSessions,
    relays: Relays,
    dialled: usize,
}

impl FalseRelay {
    pub(super) fn new(at: Instant, deceit: Deceit, arrival: Arrival) -> Self {
        let sessions = GuestSessions::new(&arrival);
        let relays = Relays::new(RelayConfig::default());
        Self { at, deceit, arrival, sessions, relays, dialled: 0 }
    }

    fn say_hello(&mut self, now: Now, to: NodeId, answer: bool) {
        let (record, observed) = (self.arrival.record(1), self.arrival.addr.into());
        let hello = PeersMessage::Hello { answer, record, observed, peers: Vec::new() };
        self.sessions.send(now, to, hello.lane(), hello.encode());
    }

    fn meet(&mut self, now: Now, peer: &Peer) {
        self.relays.peer_in_reach(peer.id, peer.addr);
        self.say_hello(now, peer.id, false);
    }

    fn hear(&mut self, now: Now, from: NodeId, message: RelayMessage) {
        let mut out = VecDeque::new();
        match message {
            RelayMessage::Data { label, bytes } if now.mono >= self.at => {
                if self.deceit == Deceit::Pretend {
                    let label = RelayLabel { by_relay: true, ..label };
                    let limit = u64::try_from(bytes.len()).unwrap_or(0) + (1 << 30) + RELAY_WINDOW;
                    let message = RelayMessage::Credit { label, limit };
                    out.push_back(RelayEffect::Send { to: from, message });
                }
            }
            message => self.relays.handle_message(now, from, message, &mut out),
        }
        self.carry_out(now, out);
    }

    fn carry_out(&mut self, now: Now, out: VecDeque<RelayEffect>) {
        for effect in out {
            if let RelayEffect::Send { to, message } = effect {
                self.sessions.send(now, to, message.lane(), message.encode());
            }
        }
    }
}

impl Conduct for FalseRelay {
    const PACE: Duration = Duration::from_millis(20);

    fn sessions(&self) -> &GuestSessions {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut GuestSessions {
        &mut self.sessions
    }

    fn act(&mut self, now: Now) {
        // Who is at home hears of it from the others.
        let all = self.arrival.targets.len();
        if self.dialled < all {
            self.sessions.dial(now, self.arrival.targets[self.dialled]);
            self.dialled += 1;
        }
        let mut out = VecDeque::new();
        self.relays.handle_timeout(now, &mut out);
        self.carry_out(now, out);
    }

    fn settle(&mut self, now: Now) {
        while let Some(out) = self.sessions.poll(now) {
            match out {
                SessionEffect::Up(peer) => self.meet(now, &peer),
                SessionEffect::Down { peer, .. } => {
                    let mut out = VecDeque::new();
                    self.relays.peer_down(&peer, &mut out);
                    self.carry_out(now, out);
                }
                SessionEffect::Message { peer, body } => {
                    match Message::decode(body, self.arrival.identity.node_id()) {
                        Ok(Some(Message::Relay(message))) => self.hear(now, peer, message),
                        Ok(Some(Message::Peers(PeersMessage::Hello { answer: false, .. }))) => {
                            self.say_hello(now, peer, true);
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}
