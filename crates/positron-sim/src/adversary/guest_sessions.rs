//! The sessions of a guest, made and kept like those of any node.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;
use positron_proto::{
    handshake::Expect,
    id::NodeId,
    node::{Effect, Input},
    session::{
        Sessions, sessions,
        sessions::{DialRequest, Effort, Purpose, SessionEffect},
    },
    time::{Instant, Now},
    wire::frame::Lane,
};

use super::arrival::Arrival;

/// Sessions that everybody may have with a guest. What is said over them is the guest's to hear
/// and to answer.
///
/// [`handle`](Self::handle), [`dial`](Self::dial) and [`send`](Self::send) are each followed by
/// [`poll`](Self::poll), until it has nothing more.
pub(super) struct GuestSessions {
    sessions: Sessions,
    outs: VecDeque<SessionEffect>,
    effects: VecDeque<Effect>,
}

impl GuestSessions {
    pub(super) fn new(arrival: &Arrival) -> Self {
        let config = sessions::SessionConfig {
            network: arrival.network,
            transports: sessions::LinkKinds::TCP,
            ..sessions::SessionConfig::default()
        };
        let (identity, dice) = (arrival.identity.clone(), arrival.seed.stream("session"));
        let sessions = Sessions::new(config, identity, dice);
        Self { sessions, outs: VecDeque::new(), effects: VecDeque::new() }
    }

    /// Something happens to links, or time has passed.
    pub(super) fn handle(&mut self, now: Now, input: Input) {
        let Self { sessions, outs, .. } = self;
        match input {
            Input::Accepted { kind, link, from, certificate } => {
                sessions.handle_accepted(now, kind, link, from, certificate, outs);
            }
            Input::Connected { link, certificate } => {
                sessions.handle_connected(now, link, certificate, outs);
            }
            Input::Bytes { link, bytes } => sessions.handle_bytes(now, link, bytes, outs),
            Input::Written { link, bytes } => sessions.handle_written(now, link, bytes, outs),
            Input::LinkDown { link, reason } => sessions.handle_link_down(now, link, reason, outs),
            Input::Timeout => sessions.handle_timeout(now, outs),
            _ => {}
        }
    }

    /// Makes a session with whoever is there.
    pub(super) fn dial(&mut self, now: Now, to: SocketAddr) {
        let (expect, purpose) = (Expect::Anyone, Purpose::Connect);
        let dial = DialRequest { to, expect, noise_static: None, purpose, effort: Effort::Full };
        self.sessions.dial(now, dial, &mut self.outs);
    }

    /// Says something. A full queue is no reason to stop.
    pub(super) fn send(&mut self, now: Now, to: NodeId, lane: Lane, body: Bytes) {
        let _full = self.sessions.send(now, to, lane, body.into(), None, &mut self.outs);
    }

    /// What came of it that has to do with peers.
    pub(super) fn poll(&mut self, now: Now) -> Option<SessionEffect> {
        while let Some(out) = self.outs.pop_front() {
            match out {
                SessionEffect::Dial { link, kind, to } => {
                    self.effects.push_back(Effect::Dial { link, kind, to });
                }
                SessionEffect::Write { link, bytes } => {
                    self.effects.push_back(Effect::Write { link, bytes });
                }
                SessionEffect::Read { link, reading } => {
                    self.effects.push_back(Effect::Read { link, reading });
                }
                SessionEffect::Hangup { link, how } => {
                    self.effects.push_back(Effect::Hangup { link, how });
                }
                SessionEffect::Incoming(peer) => {
                    self.sessions.accept(now, peer.link, &mut self.outs);
                }
                of_a_peer => return Some(of_a_peer),
            }
        }
        None
    }

    /// What is to be done for them.
    pub(super) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When they want to be woken.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.poll_timeout()
    }
}
