//! Somebody who announces what everybody is going to say, and never sends it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use bytes::Bytes;
use positron_proto::{
    gossip::GossipMessage,
    id::NodeId,
    node::Message,
    session::sessions::SessionEffect,
    time::{Duration, Now},
    wire::{
        holdings::{Holdings, Ranges},
        message::RoomMessage,
    },
};

use super::{arrival::Arrival, guest::Conduct, guest_sessions::GuestSessions};
use crate::dice::{Dice, named_dice};

/// Messages of each sender that it announces beyond the last one that it heard of.
const AHEAD: u64 = 5;

/// Learns from its peers who says what, and tells all of them that it has that, and what comes
/// next; of large messages at once, so that nobody hears of them sooner from anybody else. To
/// whoever asks it for any it answers nothing, and nothing that it takes goes further.
pub(super) struct Liar {
    wanted_peers: usize,
    me: NodeId,
    targets: Vec<SocketAddr>,
    sessions: GuestSessions,
    dice: Dice,
    peers: BTreeSet<NodeId>,
    /// The highest number of each sender that it heard of.
    highest: BTreeMap<NodeId, u64>,
    /// What has not been announced yet.
    news: Holdings,
}

impl Liar {
    pub(super) fn new(wanted_peers: usize, arrival: Arrival) -> Self {
        Self {
            wanted_peers,
            sessions: GuestSessions::new(&arrival),
            me: arrival.identity.node_id(),
            targets: arrival.targets,
            dice: named_dice(&arrival.seed, "liar"),
            peers: BTreeSet::new(),
            highest: BTreeMap::new(),
            news: Holdings::new(),
        }
    }

    /// Learns who says what from what is sent and from what is announced.
    fn hear(&mut self, now: Now, body: Bytes) {
        match Message::decode(body, self.me) {
            Ok(Some(Message::Gossip(GossipMessage::Gossip(_, message)))) => {
                let content = message.content();
                self.hear_of(content.sender.node_id(), content.sequence);
            }
            Ok(Some(Message::Gossip(large @ GossipMessage::Large { sender, sequence, .. })))
                if self.hear_of(sender, sequence) =>
            {
                self.tell_all(now, &large);
            }
            Ok(Some(Message::Gossip(GossipMessage::IHave(holdings)))) => {
                for (sender, ranges) in holdings.iter() {
                    if let Some(last) = ranges.iter().next_back() {
                        self.hear_of(*sender, *last.end());
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns whether it never heard of it, nor of a later one.
    fn hear_of(&mut self, sender: NodeId, number: u64) -> bool {
        let before = self.highest.get(&sender).copied();
        let is_new = before.is_none_or(|before| before < number);
        if is_new {
            self.highest.insert(sender, number);
            self.news.insert_ranges(sender, lie(number));
        }
        is_new
    }

    fn everything(&self) -> Holdings {
        let mut all = Holdings::new();
        for (sender, highest) in &self.highest {
            all.insert_ranges(*sender, lie(*highest));
        }
        all
    }

    fn tell_all(&mut self, now: Now, message: &GossipMessage) {
        for peer in self.peers.clone() {
            self.tell(now, peer, message);
        }
    }

    fn tell(&mut self, now: Now, to: NodeId, message: &GossipMessage) {
        self.sessions.send(now, to, message.lane(), message.encode());
    }
}

/// What it says that it has of somebody of whom it heard up to `number`.
fn lie(number: u64) -> Ranges {
    let mut numbers = Ranges::new();
    numbers.insert_range(number..=number.saturating_add(AHEAD));
    numbers
}

impl Conduct for Liar {
    const PACE: Duration = Duration::from_millis(100);

    fn sessions(&self) -> &GuestSessions {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut GuestSessions {
        &mut self.sessions
    }

    fn act(&mut self, now: Now) {
        if self.peers.len() < self.wanted_peers {
            let to = self.targets[self.dice.index(self.targets.len())];
            self.sessions.dial(now, to);
        }
        let news = std::mem::replace(&mut self.news, Holdings::new());
        if !news.is_empty() {
            self.tell_all(now, &GossipMessage::IHave(news));
        }
    }

    fn settle(&mut self, now: Now) {
        while let Some(out) = self.sessions.poll(now) {
            match out {
                SessionEffect::Up(peer) => {
                    self.peers.insert(peer.id);
                    self.tell(now, peer.id, &GossipMessage::IHave(self.everything()));
                }
                SessionEffect::Down { peer, .. } => {
                    self.peers.remove(&peer);
                }
                SessionEffect::Message { body, .. } => self.hear(now, body),
                _ => {}
            }
        }
    }
}
