//! What a relay does for others.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use super::{
    RelayCounters, RelayEffect, RelayMessage, RelayRefusal, message::RelayLabel, rate::ByteRate,
};
use crate::{
    allowance::Allowance,
    deadlines::Deadlines,
    id::NodeId,
    limits::{
        MAX_RELAY_PAIRS, MAX_RELAY_PAIRS_PER_PEER, MAX_RELAY_REMEMBERED, RELAY_IDLE,
        RELAY_OPEN_BURST, RELAY_OPEN_PACE, RELAY_RATE_ALL, RELAY_RATE_PAIR, RELAY_RATE_PEER,
        RELAY_STEP, RELAY_WINDOW,
    },
    metric::Level,
    misbehavior::Misbehavior,
    netgroup::counted,
    scope::Group,
    time::{Instant, Now},
};

/// The pairs of linked peers between which this node forwards.
///
/// Who opened a pair pays for what is forwarded in it, in both directions. What may be said is
/// granted by the reader and passed on as fast as the three rates allow, so that a writer is never
/// further ahead than what there is room and time for; one that is, did wrong. Each direction of
/// each pair takes one piece of the rates at a time, after all others that wait: so everybody has a
/// turn, and who wants little waits no longer than who wants much.
///
/// Rates outlive the sessions and pairs that used them, as far as [`MAX_RELAY_REMEMBERED`] goes, so
/// that nobody has another burst because it links or asks again.
///
/// **Bounds**: [`MAX_RELAY_PAIRS`], [`MAX_RELAY_PAIRS_PER_PEER`] of them opened by one peer; two
/// windows of [`RELAY_WINDOW`] for each, in the queues of the sessions. When there are too many,
/// the pair that was silent longest gives way, if that is [`RELAY_IDLE`] or more.
#[derive(Debug)]
pub struct RelayForwarding {
    is_on: bool,
    peers: BTreeMap<NodeId, Client>,
    /// What those used of their rates that are not linked any more.
    gone: BTreeMap<NodeId, ClientRates>,
    /// The same of pairs that are closed.
    closed: BTreeMap<[NodeId; 2], ByteRate>,
    pairs: BTreeMap<u64, Pair>,
    numbered: u64,
    all: ByteRate,
    /// Pairs for whose credit there was no time yet.
    slowed: Deadlines<u64>,
}

/// A linked peer.
#[derive(Debug)]
struct Client {
    /// Where it is.
    address: SocketAddr,
    rates: ClientRates,
}

/// What a peer used of late.
#[derive(Debug)]
struct ClientRates {
    bytes: ByteRate,
    asking: Allowance,
}

impl Default for ClientRates {
    fn default() -> Self {
        Self { bytes: ByteRate::new(RELAY_RATE_PEER), asking: Allowance::new() }
    }
}

/// Two peers and what is under way between them.
#[derive(Debug)]
struct Pair {
    /// Who opened it, and to whom.
    ends: [NodeId; 2],
    /// What each end says to the other.
    directions: [Heading; 2],
    rate: ByteRate,
    used: Instant,
}

/// One direction: bytes since the beginning.
#[derive(Debug)]
struct Heading {
    /// What the reader granted.
    granted: u64,
    /// What of it was passed on to the writer.
    passed_on: u64,
    /// When so much more is passed on, which the rates have counted.
    next: Option<(Instant, u64)>,
    /// What the writer said.
    said: u64,
}

impl RelayForwarding {
    /// Forwards nothing yet; never, if it `is_on` not.
    pub fn new(is_on: bool) -> Self {
        Self {
            is_on,
            peers: BTreeMap::new(),
            gone: BTreeMap::new(),
            closed: BTreeMap::new(),
            pairs: BTreeMap::new(),
            numbered: 0,
            all: ByteRate::new(RELAY_RATE_ALL),
            slowed: Deadlines::new(),
        }
    }

    /// A session is up, or goes on at another address.
    pub fn peer_up(&mut self, peer: NodeId, address: SocketAddr) {
        let gone = &mut self.gone;
        let client = self.peers.entry(peer).or_insert_with(|| {
            let rates = gone.remove(&peer).unwrap_or_default();
            Client { address, rates }
        });
        client.address = address;
    }

    /// A session is over, and so is all that went over it.
    pub fn peer_down(&mut self, peer: &NodeId, out: &mut VecDeque<RelayEffect>) {
        let of_peer = |pair: &Pair| pair.ends.contains(peer);
        let over: Vec<u64> = self
            .pairs
            .iter()
            .filter(|(_, pair)| of_peer(pair))
            .map(|(number, _)| *number)
            .collect();
        for number in over {
            self.close(number, Some(peer), out);
        }
        if let Some(client) = self.peers.remove(peer) {
            self.gone.insert(*peer, client.rates);
            forget_one(&mut self.gone, |rates| rates.bytes.full_at());
        }
    }

