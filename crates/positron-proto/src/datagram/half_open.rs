//! Strangers: from their SYN to the first sealed packet that opens `[PROTOCOL 9]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use super::{
    client_handshake::unsealed,
    connection::SealedPacket,
    contract::{EndpointCounters, RemoteNode},
    cookie::Cookies,
    per_second::PerSecond,
    protection::{Protection, Tuning},
};
use crate::{
    crypto::sha256,
    handshake::{
        agreement::{self, Agreement, Answer, HandshakeCarrier, IgnoredMessage},
        expect::Direction,
        hello::Local,
        noise::Pattern,
    },
    limits::{
        COOKIES_FROM, HANDSHAKE_TIMEOUT, LEAST_DATAGRAM, MAX_DATAGRAM_HALF_OPEN,
        MAX_HALF_OPEN_PER_IP, SYN_TIMEOUT, SYNS_PER_SECOND,
    },
    netgroup::counted,
    rng::Rng,
    time::Instant,
    wire::{
        frame::CloseReason,
        packet::{Flags, HEADER_LEN, HandshakeAck, Header, Hint, PacketType, Syn, SynAck, TAG_LEN},
        packet_frame,
    },
};

/// Half-open handshakes of strangers (SYN_RECEIVED).
///
/// Nothing outside of this table changes because of a SYN: only the first sealed packet that opens
/// proves that a SYN was not an old one sent again.
///
/// **Bounds**: [`MAX_DATAGRAM_HALF_OPEN`] rows, each for [`HANDSHAKE_TIMEOUT`] at the most, the
/// oldest gives way; [`MAX_HALF_OPEN_PER_IP`] rows of one address (IPv6: /64; loopback is not
/// counted). From [`COOKIES_FROM`] rows on, or after [`SYNS_PER_SECOND`] SYNs in a second, or with
/// so many rows of the address, a SYN without a good cookie costs two hashes and no memory; with
/// one it takes the place of an older row of its address that came without, and is dropped if there
/// is none, so that no address makes us compute more than its rows. No answer is longer than the
/// SYN that it answers. A row of XX keeps one sealed packet of [`LEAST_DATAGRAM`] bytes at the
/// most, from the address of its SYN.
#[derive(Debug)]
pub(super) struct HalfOpenTable {
    rows: BTreeMap<Key, HalfOpen>,
    by_wire: BTreeMap<u32, Key>,
    /// In the order of arrival, which is that of expiry.
    by_arrival: BTreeMap<u64, Key>,
    by_address: BTreeMap<IpAddr, BTreeSet<u64>>,
    arrived: u64,
    cookies: Cookies,
    computed: PerSecond,
    tuning: Tuning,
}

/// Address, and a hash of all of the SYN that its answer depends on: a SYN that was altered on its
/// way must not take the place of the genuine one.
type Key = (SocketAddr, [u8; 32]);

#[derive(Debug)]
struct HalfOpen {
    arrived: u64,
    since: Instant,
    /// Our connection id.
    wire: u32,
    /// Whether its SYN brought a good cookie: it is from where it says.
    is_proven: bool,
    /// What is said again for each repeated SYN, if anything.
    answer: Option<Vec<u8>>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing can come of it. It is remembered because it cost a computation.
    Over,
    /// XX: the third message is awaited, and with it what overtook it.
    Answered(Box<Answer>, Option<Vec<u8>>),
    /// The first sealed packet is awaited. If something is held against the stranger, each that
    /// opens is answered by it.
    Proving(Box<Agreement>, Box<Protection>),
}

/// What a sealed packet came to.
#[derive(Debug)]
pub(super) enum Knock {
    /// It changed nothing.
    Nothing,
    /// It is answered by this datagram, and that is all.
    Refused(Vec<u8>),
    /// The stranger is live.
    Live(Box<Accepted>),
}

/// A stranger who proved to be live.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) remote: RemoteNode,
    pub(super) theirs: u32,
    pub(super) protection: Protection,
    /// The number of the first packet.
    pub(super) number: u64,
}

