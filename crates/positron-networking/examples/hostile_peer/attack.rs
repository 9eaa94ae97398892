//! What a hostile peer says.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;
use positron_networking::NodeId;
use positron_proto::{
    direct::DirectMessage,
    gossip::GossipMessage,
    handshake::link_public_key,
    id::NetworkId,
    identity::{Identity, Signature, Signed, Verified},
    limits::{MAX_HOLDINGS_RANGES, MAX_HOLDINGS_SENDERS, MAX_PAYLOAD, MAX_SOFTWARE},
    node::Message,
    peers::PeersMessage,
    rng::Rng,
    time::WallTime,
    wire::{
        frame::Lane,
        holdings::{Holdings, Ranges},
        message::{AppMessage, Audience},
        record::PeerRecord,
    },
};

/// Something that an authenticated peer can say without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Announces messages that do not exist, as many as a list holds.
    Lists,
    /// Wants everything that everybody ever said.
    Wants,
    /// Wants to compare everything, again and again.
    Digests,
    /// Would let go of messages that do not exist.
    Offers,
    /// Needs nothing kept that does not exist.
    Receipts,
    /// Has large messages that do not exist, and would be asked for them.
    Promises,
    /// Asks whom the other knows.
    Discoveries,
    /// Says what nobody understands, in as few bytes as may be.
    Tiny,
    /// Invents types of messages, and peers with versions and addresses.
    Inventions,
    /// Says things in the name of others.
    Forgeries,
    /// Tells its neighbour things that it did not sign.
    DirectForgeries,
    /// Broadcasts the same message of its own, again and again.
    Repeats,
    /// Broadcasts new messages of its own, as large as may be.
    LargeBroadcasts,
    /// Broadcasts new messages of its own of 64 KiB.
    MiddlingBroadcasts,
    /// Broadcasts new messages of its own, small ones.
    SmallBroadcasts,
    /// Tells its neighbour new things, small ones.
    DirectMessages,
}

impl Attack {
    pub(crate) const ALL: [Self; 16] = [
        Self::Lists,
        Self::Wants,
        Self::Digests,
        Self::Offers,
        Self::Receipts,
        Self::Promises,
        Self::Discoveries,
        Self::Tiny,
        Self::Inventions,
        Self::Forgeries,
        Self::DirectForgeries,
        Self::Repeats,
        Self::LargeBroadcasts,
        Self::MiddlingBroadcasts,
        Self::SmallBroadcasts,
        Self::DirectMessages,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lists => "lists",
            Self::Wants => "wants",
            Self::Digests => "digests",
            Self::Offers => "offers",
            Self::Receipts => "receipts",
            Self::Promises => "promises",
            Self::Discoveries => "discoveries",
            Self::Tiny => "tiny",
            Self::Inventions => "inventions",
            Self::Forgeries => "forgeries",
            Self::DirectForgeries => "direct-forgeries",
            Self::Repeats => "repeats",
            Self::LargeBroadcasts => "large-broadcasts",
            Self::MiddlingBroadcasts => "64k-broadcasts",
            Self::SmallBroadcasts => "small-broadcasts",
            Self::DirectMessages => "direct-messages",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.name() == name)
    }

    /// Whether its neighbour is to send it away. Valid news is what a network is for: it is slowed
    /// down and passed on.
    pub(crate) const fn is_to_end(self) -> bool {
        !matches!(
            self,
            Self::LargeBroadcasts
                | Self::MiddlingBroadcasts
                | Self::SmallBroadcasts
                | Self::DirectMessages
        )
    }
}

/// Says one attack, message by message.
pub(crate) struct Speaker {
    attack: Attack,
    me: Identity,
    network: NetworkId,
    to: NodeId,
    honest: Vec<NodeId>,
    dice: Rng,
    /// Of its next message.
    sequence: u64,
    /// What was made once because making it costs more than reading it.
    ready: Vec<(Lane, Bytes)>,
    said: usize,
    /// What was signed in advance, or found no room: signing takes as much of a machine as reading,
    /// and those who are attacked are to have theirs.
    signed: VecDeque<(Lane, Bytes)>,
}

impl Speaker {
    pub(crate) fn new(attack: Attack, me: Identity, honest: Vec<NodeId>, dice: Rng) -> Self {
        let (network, to) = (NetworkId::from_name(NetworkId::DEFAULT), honest[0]);
        let (ready, signed) = (Vec::new(), VecDeque::new());
        let mut speaker =
            Self { attack, me, network, to, honest, dice, sequence: 0, ready, said: 0, signed };
        let variants = match attack {
            Attack::Repeats => 1,
            Attack::Inventions => 256,
            _ => 16,
        };
        speaker.ready = (0..variants).filter_map(|_| speaker.same_again()).collect();
        speaker
    }

    /// Whom it talks to.
    pub(crate) const fn target(&self) -> NodeId {
        self.to
    }

    /// Signs some of what it is going to say, unless it says the same again and again.
    pub(crate) fn prepare(&mut self, (messages, bytes): (usize, usize)) {
        let mut len = 0;
        while self.ready.is_empty() && self.signed.len() < messages && len < bytes {
            let message = self.sign_next();
            len += message.1.len();
            self.signed.push_back(message);
        }
    }

    pub(crate) fn next(&mut self) -> (Lane, Bytes) {
        self.said += 1;
        if let Some(ready) = self.ready.get(self.said % self.ready.len().max(1)) {
            return ready.clone();
        }
        self.signed.pop_front().unwrap_or_else(|| self.sign_next())
    }

    /// There was no room for it.
    pub(crate) fn put_back(&mut self, message: (Lane, Bytes)) {
        if self.ready.is_empty() {
            self.signed.push_front(message);
        }
    }

