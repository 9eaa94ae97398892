//! Somebody who claims what does not exist yet, and never will.

use std::collections::BTreeMap;

use bytes::Bytes;
use positron_proto::{
    gossip::GossipMessage,
    id::{MessageId, NodeId},
    identity::{Signed, Statement},
    limits::{MAX_PAYLOAD, MAX_SKETCHED, SKETCH_PIECE, SKETCH_SYMBOLS},
    node::Message,
    peers::PeersMessage,
    recommendation::RecommendationMessage,
    reconciliation::{Code, Sketch, Symbol},
    session::sessions::{Peer, SessionEffect},
    time::{Duration, Now, WallTime},
    trace::{TraceMessage, TraceOrder},
    wire::{
        holdings::{Holdings, Ranges},
        message::{AppMessage, Audience, RoomMessage},
    },
    words::Recommendation,
};

use super::{arrival::Arrival, guest::Conduct, guest_sessions::GuestSessions};
use crate::dice::{Dice, named_dice};

/// The highest number that a list can name; a message has at most this one.
const HIGHEST: u64 = (1 << 62) - 1;
/// Senders that it remembers.
const MEMORY: usize = 64;
/// Elements of the sets that it does not have.
const MADE_UP: u64 = 5_000;
/// Claims from one record or trace of it to the next: below what anybody may send.
const SELDOM: u64 = 30;

/// Claims numbers, sets and times that do not exist, each as high as it can be said and lower ones
/// after it. Whatever is compared with it has no end; whatever it is asked for it does not answer.
pub(super) struct Prophet {
    wanted_peers: usize,
    arrival: Arrival,
    sessions: GuestSessions,
    dice: Dice,
    /// With the key under which each compares notes, once it said so.
    peers: BTreeMap<NodeId, Option<[u8; 16]>>,
    /// The lowest and the highest number of each sender that it heard of.
    heard: BTreeMap<NodeId, (u64, u64)>,
    /// Of a set that it does not have.
    symbols: Vec<Symbol>,
    round: u64,
}

impl Prophet {
    pub(super) fn new(wanted_peers: usize, arrival: Arrival) -> Self {
        let codes = (0..MADE_UP).map(|n| Code::of(&[7; 16], &n.to_be_bytes()));
        Self {
            wanted_peers,
            sessions: GuestSessions::new(&arrival),
            dice: named_dice(&arrival.seed, "prophet"),
            arrival,
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            symbols: Sketch::new(codes, SKETCH_SYMBOLS).symbols().to_vec(),
            round: 0,
        }
    }

    /// Its record is of the last microsecond that there is, and what it says is the last thing that
    /// anybody can say under its key; the next one comes before it.
    fn greet(&mut self, now: Now, peer: &Peer) {
        self.peers.insert(peer.id, None);
        self.say_hello(now, peer.id, false);
        for (sequence, timestamp) in [(HIGHEST, u64::MAX), (1, 0)] {
            let message = AppMessage {
                sender: *self.arrival.identity.public_key(),
                audience: Audience::Everyone,
                sequence,
                timestamp: WallTime::from_unix_micros(timestamp),
                payload: Bytes::from_static(b"the end is near"),
            };
            let message = self.sign(message);
            self.tell(now, peer.id, &GossipMessage::Gossip(10, message));
        }
    }

    fn say_hello(&mut self, now: Now, to: NodeId, answer: bool) {
        let (record, observed) = (self.arrival.record(u64::MAX), self.arrival.addr.into());
        self.tell(now, to, &PeersMessage::Hello { answer, record, observed, peers: Vec::new() });
    }

    fn sign<T: Statement + Clone>(&self, content: T) -> Signed<T> {
        self.arrival.identity.sign(content, &self.arrival.network).claim().clone()
    }

    fn hear(&mut self, now: Now, from: NodeId, body: Bytes) {
        match Message::decode(body, self.arrival.identity.node_id()) {
            Ok(Some(Message::Gossip(message))) => self.hear_gossip(now, from, message),
            Ok(Some(Message::Peers(PeersMessage::Hello { answer: false, .. }))) => {
                self.say_hello(now, from, true);
            }
            _ => {}
        }
    }

    fn hear_gossip(&mut self, now: Now, from: NodeId, message: GossipMessage) {
        match message {
            GossipMessage::Gossip(_, message) => {
                let content = message.content();
                self.hear_of(content.sender.node_id(), content.sequence, content.sequence);
            }
            GossipMessage::Large { sender, sequence, .. } => {
                self.hear_of(sender, sequence, sequence);
            }
            GossipMessage::IHave(holdings) | GossipMessage::Offer(holdings) => {
                for (sender, ranges) in holdings.iter() {
                    let (first, last) = (ranges.iter().next(), ranges.iter().next_back());
                    if let (Some(first), Some(last)) = (first, last) {
                        self.hear_of(*sender, *first.start(), *last.end());
                    }
                }
            }
            // Whoever compares notes with it hears of a set that nobody has, piece by piece.
            GossipMessage::Digest { key, .. } => {
                self.peers.insert(from, Some(key));
                self.send_piece(now, from, 0);
            }
            GossipMessage::More { first } => {
                self.send_piece(now, from, if first < SKETCH_SYMBOLS { first } else { 0 });
            }
            // And who shows it a set is asked for more of it, and for what it has not.
            GossipMessage::Sketch { first, symbols, .. } => {
                let first = (first + symbols.len()).min(SKETCH_SYMBOLS);
                self.tell(now, from, &GossipMessage::More { first });
                let lacking = (0..9_u8).map(|n| Code::of(&[n; 16], b"nothing")).collect();
                self.tell(now, from, &GossipMessage::Lacking(lacking));
            }
            _ => {}
        }
    }

