//! Somebody with an identity who speaks the protocol and does not mean it.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use positron_proto::{
    direct::DirectMessage,
    gossip::GossipMessage,
    id::{NetworkId, NodeId},
    identity::{Identity, PublicKey, Signature, Signed},
    limits::{MAX_HOLDINGS_RANGES, MAX_TRACE_SAMPLE},
    node::Message,
    peers::PeersMessage,
    session::sessions::{Peer, SessionEffect},
    succession::{Succession, SuccessionMessage},
    time::{Duration, Now},
    trace::{SampledNode, TraceAnswer, TraceMessage, TraceSum, TraceTag},
    wire::{
        Reader,
        frame::Lane,
        holdings::Holdings,
        message::{AppMessage, Audience, RoomMessage},
        record::PeerRecord,
    },
};

use super::{arrival::Arrival, guest::Conduct, guest_sessions::GuestSessions};
use crate::dice::{Dice, named_dice};

/// Keys that it takes for one attack, and throws away: 10,000 in forty seconds.
const THROWN_AWAY: u64 = 25;
/// Messages of others that it remembers.
const MEMORY: usize = 64;

/// What a traitor does with its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Passes on messages and records in the names of others, with signatures that are not theirs.
    Forge,
    /// Repeats every message that it heard, to everybody, again and again.
    Replay,
    /// Signs two contents under one number, and tells half of the nodes the one, half the other.
    Equivocate,
    /// Signs two contents under one number, each time with a new key.
    ThrowAway,
    /// Announces messages that do not exist and others that it will not give.
    Withhold,
    /// Sends what is no message, and more questions than anybody can answer.
    Flood,
    /// Announces as much as lists hold, without end.
    Announce,
    /// Says that the keys of others gave way to its own, and its own to theirs.
    Usurp,
    /// Answers who traces a message as if a million nodes had it from there.
    Boast,
}

pub(super) struct Byzantine {
    attack: Attack,
    me: Arc<Identity>,
    network: NetworkId,
    addr: SocketAddr,
    targets: Vec<SocketAddr>,
    sessions: GuestSessions,
    dice: Dice,
    peers: Vec<Peer>,
    heard: Vec<Signed<AppMessage>>,
    successions: Vec<SuccessionMessage>,
    sequence: u64,
    /// As much as one announcement holds, of senders that nobody knows.
    longest_list: Bytes,
}

impl Byzantine {
    pub(super) fn new(attack: Attack, arrival: Arrival) -> Self {
        Self {
            attack,
            sessions: GuestSessions::new(&arrival),
            me: arrival.identity,
            network: arrival.network,
            addr: arrival.addr,
            targets: arrival.targets,
            dice: named_dice(&arrival.seed, "traitor"),
            peers: Vec::new(),
            heard: Vec::new(),
            successions: Vec::new(),
            sequence: 0,
            longest_list: longest_list(),
        }
    }

    fn hear(&mut self, now: Now, from: NodeId, body: Bytes) {
        match Message::decode(body, self.me.node_id()) {
            Ok(Some(Message::Gossip(GossipMessage::Gossip(_, message))))
                if self.heard.len() < MEMORY =>
            {
                self.heard.push(message);
            }
            Ok(Some(Message::Succession(message))) if self.successions.len() < MEMORY => {
                self.successions.push(message);
            }
            Ok(Some(Message::Trace(TraceMessage::Ask { order, .. })))
                if self.attack == Attack::Boast =>
            {
                let tag = TraceTag::of(order.id(&self.network));
                self.send(now, from, &TraceMessage::Answer { tag, answer: a_million() });
            }
            _ => {}
        }
    }

    fn send(&mut self, now: Now, to: NodeId, message: &impl RoomMessage) {
        self.sessions.send(now, to, message.lane(), message.encode());
    }

    fn dial_somebody(&mut self, now: Now) {
        let to = self.targets[self.dice.index(self.targets.len())];
        if self.peers.len() < self.targets.len() {
            self.sessions.dial(now, to);
        }
    }

    fn message(&self, sender: PublicKey, sequence: u64, now: Now, payload: Bytes) -> AppMessage {
        let (audience, timestamp) = (Audience::Everyone, now.wall);
        AppMessage { sender, audience, sequence, timestamp, payload }
    }

    fn forge(&mut self, now: Now, peer: &Peer) {
        let victim = self.peers[self.dice.index(self.peers.len())].key;
        let payload = Bytes::from_static(b"never said");
        let message = self.message(victim, self.sequence, now, payload);
        let forged = Signed::new(message, Signature::from_bytes([7; 64]));
        self.send(now, peer.id, &GossipMessage::Gossip(10, forged));
        let record = PeerRecord {
            key: victim,
            sequence: u64::MAX,
            noise_static: [1; 32],
            capabilities: 0,
            addresses: vec![self.addr.into()],
            carriers: Vec::new(),
            software: "forged".into(),
        };
        let peers = vec![Signed::new(record, Signature::from_bytes([7; 64]))];
        self.send(now, peer.id, &PeersMessage::Announcement(peers));
    }

    fn replay(&mut self, now: Now, peer: &Peer) {
        for message in self.heard.clone() {
            self.send(now, peer.id, &GossipMessage::Gossip(255, message.clone()));
            // To whom it was not said.
            self.send(now, peer.id, &DirectMessage::CustomData(message));
        }
        for message in self.successions.clone() {
            self.send(now, peer.id, &message);
        }
    }

