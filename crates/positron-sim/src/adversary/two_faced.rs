//! Somebody who tells half of the network one thing, and the other half another one.

use std::collections::BTreeMap;

use bytes::Bytes;
use positron_proto::{
    gossip::GossipMessage,
    id::NodeId,
    node::Message,
    peers::PeersMessage,
    session::sessions::{Peer, SessionEffect},
    time::{Duration, Instant, Now, WallTime},
    wire::message::{AppMessage, Audience, RoomMessage},
};

use super::{arrival::Arrival, guest::Conduct, guest_sessions::GuestSessions};

/// The one number that it uses.
const NUMBER: u64 = 1;
/// Links over which what it says is pushed.
const HOPS: u8 = 10;

/// Makes a session with every node that lets it in, and at one moment signs two contents under one
/// number: the first half of the network is shown the one, the second half the other. Nothing else
/// comes of it, and nothing that it takes goes further.
pub(super) struct TwoFaced {
    at: Instant,
    /// What each half is shown.
    faces: [GossipMessage; 2],
    arrival: Arrival,
    sessions: GuestSessions,
    /// With the place of each among all nodes.
    peers: BTreeMap<NodeId, usize>,
    dialled: usize,
    has_spoken: bool,
}

impl TwoFaced {
    pub(super) fn new(at: Instant, faces: u8, arrival: Arrival) -> Self {
        let face = |payload| {
            let message = AppMessage {
                sender: *arrival.identity.public_key(),
                audience: Audience::Everyone,
                sequence: NUMBER,
                timestamp: WallTime::from_unix_micros(0),
                payload: Bytes::from_static(payload),
            };
            let message = arrival.identity.sign(message, &arrival.network).claim().clone();
            GossipMessage::Gossip(HOPS, message)
        };
        Self {
            at,
            faces: [face(&b"yes"[..]), face(if faces > 1 { b"no" } else { b"yes" })],
            sessions: GuestSessions::new(&arrival),
            arrival,
            peers: BTreeMap::new(),
            dialled: 0,
            has_spoken: false,
        }
    }

    fn meet(&mut self, now: Now, peer: &Peer) {
        let mut targets = self.arrival.targets.iter();
        if let Some(place) = targets.position(|target| target.ip() == peer.addr.ip()) {
            self.peers.insert(peer.id, place);
        }
        self.say_hello(now, peer.id, false);
    }

    fn say_hello(&mut self, now: Now, to: NodeId, answer: bool) {
        let (record, observed) = (self.arrival.record(1), self.arrival.addr.into());
        let hello = PeersMessage::Hello { answer, record, observed, peers: Vec::new() };
        self.sessions.send(now, to, hello.lane(), hello.encode());
    }
}

impl Conduct for TwoFaced {
    const PACE: Duration = Duration::from_millis(50);

    fn sessions(&self) -> &GuestSessions {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut GuestSessions {
        &mut self.sessions
    }

    fn act(&mut self, now: Now) {
        let all = self.arrival.targets.len();
        if now.mono < self.at {
            let place = self.dialled % all;
            self.dialled += 1;
            if !self.peers.values().any(|known| *known == place) {
                self.sessions.dial(now, self.arrival.targets[place]);
            }
        } else if !std::mem::replace(&mut self.has_spoken, true) {
            for (peer, place) in self.peers.clone() {
                let face = &self.faces[usize::from(place >= all / 2)];
                self.sessions.send(now, peer, face.lane(), face.encode());
            }
        }
    }

    fn settle(&mut self, now: Now) {
        while let Some(out) = self.sessions.poll(now) {
            match out {
                SessionEffect::Up(peer) => self.meet(now, &peer),
                SessionEffect::Down { peer, .. } => drop(self.peers.remove(&peer)),
                SessionEffect::Message { peer, body } => {
                    let message = Message::decode(body, self.arrival.identity.node_id());
                    if let Ok(Some(Message::Peers(PeersMessage::Hello { answer: false, .. }))) =
                        message
                    {
                        self.say_hello(now, peer, true);
                    }
                }
                _ => {}
            }
        }
    }
}