    fn send_piece(&mut self, now: Now, to: NodeId, first: usize) {
        let symbols: Vec<Symbol> =
            self.symbols.iter().skip(first).take(SKETCH_PIECE).copied().collect();
        let elements = u32::try_from(MAX_SKETCHED).unwrap_or(u32::MAX);
        let piece = GossipMessage::Sketch { elements, length: SKETCH_SYMBOLS, first, symbols };
        self.tell(now, to, &piece);
    }

    fn hear_of(&mut self, sender: NodeId, lowest: u64, highest: u64) {
        if self.heard.len() >= MEMORY && !self.heard.contains_key(&sender)
            || sender == self.arrival.identity.node_id()
            || highest > HIGHEST / 2
        {
            return;
        }
        let known = self.heard.entry(sender).or_insert((lowest, highest));
        *known = (known.0.min(lowest), known.1.max(highest));
    }

    fn tell(&mut self, now: Now, to: NodeId, message: &impl RoomMessage) {
        self.sessions.send(now, to, message.lane(), message.encode());
    }

    /// One claim of each kind, in turn.
    fn claim(&mut self, now: Now, to: NodeId, key: Option<[u8; 16]>) {
        let round = self.round;
        match round % 8 {
            0 => self.tell(now, to, &GossipMessage::IHave(self.numbers(|_, _| HIGHEST - round))),
            1 => {
                let lower = self.numbers(|lowest, _| lowest.saturating_sub(round));
                self.tell(now, to, &GossipMessage::IHave(lower));
            }
            2 => self.tell(now, to, &GossipMessage::IHave(self.numbers(|_, highest| highest + 1))),
            3 => self.tell_of_large(now, to),
            4 => {
                let key = key.unwrap_or([3; 16]);
                let count = if round.is_multiple_of(16) { u64::MAX } else { 0 };
                self.tell(now, to, &GossipMessage::Digest { key, count, sum: [9; 16] });
            }
            5 => self.tell(now, to, &GossipMessage::Offer(self.numbers(|_, at| at + round))),
            6 => self.tell(now, to, &GossipMessage::Receipt(self.all_there_will_be())),
            _ => {
                let peers = if round.is_multiple_of(16) { 0 } else { u32::MAX };
                self.tell(now, to, &PeersMessage::Heartbeat(peers));
            }
        }
        if round.is_multiple_of(SELDOM) {
            self.date_ahead(now, to);
        }
    }

    /// One number of each sender.
    fn numbers(&self, number: impl Fn(u64, u64) -> u64) -> Holdings {
        let mut numbers = Holdings::new();
        for (sender, (lowest, highest)) in &self.heard {
            numbers.insert(*sender, number(*lowest, *highest).min(HIGHEST));
        }
        numbers
    }

    /// Whoever keeps something for it need not, for it has that, too.
    fn all_there_will_be(&self) -> Holdings {
        let mut numbers = Holdings::new();
        for (sender, (lowest, _)) in &self.heard {
            let mut all = Ranges::new();
            all.insert_range(*lowest..=HIGHEST);
            numbers.insert_ranges(*sender, all);
        }
        numbers
    }

    /// What is large is asked for at once, and waited for as long as it takes to be sent.
    fn tell_of_large(&mut self, now: Now, to: NodeId) {
        for (sender, (lowest, highest)) in self.heard.clone() {
            for sequence in [lowest.saturating_sub(self.round), highest + 1, HIGHEST - self.round] {
                let large = GossipMessage::Large { sender, sequence, bytes: MAX_PAYLOAD };
                self.tell(now, to, &large);
            }
        }
    }

    /// Of times that have not come, the last one first.
    fn date_ahead(&mut self, now: Now, to: NodeId) {
        let record = self.arrival.record(u64::MAX - self.round);
        self.tell(now, to, &PeersMessage::Announcement(vec![record]));
        let order = TraceOrder {
            sender: *self.arrival.identity.public_key(),
            message: MessageId::from_bytes([5; 32]),
            at: WallTime::from_unix_micros(u64::MAX - self.round),
        };
        let order = self.sign(order);
        self.tell(now, to, &TraceMessage::Ask { hops: u8::MAX, order });
        if self.round.is_multiple_of(10 * SELDOM) {
            let nobody = NodeId::from_bytes([u64::to_le_bytes(self.round)[1]; 32]);
            let trusted = [Recommendation { node: nobody, strength: u16::MAX }];
            self.tell(now, to, &RecommendationMessage::Update(trusted.to_vec()));
        }
    }
}

impl Conduct for Prophet {
    const PACE: Duration = Duration::from_millis(100);

    fn sessions(&self) -> &GuestSessions {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut GuestSessions {
        &mut self.sessions
    }

    fn act(&mut self, now: Now) {
        if self.peers.len() < self.wanted_peers {
            let to = self.arrival.targets[self.dice.index(self.arrival.targets.len())];
            self.sessions.dial(now, to);
        }
        self.round += 1;
        for (peer, key) in self.peers.clone() {
            self.claim(now, peer, key);
        }
    }

    fn settle(&mut self, now: Now) {
        while let Some(out) = self.sessions.poll(now) {
            match out {
                SessionEffect::Up(peer) => self.greet(now, &peer),
                SessionEffect::Down { peer, .. } => drop(self.peers.remove(&peer)),
                SessionEffect::Message { peer, body } => self.hear(now, peer, body),
                _ => {}
            }
        }
    }
}