    /// A succession that both ends are right about but for one of the two signatures.
    fn usurp(&mut self, now: Now, peer: &Peer) {
        let victim = self.peers[self.dice.index(self.peers.len())].key;
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&self.sequence.to_be_bytes());
        let other = Identity::from_seed(seed);
        // The key that is overwritten never signed this.
        let (old, new, overwritten) = match self.sequence % 2 {
            0 => (&other, &*self.me, 0..32),
            _ => (&*self.me, &other, 32..64),
        };
        let mut bytes = Vec::new();
        Succession::sign(old, new, &self.network).claim().encode(&mut bytes);
        bytes[overwritten].copy_from_slice(victim.as_bytes());
        let claim = Signed::<Succession>::decode(&mut Reader::new(bytes.into()));
        self.send(now, peer.id, &SuccessionMessage(claim.into_iter().collect()));
    }

    fn equivocate(&mut self, now: Now, peer: &Peer) {
        let half = peer.id.as_bytes()[0] % 2;
        let payload = Bytes::copy_from_slice(&[b'?', half]);
        let message = self.message(*self.me.public_key(), self.sequence / 50, now, payload);
        let message = self.me.sign(message, &self.network).claim().clone();
        self.send(now, peer.id, &GossipMessage::Gossip(10, message));
    }

    fn throw_away(&mut self, now: Now, peer: &Peer) {
        for number in 0..THROWN_AWAY {
            let mut seed = *self.me.node_id().as_bytes();
            seed[..8].copy_from_slice(&(self.sequence * THROWN_AWAY + number).to_be_bytes());
            let key = Identity::from_seed(seed);
            for payload in [&b"yes"[..], b"no"] {
                let message = self.message(*key.public_key(), 1, now, payload.into());
                let message = key.sign(message, &self.network).claim().clone();
                self.send(now, peer.id, &GossipMessage::Gossip(10, message));
            }
        }
    }

    fn withhold(&mut self, now: Now, peer: &Peer) {
        let mut holdings = Holdings::new();
        holdings.insert(self.me.node_id(), self.sequence);
        for message in &self.heard {
            let content = message.content();
            holdings.insert(content.sender.node_id(), content.sequence + 1);
        }
        for victim in &self.peers {
            holdings.insert(victim.id, 1_000_000 + self.sequence);
        }
        self.send(now, peer.id, &GossipMessage::IHave(holdings));
    }

    fn announce(&mut self, now: Now, peer: &Peer) {
        for _ in 0..10 {
            self.sessions.send(now, peer.id, Lane::GOSSIP, self.longest_list.clone());
        }
    }

    fn flood(&mut self, now: Now, peer: &Peer) {
        for _ in 0..50 {
            self.send(now, peer.id, &PeersMessage::Discovery(255));
            let (key, sum) = ([3; 16], [4; 16]);
            self.send(now, peer.id, &GossipMessage::Digest { key, count: 1, sum });
            self.send(now, peer.id, &GossipMessage::More { first: 0 });
        }
        if self.dice.chance(0.2) {
            let noise: Vec<u8> = (0..64).map(|n: u8| n.wrapping_mul(37)).collect();
            self.sessions.send(now, peer.id, Lane::CONTROL, noise.into());
        }
    }
}

/// A million nodes have the message from the one that says so, and none of them is named.
fn a_million() -> TraceAnswer {
    let mut sum = TraceSum { reached: 1_000_000, ..TraceSum::default() };
    (sum.depths[0], sum.depths[1]) = (1, sum.reached - 1);
    sum.sample = vec![SampledNode { depth: 1, ..SampledNode::default() }; MAX_TRACE_SAMPLE];
    TraceAnswer::Sum { age: 0, held: 0, sum: Box::new(sum) }
}

/// Every other number of many senders.
fn longest_list() -> Bytes {
    let mut holdings = Holdings::new();
    for n in (0..).take(MAX_HOLDINGS_RANGES) {
        holdings.insert(NodeId::from_bytes([u64::to_le_bytes(n)[0]; 32]), 2 * n);
    }
    GossipMessage::IHave(holdings).encode()
}

impl Conduct for Byzantine {
    const PACE: Duration = Duration::from_millis(100);

    fn sessions(&self) -> &GuestSessions {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut GuestSessions {
        &mut self.sessions
    }

    fn act(&mut self, now: Now) {
        self.dial_somebody(now);
        for peer in self.peers.clone() {
            match self.attack {
                Attack::Forge => self.forge(now, &peer),
                Attack::Replay => self.replay(now, &peer),
                Attack::Equivocate => self.equivocate(now, &peer),
                Attack::ThrowAway => self.throw_away(now, &peer),
                Attack::Withhold => self.withhold(now, &peer),
                Attack::Flood => self.flood(now, &peer),
                Attack::Announce => self.announce(now, &peer),
                Attack::Usurp => self.usurp(now, &peer),
                // It waits to be asked.
                Attack::Boast => {}
            }
        }
        self.sequence += 1;
    }

    fn settle(&mut self, now: Now) {
        while let Some(out) = self.sessions.poll(now) {
            match out {
                SessionEffect::Up(peer) => {
                    self.peers.retain(|known| known.id != peer.id);
                    self.peers.push(peer);
                }
                SessionEffect::Down { peer, .. } => self.peers.retain(|known| known.id != peer),
                SessionEffect::Message { peer, body } => self.hear(now, peer, body),
                _ => {}
            }
        }
    }
}