impl HalfOpenTable {
    pub(super) fn new(rng: &mut Rng, tuning: Tuning) -> Self {
        Self {
            rows: BTreeMap::new(),
            by_wire: BTreeMap::new(),
            by_arrival: BTreeMap::new(),
            by_address: BTreeMap::new(),
            arrived: 0,
            cookies: Cookies::new(rng),
            computed: PerSecond::default(),
            tuning,
        }
    }

    /// Handshakes that are not complete.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// SYNs computed on in this second.
    #[cfg(test)]
    pub(super) const fn computed(&self) -> u32 {
        self.computed.count
    }

    /// Whether a connection id names a handshake here.
    pub(super) fn knows(&self, wire: u32) -> bool {
        self.by_wire.contains_key(&wire)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (_, key) = self.by_arrival.first_key_value()?;
        self.rows.get(key).map(|row| row.since + HANDSHAKE_TIMEOUT)
    }

    /// Forgets handshakes that took too long.
    pub(super) fn handle_timeout(&mut self, now: Instant, counters: &mut EndpointCounters) {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            let Some((_, key)) = self.by_arrival.first_key_value() else { return };
            let row = self.forget(&{ *key });
            let is_news = row.is_some_and(|row| !matches!(row.stage, Stage::Over));
            counters.handshakes_failed += u64::from(is_news);
        }
    }

    /// Takes a SYN: the answer, if there is one. `ours` is a fresh connection id.
    pub(super) fn handle_syn(
        &mut self,
        (now, from): (Instant, SocketAddr),
        syn: &Syn<'_>,
        ours: u32,
        local: &Local,
        rng: &mut Rng,
        counters: &mut EndpointCounters,
    ) -> Option<Vec<u8>> {
        let Some(pattern) = Pattern::from_byte(syn.pattern) else {
            // A pattern of a later version [PROTOCOL 8].
            counters.handshakes_failed += 1;
            return None;
        };
        let key = (from, digest(syn));
        if let Some(row) = self.rows.get(&key) {
            return row.answer.clone();
        }
        if syn.connection == 0 {
            counters.malformed += 1;
            return None;
        }
        let is_pressed = self.is_pressed(now, from);
        if is_pressed && let Some(cookie) = self.wants_cookie((now, from), syn, rng, counters) {
            return Some(cookie);
        }
        if !self.makes_room(from, counters) {
            counters.handshakes_failed += 1;
            return None;
        }
        self.note_computed(now);
        let carrier = HandshakeCarrier::Datagrams { initiator: syn.connection, ours };
        let syn_ack = |noise: &[u8]| {
            let answer = SynAck::Noise { pattern: syn.pattern, noise };
            Some(unsealed(PacketType::SynAck, syn.connection, |out| answer.encode(out)))
        };
        let hint = |out: &mut Vec<u8>| Hint::NotThisKey.encode(out);
        let heard = match pattern {
            Pattern::Ik => agreement::hear_ik(syn.noise, local, carrier, rng)
                .map(|(agreed, noise)| (Stage::of(agreed, self.tuning), syn_ack(&noise))),
            Pattern::Xx => Answer::to(syn.noise, local, carrier, rng)
                .map(|(answer, noise)| (Stage::Answered(Box::new(answer), None), syn_ack(&noise)))
                .map_err(|_| IgnoredMessage::Broken),
        };
        counters.handshakes_failed += u64::from(heard.is_err());
        let (stage, answer) = heard.unwrap_or_else(|why| match why {
            IgnoredMessage::NotThisKey => {
                (Stage::Over, Some(unsealed(PacketType::Rst, syn.connection, hint)))
            }
            IgnoredMessage::Broken => (Stage::Over, None),
        });
        let said = answer.clone();
        let (arrived, since) = (self.arrived, now);
        let row = HalfOpen { arrived, since, wire: ours, is_proven: is_pressed, answer, stage };
        self.enter(key, row);
        said
    }

    /// The cookie that answers a SYN which does not bring a good one.
    pub(super) fn wants_cookie(
        &mut self,
        (now, from): (Instant, SocketAddr),
        syn: &Syn<'_>,
        rng: &mut Rng,
        counters: &mut EndpointCounters,
    ) -> Option<Vec<u8>> {
        if self.cookies.is_good(now, from, syn) {
            return None;
        }
        counters.cookies_wrong += u64::from(!syn.cookie.is_empty());
        counters.cookies_sent += 1;
        let cookie = self.cookies.mint(now, from, syn, rng);
        let answer = SynAck::Cookie { cookie: &cookie };
        Some(unsealed(PacketType::SynAck, syn.connection, |out| answer.encode(out)))
    }

    /// A SYN is computed on, which costs the same whatever it is for.
    pub(super) fn note_computed(&mut self, now: Instant) {
        self.computed.count(now);
    }

    /// Whether only a cookie lets a SYN from this address in.
    pub(super) fn is_pressed(&mut self, now: Instant, from: SocketAddr) -> bool {
        let neighbours = counted(from).and_then(|address| self.by_address.get(&address));
        self.rows.len() >= COOKIES_FROM
            || self.computed.in_this_second(now) >= SYNS_PER_SECOND
            || neighbours.is_some_and(|rows| rows.len() >= MAX_HALF_OPEN_PER_IP)
    }

    /// Lets the oldest row go that has to give way to one more of this address; false if there can
    /// be none. Whoever brought a cookie stays: the others may be somebody's who only pretended.
    fn makes_room(&mut self, from: SocketAddr, counters: &mut EndpointCounters) -> bool {
        let neighbours = counted(from).and_then(|address| self.by_address.get(&address));
        let mut giving_way = None;
        if let Some(neighbours) = neighbours.filter(|rows| rows.len() >= MAX_HALF_OPEN_PER_IP) {
            let keys = neighbours.iter().filter_map(|arrived| self.by_arrival.get(arrived));
            let is_proven = |key: &&Key| self.rows.get(*key).is_some_and(|row| row.is_proven);
            giving_way = keys.copied().find(|key| !is_proven(&key));
            if giving_way.is_none() {
                return false;
            }
        } else if self.rows.len() >= MAX_DATAGRAM_HALF_OPEN {
            giving_way = self.by_arrival.first_key_value().map(|(_, key)| *key);
        }
        if let Some(oldest) = giving_way {
            self.forget(&oldest);
            counters.half_open_evicted += 1;
        }
        true
    }

    fn enter(&mut self, key: Key, row: HalfOpen) {
        if let Some(address) = counted(key.0) {
            self.by_address.entry(address).or_default().insert(row.arrived);
        }
        self.by_wire.insert(row.wire, key);
        self.by_arrival.insert(row.arrived, key);
        self.rows.insert(key, row);
        self.arrived += 1;
    }

    fn forget(&mut self, key: &Key) -> Option<HalfOpen> {
        let row = self.rows.remove(key)?;
        self.by_wire.remove(&row.wire);
        self.by_arrival.remove(&row.arrived);
        if let Some(address) = counted(key.0)
            && let Some(neighbours) = self.by_address.get_mut(&address)
        {
            neighbours.remove(&row.arrived);
            if neighbours.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(row)
    }

    /// Takes the third message of XX. Returns the sealed packet that overtook it, if one did.
    pub(super) fn handle_ack(
        &mut self,
        from: SocketAddr,
        wire: u32,
        payload: &[u8],
        local: &Local,
        counters: &mut EndpointCounters,
    ) -> Option<Vec<u8>> {
        let Ok(ack) = HandshakeAck::decode(payload) else {
            counters.malformed += 1;
            return None;
        };
        let tuning = self.tuning;
        let row = self.row(from, wire)?;
        let Stage::Answered(answer, early) = &mut row.stage else { return None };
        if ack.pattern != Pattern::Xx as u8 {
            return None;
        }
        let agreed = answer.hear(ack.noise, local).ok()?;
        let early = early.take();
        row.stage = Stage::of(agreed, tuning);
        early
    }

    /// The row of a connection id, for whoever speaks from the address of its SYN.
    fn row(&mut self, from: SocketAddr, wire: u32) -> Option<&mut HalfOpen> {
        let key = self.by_wire.get(&wire).filter(|(addr, _)| *addr == from)?;
        self.rows.get_mut(key)
    }

    /// Takes a sealed packet, which is opened into `out`. `refuse` says why there can be no further
    /// connection, if so.
    pub(super) fn handle_sealed(
        &mut self,
        now: Instant,
        packet: SealedPacket<'_>,
        out: &mut Vec<u8>,
        refuse: Option<CloseReason>,
        counters: &mut EndpointCounters,
    ) -> Knock {
        let SealedPacket { from, header, datagram } = packet;
        let Some(row) = self.row(from, header.connection) else { return Knock::Nothing };
        let (agreed, protection) = match &mut row.stage {
            Stage::Proving(agreed, protection) => (agreed, protection),
            // It overtook the third message, or that is lost and will be said again. One is enough:
            // what else overtook it is sent again as soon as this one is acknowledged.
            Stage::Answered(_, early @ None) if datagram.len() <= LEAST_DATAGRAM => {
                *early = Some(datagram.to_vec());
                return Knock::Nothing;
            }
            Stage::Answered(..) | Stage::Over => return Knock::Nothing,
        };
        let three_pto = 3 * SYN_TIMEOUT;
        let number = match protection.open(now, three_pto, header, datagram, out) {
            Ok(number) => number,
            Err(why) => {
                counters.not_opened(why);
                return Knock::Nothing;
            }
        };
        if let Some(reason) = agreed.refusal.clone().or(refuse) {
            let theirs = agreed.connection.unwrap_or_default();
            let reset = sealed_reset(now, protection, theirs, &reason);
            return reset.map_or(Knock::Nothing, Knock::Refused);
        }
        let key = self.by_wire.get(&header.connection).copied();
        let row = key.and_then(|key| self.forget(&key));
        let Some(HalfOpen { stage: Stage::Proving(agreed, protection), .. }) = row else {
            return Knock::Nothing;
        };
        // It found somebody else than it looked for: there never was a connection.
        if header.kind == PacketType::Rst {
            counters.handshakes_failed += 1;
            return Knock::Nothing;
        }
        Knock::Live(Box::new(Accepted {
            remote: remote(&agreed, from, Direction::Inbound),
            theirs: agreed.connection.unwrap_or_default(),
            protection: *protection,
            number,
        }))
    }
}