    /// The first of these wants us to forward between it and the second, and calls that `tag`.
    pub(super) fn handle_open(
        &mut self,
        now: Now,
        tag: u64,
        ends: [NodeId; 2],
        counters: &mut RelayCounters,
        out: &mut VecDeque<RelayEffect>,
    ) {
        let [from, peer] = ends;
        if let Err(why) = self.make_room(now, from, peer, out) {
            counters.pairs_refused += 1;
            let message = RelayMessage::Refused { tag, peer, why };
            return out.push_back(RelayEffect::Send { to: from, message });
        }
        counters.pairs_opened += 1;
        let number = self.numbered;
        self.numbered += 1;
        let heading = || Heading { granted: RELAY_WINDOW, passed_on: 0, next: None, said: 0 };
        let pair = Pair {
            ends,
            directions: [heading(), heading()],
            rate: self.closed.remove(&ends).unwrap_or(ByteRate::new(RELAY_RATE_PAIR)),
            used: now.mono,
        };
        self.pairs.insert(number, pair);
        let one_site = self.is_one_site(ends);
        for (to, peer, asked) in [(peer, from, None), (from, peer, Some(tag))] {
            let message = RelayMessage::Opened { number, peer, asked, one_site };
            out.push_back(RelayEffect::Send { to, message });
        }
        self.pass_on(now.mono, number, out);
    }

    /// Whether two peers are seen at one address, or both in a private network, which is ours then.
    fn is_one_site(&self, ends: [NodeId; 2]) -> bool {
        let [one, other] = ends.map(|end| self.peers.get(&end).map(|client| client.address));
        let (Some(one), Some(other)) = (one, other) else { return false };
        let are_near = Group::of(one.ip()) == Group::Near && Group::of(other.ip()) == Group::Near;
        are_near || counted(one) == counted(other)
    }

    fn make_room(
        &mut self,
        now: Now,
        from: NodeId,
        peer: NodeId,
        out: &mut VecDeque<RelayEffect>,
    ) -> Result<(), RelayRefusal> {
        if !self.is_on {
            return Err(RelayRefusal::Off);
        }
        let client = self.peers.get_mut(&from).ok_or(RelayRefusal::NotLinked)?;
        if !client.rates.asking.pay(now.mono, RELAY_OPEN_PACE, RELAY_OPEN_BURST) {
            return Err(RelayRefusal::TooOften);
        }
        if from == peer || !self.peers.contains_key(&peer) {
            return Err(RelayRefusal::NotLinked);
        }
        // Who asks again has given up the one before.
        let same = |pair: &&Pair| pair.ends == [from, peer];
        if let Some(number) = self.find(same) {
            self.close(number, None, out);
        }
        let of_peer = |pair: &&Pair| pair.ends[0] == from;
        if self.pairs.values().filter(of_peer).count() >= MAX_RELAY_PAIRS_PER_PEER {
            return Err(RelayRefusal::Full);
        }
        if self.pairs.len() >= MAX_RELAY_PAIRS {
            let (_, idlest) =
                self.pairs.iter().map(|(number, pair)| (pair.used, *number)).min().unzip();
            let is_idle = |pair: &Pair| now.mono.since(pair.used) >= RELAY_IDLE;
            match idlest {
                Some(number) if self.pairs.get(&number).is_some_and(is_idle) => {
                    self.close(number, None, out);
                }
                _ => return Err(RelayRefusal::Full),
            }
        }
        Ok(())
    }

    fn find(&self, which: impl Fn(&&Pair) -> bool) -> Option<u64> {
        self.pairs.iter().find(|(_, pair)| which(pair)).map(|(number, _)| *number)
    }