    fn sign_next(&mut self) -> (Lane, Bytes) {
        let (audience, size) = match self.attack {
            Attack::LargeBroadcasts => (Audience::Everyone, MAX_PAYLOAD),
            Attack::MiddlingBroadcasts => (Audience::Everyone, 64 << 10),
            Attack::DirectMessages | Attack::DirectForgeries => (Audience::Node(self.to), 16),
            _ => (Audience::Everyone, 16),
        };
        let mut message = self.content(audience, size);
        if self.attack == Attack::Forgeries {
            message.sender = *Identity::from_seed(self.dice.bytes()).public_key();
            let forged = Signed::new(message, Signature::from_bytes([7; 64]));
            return said(GossipMessage::Gossip(10, forged));
        }
        if self.attack == Attack::DirectForgeries {
            let unsigned = Signed::new(message, Signature::from_bytes([7; 64]));
            return said(DirectMessage::CustomData(unsigned));
        }
        let message = self.me.sign(message, &self.network).claim().clone();
        match audience {
            Audience::Everyone => said(GossipMessage::Gossip(10, message)),
            Audience::Node(_) => said(DirectMessage::CustomData(message)),
        }
    }

    /// A message that can be said as often as one likes.
    fn same_again(&mut self) -> Option<(Lane, Bytes)> {
        Some(match self.attack {
            Attack::Lists => said(GossipMessage::IHave(self.nonsense())),
            Attack::Wants => said(GossipMessage::IWant(self.everything())),
            Attack::Digests => {
                let (key, count) = (self.dice.bytes(), self.dice.below(1000));
                said(GossipMessage::Digest { key, count, sum: self.dice.bytes() })
            }
            Attack::Offers => said(GossipMessage::Offer(self.nonsense())),
            Attack::Receipts => said(GossipMessage::Receipt(self.nonsense())),
            Attack::Promises => {
                let (sender, sequence) = (NodeId::from_bytes(self.dice.bytes()), self.sequence);
                said(GossipMessage::Large { sender, sequence, bytes: MAX_PAYLOAD })
            }
            Attack::Discoveries => said(PeersMessage::Discovery(u8::MAX)),
            Attack::Tiny => (Lane::CONTROL, Bytes::from_static(&[0x7F])),
            Attack::Inventions => self.invention(),
            Attack::Repeats => {
                let message = self.content(Audience::Everyone, 16);
                let message = self.me.sign(message, &self.network).claim().clone();
                said(GossipMessage::Gossip(10, message))
            }
            Attack::Forgeries
            | Attack::DirectForgeries
            | Attack::LargeBroadcasts
            | Attack::MiddlingBroadcasts
            | Attack::SmallBroadcasts
            | Attack::DirectMessages => return None,
        })
    }

    fn content(&mut self, audience: Audience, size: usize) -> AppMessage {
        self.sequence += 1;
        let (sender, sequence) = (*self.me.public_key(), self.sequence);
        let (timestamp, payload) = (WallTime::default(), vec![0; size].into());
        AppMessage { sender, audience, sequence, timestamp, payload }
    }

    /// Text in any lane, or a type of message, or a peer.
    fn invention(&mut self) -> (Lane, Bytes) {
        let number = self.dice.bytes::<1>()[0];
        let lane = Lane::KNOWN[usize::from(number) % Lane::KNOWN.len()];
        let mut text = MARKUP.as_bytes().to_vec();
        match number % 3 {
            0 => (lane, text.into()),
            1 => {
                text.insert(0, number);
                (Lane::CONTROL, text.into())
            }
            _ => {
                let who = Identity::from_seed(self.dice.bytes());
                let peer = invented(&who, number.into(), &self.network);
                said(PeersMessage::Announcement(vec![peer.claim().clone()]))
            }
        }
    }

    /// As many ranges of as many senders as a list holds.
    fn nonsense(&mut self) -> Holdings {
        let mut holdings = Holdings::new();
        for _ in 0..MAX_HOLDINGS_SENDERS {
            let sender = NodeId::from_bytes(self.dice.bytes());
            let mut number = self.dice.below(1 << 50);
            for _ in 0..MAX_HOLDINGS_RANGES / MAX_HOLDINGS_SENDERS {
                holdings.insert(sender, number);
                number += 2;
            }
        }
        holdings
    }

    fn everything(&self) -> Holdings {
        let mut holdings = Holdings::new();
        for sender in &self.honest {
            let mut all = Ranges::new();
            all.insert_range(0..=u64::MAX >> 2);
            holdings.insert_ranges(*sender, all);
        }
        holdings
    }
}

/// A text that would be more than a text if anybody took it for one of his own.
pub(crate) const MARKUP: &str = "evil\"} 1 # EOF <script>alert('x')</script> \\n{le=\"+Inf\"}";

/// What somebody says of itself who is not there, and runs what nobody made.
pub(crate) fn invented(who: &Identity, nth: u16, network: &NetworkId) -> Verified<PeerRecord> {
    let [high, low] = nth.to_be_bytes();
    let record = PeerRecord {
        key: *who.public_key(),
        sequence: 1,
        noise_static: link_public_key(who),
        capabilities: u32::MAX,
        addresses: vec![SocketAddr::from(([127, high, low, 1], NOBODY)).into()],
        carriers: Vec::new(),
        software: format!("{nth}.0 {MARKUP}").chars().take(MAX_SOFTWARE).collect(),
    };
    who.sign(record, network)
}

/// A port that nobody listens at (discard).
const NOBODY: u16 = 9;

fn said(message: impl Into<Message>) -> (Lane, Bytes) {
    let message = message.into();
    (message.lane(), message.encode())
}