impl Stage {
    fn of(agreed: Box<Agreement>, tuning: Tuning) -> Self {
        let protection = Protection::tuned(&agreed.split, agreed.suite, agreed.role, tuning);
        Self::Proving(agreed, Box::new(protection))
    }
}

fn digest(syn: &Syn<'_>) -> [u8; 32] {
    sha256(&[&[syn.pattern], &syn.connection.to_be_bytes(), syn.noise])
}

/// The other end as the application sees it.
pub(super) const fn remote(
    agreed: &Agreement,
    addr: SocketAddr,
    direction: Direction,
) -> RemoteNode {
    RemoteNode::of(agreed, addr, direction)
}

/// A sealed RST to somebody with whom there will be no connection.
pub(super) fn sealed_reset(
    now: Instant,
    protection: &mut Protection,
    theirs: u32,
    reason: &CloseReason,
) -> Option<Vec<u8>> {
    let mut datagram = vec![0; HEADER_LEN];
    packet_frame::put_close(&mut datagram, reason);
    datagram.extend_from_slice(&[0; TAG_LEN]);
    let payload_len = u32::try_from(datagram.len() - HEADER_LEN).ok()?;
    let flags = Flags::ENCRYPTED;
    let header = Header { flags, payload_len, ..Header::new(PacketType::Rst, theirs) };
    header.encode(datagram.first_chunk_mut()?);
    protection.seal(now, &mut datagram).ok()?;
    Some(datagram)
}