    /// One end of a pair said something of it.
    pub(super) fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: RelayMessage,
        counters: &mut RelayCounters,
        out: &mut VecDeque<RelayEffect>,
    ) {
        let (RelayMessage::Data { label, .. }
        | RelayMessage::Credit { label, .. }
        | RelayMessage::Close(label)) = message
        else {
            return;
        };
        let number = label.number;
        let Some(pair) = self.pairs.get_mut(&number) else { return };
        let Some(end) = pair.ends.iter().position(|end| *end == from) else { return };
        let to = pair.ends[1 - end];
        pair.used = now.mono;
        match message {
            RelayMessage::Data { bytes, .. } => {
                let len = as_u64(bytes.len());
                let heading = &mut pair.directions[end];
                heading.said += len;
                if heading.said > heading.passed_on {
                    self.close(number, None, out);
                    let what = Misbehavior::Flooding;
                    return out.push_back(RelayEffect::Misbehaved { peer: from, what });
                }
                counters.forwarded_bytes += len;
                let message = RelayMessage::Data { label: by_relay(number), bytes };
                out.push_back(RelayEffect::Send { to, message });
            }
            RelayMessage::Credit { limit, .. } => {
                let heading = &mut pair.directions[1 - end];
                // No reader has room for more than a window beyond what it was sent.
                heading.granted = heading.granted.max(limit.min(heading.said + RELAY_WINDOW));
                self.pass_on(now.mono, number, out);
            }
            _ => self.close(number, Some(&from), out),
        }
    }

    /// Passes on what the readers of a pair granted, as far as the rates allow it now.
    fn pass_on(&mut self, now: Instant, number: u64, out: &mut VecDeque<RelayEffect>) {
        let Some(pair) = self.pairs.get_mut(&number) else { return };
        let Some(client) = self.peers.get_mut(&pair.ends[0]) else { return };
        let mut wake = None;
        for end in 0..2 {
            let heading = &mut pair.directions[end];
            let before = heading.passed_on;
            let mut take = |bytes| {
                let rates = [&mut pair.rate, &mut client.rates.bytes, &mut self.all];
                rates.into_iter().fold(now, |when, rate| when.max(rate.take(now, bytes)))
            };
            while let Some((when, bytes)) = heading.next(&mut take) {
                if when > now {
                    wake = Some(wake.map_or(when, |wake: Instant| wake.min(when)));
                    break;
                }
                heading.passed_on += bytes;
                heading.next = None;
            }
            if heading.passed_on > before {
                let (label, limit) = (by_relay(number), heading.passed_on);
                let message = RelayMessage::Credit { label, limit };
                out.push_back(RelayEffect::Send { to: pair.ends[end], message });
            }
        }
        self.slowed.set_or_clear(number, wake);
    }

    /// A pair lost something on its way.
    pub(super) fn give_up(&mut self, number: u64, out: &mut VecDeque<RelayEffect>) {
        self.close(number, None, out);
    }

    /// A pair is over: its ends are told, but for the one that said so.
    fn close(&mut self, number: u64, by: Option<&NodeId>, out: &mut VecDeque<RelayEffect>) {
        self.slowed.clear(number);
        let Some(mut pair) = self.pairs.remove(&number) else { return };
        let unused = pair.directions.iter().map(Heading::unused).sum();
        self.all.give_back(unused);
        pair.rate.give_back(unused);
        self.closed.insert(pair.ends, pair.rate);
        forget_one(&mut self.closed, ByteRate::full_at);
        if let Some(client) = self.peers.get_mut(&pair.ends[0]) {
            client.rates.bytes.give_back(unused);
        }
        for to in pair.ends.into_iter().filter(|end| Some(end) != by) {
            out.push_back(RelayEffect::Send { to, message: RelayMessage::Close(by_relay(number)) });
        }
    }

    /// When something waits for its time.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.slowed.next().map(|(at, _)| at)
    }

    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<RelayEffect>) {
        let mut due = Vec::new();
        while let Some(number) = self.slowed.pop_due(now.mono) {
            due.push(number);
        }
        for number in due {
            self.pass_on(now.mono, number, out);
        }
    }

    /// Pairs, and the most that there can be.
    pub(super) fn level(&self) -> Level {
        Level::new(self.pairs.len(), MAX_RELAY_PAIRS)
    }
}

impl Heading {
    /// The next piece that is passed on, if the reader granted one: `take` has the rates count it.
    fn next(&mut self, take: impl FnOnce(u64) -> Instant) -> Option<(Instant, u64)> {
        let wanted = self.granted - self.passed_on;
        if self.next.is_none() && wanted > 0 {
            let bytes = wanted.min(as_u64(RELAY_STEP));
            self.next = Some((take(bytes), bytes));
        }
        self.next
    }

    /// What the rates have counted, and was not said.
    fn unused(&self) -> u64 {
        let waiting = self.next.map_or(0, |(_, bytes)| bytes);
        self.passed_on.saturating_sub(self.said) + waiting
    }
}

/// Forgets the one that is nearest to a burst, if there are too many.
fn forget_one<K: Ord + Copy, R>(rates: &mut BTreeMap<K, R>, full_at: impl Fn(&R) -> Instant) {
    if rates.len() > MAX_RELAY_REMEMBERED
        && let Some(first) = rates.iter().min_by_key(|(_, rate)| full_at(rate)).map(|(key, _)| *key)
    {
        rates.remove(&first);
    }
}

const fn by_relay(number: u64) -> RelayLabel {
    RelayLabel { number, by_relay: true }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
