//! Who is there: honest nodes and the identities of an attacker, with their records signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

use positron_proto::{
    handshake::Direction,
    id::{LinkId, NetworkId, NodeId},
    identity::{Identity, PublicKey, Signed, Verified},
    session::sessions::Peer,
    time::{Instant, Now, WallTime},
    wire::record::PeerRecord,
};

use crate::dice::Dice;

/// When everything begins.
pub(super) const START: Now = Now {
    mono: Instant::from_micros(5_000_000),
    wall: WallTime::from_unix_micros(1_800_000_000_000_000),
};

/// Where the identities of an attacker are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// On so many machines, each with an address in a network of its own.
    Hosts(usize),
    /// In so many /24, each in a /16 of its own.
    Blocks(usize),
    /// Each in a /16 of its own.
    Spread,
}

/// Somebody who has a record.
#[derive(Debug)]
pub(super) struct Person {
    key: PublicKey,
    pub(super) id: NodeId,
    pub(super) addr: SocketAddr,
    pub(super) record: Verified<PeerRecord>,
}

/// Everybody but the victim: first those who are honest, then those who are the attacker's.
#[derive(Debug)]
pub(super) struct People {
    people: Vec<Person>,
    honest: usize,
    by_id: BTreeMap<NodeId, usize>,
    by_addr: BTreeMap<SocketAddr, usize>,
}

/// The network of all of them.
pub(super) fn network() -> NetworkId {
    NetworkId::from_name("eclipse")
}

impl People {
    pub(super) fn new(dice: &mut Dice, honest: usize, (hostile, places): (usize, Places)) -> Self {
        let mut cast =
            Self { people: Vec::new(), honest, by_id: BTreeMap::new(), by_addr: BTreeMap::new() };
        while cast.people.len() < honest {
            let (addr, bytes) = (anywhere(dice), seed_of(dice));
            cast.add(addr, bytes);
        }
        let mut networks = BTreeSet::new();
        let mut bases = Vec::new();
        let wanted = match places {
            Places::Hosts(count) | Places::Blocks(count) => count,
            Places::Spread => hostile,
        };
        while bases.len() < wanted {
            let base = anywhere(dice);
            let [a, b, ..] = octets(base);
            if networks.insert((a, b)) {
                bases.push(base);
            }
        }
        for n in 0..hostile {
            let ([a, b, c, d], turn) = (octets(bases[n % wanted]), n / wanted);
            let low = u8::try_from(turn % 256).unwrap_or(u8::MAX);
            let port = u16::try_from(PORT + turn).unwrap_or(u16::MAX);
            let addr = match places {
                Places::Hosts(_) => at([a, b, c, d], port),
                Places::Blocks(_) => at([a, b, c, low], 8888),
                Places::Spread => at([a, b, c, d], 8888),
            };
            let bytes = seed_of(dice);
            cast.add(addr, bytes);
        }
        cast
    }

    fn add(&mut self, addr: SocketAddr, seed: [u8; 32]) {
        if self.by_addr.contains_key(&addr) {
            return;
        }
        let me = Identity::from_seed(seed);
        let record = PeerRecord {
            key: *me.public_key(),
            sequence: START.wall.as_unix_micros(),
            noise_static: seed,
            capabilities: 0,
            addresses: vec![addr.into()],
            carriers: Vec::new(),
            software: String::new(),
        };
        let record = me.sign(record, &network());
        let (id, at) = (me.node_id(), self.people.len());
        self.by_id.insert(id, at);
        self.by_addr.insert(addr, at);
        self.people.push(Person { key: *me.public_key(), id, addr, record });
    }

    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) const fn honest(&self) -> usize {
        self.honest
    }

    pub(super) const fn is_honest(&self, who: usize) -> bool {
        who < self.honest
    }

    pub(super) fn person(&self, who: usize) -> &Person {
        &self.people[who]
    }

    pub(super) fn find(&self, id: &NodeId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(super) fn at(&self, addr: SocketAddr) -> Option<usize> {
        self.by_addr.get(&addr).copied()
    }

    /// What this one says of itself.
    pub(super) fn claim(&self, who: usize) -> Signed<PeerRecord> {
        self.people[who].record.claim().clone()
    }

    /// This one, as the victim sees it at the other end of a link.
    pub(super) fn peer(&self, who: usize, direction: Direction) -> Peer {
        let Person { key, id, mut addr, ref record } = self.people[who];
        if direction == Direction::Inbound {
            addr.set_port(50_000);
        }
        let (noise_static, link) = (record.content().noise_static, LinkId::of_core(1));
        Peer { id, key, noise_static, addr, direction, link, boot: 1 }
    }
}

/// Some address of the internet.
fn anywhere(dice: &mut Dice) -> SocketAddr {
    loop {
        let [a, b, c, d, ..] = dice.draw().to_be_bytes();
        let is_routed = (11..=223).contains(&a) && !matches!(a, 100 | 127 | 169 | 172 | 192);
        if is_routed && (1..=254).contains(&d) {
            return at([a, b, c, d], 8888);
        }
    }
}

fn at([a, b, c, d]: [u8; 4], port: u16) -> SocketAddr {
    (Ipv4Addr::new(a, b, c, d), port).into()
}

fn octets(addr: SocketAddr) -> [u8; 4] {
    match addr {
        SocketAddr::V4(v4) => v4.ip().octets(),
        SocketAddr::V6(_) => [0; 4],
    }
}

fn seed_of(dice: &mut Dice) -> [u8; 32] {
    let mut seed = [0; 32];
    for part in seed.chunks_exact_mut(8) {
        part.copy_from_slice(&dice.draw().to_be_bytes());
    }
    seed
}

/// The first port of an attacker's machine.
const PORT: usize = 10_000;
