//! One victim, the shipped [`Peers`], among people who are made up.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use positron_proto::{
    handshake::Direction,
    id::NodeId,
    identity::{Identity, Signed},
    peers::{KnownPeer, Peers, PeersConfig, PeersEffect, PeersMessage, change},
    rng::Seed,
    session::sessions::{
        DialFailure, DialOutcome, DialRequest, DownReason, LinkDown, LinkKind, Purpose,
    },
    standings::TrustTable,
    storage::{Change, Remembered as _, Row},
    time::{Duration, Instant, Now},
    wire::{frame::CloseReason, record::PeerRecord},
};

use super::people::{People, network};
use crate::dice::{Dice, named_dice};

/// One life of the victim.
pub(super) struct Play<'a> {
    cast: &'a People,
    /// What happens to the victim.
    dice: Dice,
    pub(super) now: Now,
    victim: Peers,
    standings: TrustTable,
    /// What storage has.
    stored: BTreeMap<NodeId, KnownPeer>,
    /// Who is linked, and who dialled.
    links: BTreeMap<usize, Direction>,
    agenda: BTreeMap<(Instant, u64), Happening>,
    happened: u64,
    next_minute: Instant,
    /// Honest nodes that are not there, and those that take no guests.
    away: Vec<bool>,
    full: Vec<bool>,
    /// The attacker attacks.
    attacked: bool,
}

enum Happening {
    Ended(DialRequest),
    Said(usize, Box<PeersMessage>),
}

impl<'a> Play<'a> {
    /// A life that begins with what an earlier one left behind, and is under attack or not.
    pub(super) fn new(
        cast: &'a People,
        seed: &Seed,
        now: Now,
        bootstrap: impl Iterator<Item = usize>,
        remembered: Vec<KnownPeer>,
        attacked: bool,
    ) -> Self {
        let mut dice = named_dice(seed, "world");
        let config = PeersConfig {
            bootstrap: bootstrap.map(|who| cast.person(who).addr.to_string()).collect(),
            // They change nothing and cost most of the time.
            heartbeat_interval: Duration::from_secs(24 * 3600),
            ..PeersConfig::default()
        };
        let me = Arc::new(Identity::from_seed([7; 32]));
        let ids = remembered.iter().map(|known| known.record.content().node_id());
        let stored = ids.zip(remembered.iter().cloned()).collect();
        let victim = Peers::new(config, me, network(), remembered, seed.stream("peers"), now);
        let away = (0..cast.honest()).map(|_| dice.chance(AWAY)).collect();
        let full = (0..cast.honest()).map(|_| dice.chance(FULL)).collect();
        let mut play = Self {
            cast,
            dice,
            now,
            victim,
            standings: TrustTable::new(0.5, 1.0),
            stored,
            links: BTreeMap::new(),
            agenda: BTreeMap::new(),
            happened: 0,
            next_minute: now.mono,
            away,
            full,
            attacked,
        };
        play.act(|victim, now, _, out| victim.handle_listening(now, &[ADDRESS], out));
        play
    }

    /// From now on the attacker attacks.
    pub(super) fn attack(&mut self) {
        self.attacked = true;
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let wake = self.victim.poll_timeout();
            let next = self.agenda.keys().next().map(|(at, _)| *at);
            let times = [wake, next, Some(self.next_minute), Some(end)];
            let at = times.into_iter().flatten().min().unwrap_or(end).max(self.now.mono);
            let passed = at.since(self.now.mono);
            self.now = Now { mono: at, wall: self.now.wall + passed };
            if at >= end {
                return;
            }
            while let Some(entry) = self.agenda.first_entry().filter(|next| next.key().0 <= at) {
                let what = entry.remove();
                self.happen(what);
            }
            if self.next_minute <= at {
                self.next_minute = at + MINUTE;
                self.pass_minute();
            }
            if self.victim.poll_timeout().is_some_and(|wake| wake <= at) {
                self.act(|victim, now, standings, out| {
                    victim.handle_timeout(now, standings, out);
                });
            }
        }
    }

    /// Links that the victim chose: to honest nodes, and to the attacker.
    pub(super) fn outbound(&self) -> (usize, usize) {
        let chosen = self.links.iter().filter(|(_, direction)| **direction == Direction::Outbound);
        let is_honest = |(who, _): &(&usize, &Direction)| self.cast.is_honest(**who);
        let (honest, hostile): (Vec<_>, Vec<_>) = chosen.partition(is_honest);
        (honest.len(), hostile.len())
    }

    /// What storage has, of honest nodes and of the attacker's.
    pub(super) fn kept(&self) -> (usize, usize) {
        let who = self.stored.keys().filter_map(|id| self.cast.find(id));
        let (honest, hostile): (Vec<_>, Vec<_>) = who.partition(|who| self.cast.is_honest(*who));
        (honest.len(), hostile.len())
    }

    /// What the next life begins with: every row that storage has, read back.
    pub(super) fn remembered(&self) -> Vec<KnownPeer> {
        let mut all = Vec::new();
        for known in self.stored.values() {
            let Change { table, key, value, .. } = change::keep(known);
            let value = value.map(|value| value.to_bytes()).unwrap_or_default();
            all.load(Row { table, key, value }, &network()).expect("a row as it was written");
        }
        all
    }

    /// Calls the machine and does what it wants.
    fn act(&mut self, call: impl FnOnce(&mut Peers, Now, &TrustTable, &mut VecDeque<PeersEffect>)) {
        let mut out = VecDeque::new();
        call(&mut self.victim, self.now, &self.standings, &mut out);
        while let Some(effect) = out.pop_front() {
            self.carry_out(effect, &mut out);
        }
    }

    fn carry_out(&mut self, effect: PeersEffect, out: &mut VecDeque<PeersEffect>) {
        match effect {
            PeersEffect::Dial(dial) => {
                let answers = self.cast.at(dial.to).is_some_and(|who| self.is_there(who));
                let wait = if answers { ROUND_TRIP } else { PATIENCE };
                self.later(wait, Happening::Ended(dial));
            }
            PeersEffect::Admit(peer) => {
                let Some(who) = self.cast.find(&peer.id) else { return };
                self.links.insert(who, Direction::Inbound);
                self.victim.peer_up(self.now, peer, &self.standings, out);
                let hello = self.hello(who, false);
                self.later(ROUND_TRIP, Happening::Said(who, Box::new(hello)));
            }
            PeersEffect::Disconnect { peer, reason } => {
                let Some(who) = self.cast.find(&peer) else { return };
                if self.links.remove(&who).is_some() {
                    self.victim.peer_down(self.now, peer, &DownReason::ByUs(reason), out);
                }
            }
            PeersEffect::Send { to, message } => {
                let Some(who) = self.cast.find(&to) else { return };
                let answer = match message {
                    PeersMessage::Hello { answer: false, .. } => self.hello(who, true),
                    PeersMessage::Discovery(_) => PeersMessage::Announcement(self.told_by(who)),
                    _ => return,
                };
                self.later(ROUND_TRIP, Happening::Said(who, Box::new(answer)));
            }
            PeersEffect::Verify { from, record } => {
                let who = self.cast.find(&record.content().node_id());
                let Some(who) = who.filter(|who| self.cast.claim(*who) == record) else { return };
                let record = self.cast.person(who).record.clone();
                self.victim.handle_verified(self.now, from, record, out);
            }
            PeersEffect::Remember(known) => {
                self.stored.insert(known.record.content().node_id(), known);
            }
            PeersEffect::Forget(id) => {
                self.stored.remove(&id);
            }
            _ => {}
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Said(who, message) => {
                if self.links.contains_key(&who) {
                    self.say(who, *message);
                }
            }
            Happening::Ended(dial) => self.end_dial(dial),
        }
    }

    fn say(&mut self, who: usize, message: PeersMessage) {
        let from = self.cast.person(who).id;
        self.act(|victim, now, standings, out| {
            victim.handle_message(now, from, message, standings, out);
        });
    }

    fn end_dial(&mut self, dial: DialRequest) {
        let who = self.cast.at(dial.to).filter(|who| self.is_there(*who));
        let outcome = match who {
            None => DialOutcome::Failed(DialFailure::Link(LinkDown::TimedOut)),
            Some(who) => {
                let id = self.cast.person(who).id;
                let is_linked = self.links.contains_key(&who);
                let is_full = self.full.get(who).is_some_and(|full| *full);
                match dial.purpose {
                    Purpose::Probe => DialOutcome::Probed(id, LinkKind::Tcp),
                    Purpose::Connect if is_linked => DialOutcome::Connected(id, LinkKind::Udp),
                    Purpose::Connect if is_full => {
                        let others = PeersMessage::Announcement(self.told_by(who));
                        self.say(who, others);
                        DialOutcome::Failed(DialFailure::refused(CloseReason::InboundFull))
                    }
                    Purpose::Connect => {
                        let peer = self.cast.peer(who, Direction::Outbound);
                        self.links.insert(who, Direction::Outbound);
                        self.act(|victim, now, standings, out| {
                            victim.peer_up(now, peer, standings, out);
                        });
                        DialOutcome::Connected(id, LinkKind::Udp)
                    }
                }
            }
        };
        self.act(|victim, now, _, out| victim.handle_dial_ended(now, dial, outcome, out));
    }

    /// Who comes and goes in a minute.
    fn pass_minute(&mut self) {
        for who in 0..self.cast.honest() {
            if is_restless(who) && self.dice.chance(LEAVING) {
                self.away[who] = !self.away[who];
                if self.away[who] {
                    self.cut(who);
                }
            }
            if self.dice.chance(FILLING) {
                self.full[who] = self.dice.chance(FULL);
            }
        }
        for (who, direction) in self.links.clone() {
            let staying = if self.cast.is_honest(who) { HONEST_STAY } else { HOSTILE_STAY };
            if direction == Direction::Inbound && self.dice.chance(1.0 / staying) {
                self.cut(who);
            }
        }
        if self.attacked {
            self.attack_for_a_minute();
        }
        let guest = self.dice.index(self.cast.honest());
        if self.dice.chance(HONEST_GUESTS) && !self.away[guest] {
            self.knock(guest);
        }
    }

    fn attack_for_a_minute(&mut self) {
        let mut refused = 0;
        while refused < KNOCKS {
            let guest = self.hostile();
            refused += usize::from(!self.knock(guest));
        }
        let hostile = self.links.keys().copied().filter(|who| !self.cast.is_honest(*who));
        let hostile: Vec<usize> = hostile.collect();
        for _ in 0..ANNOUNCEMENTS.min(hostile.len()) {
            let from = hostile[self.dice.index(hostile.len())];
            let more = self.told_by(from).into_iter().chain(self.told_by(from)).collect();
            self.say(from, PeersMessage::Announcement(more));
        }
    }

    /// Somebody dials the victim. Whether it was let in.
    fn knock(&mut self, who: usize) -> bool {
        if self.links.contains_key(&who) {
            return false;
        }
        let peer = self.cast.peer(who, Direction::Inbound);
        self.act(|victim, now, standings, out| {
            victim.handle_incoming(now, peer, standings, out);
        });
        self.links.contains_key(&who)
    }

    /// A link breaks.
    fn cut(&mut self, who: usize) {
        if self.links.remove(&who).is_some() {
            let id = self.cast.person(who).id;
            let why = DownReason::Link(LinkDown::TimedOut);
            self.act(|victim, now, _, out| victim.peer_down(now, id, &why, out));
        }
    }

    fn is_there(&self, who: usize) -> bool {
        !self.away.get(who).is_some_and(|away| *away)
    }

    fn hello(&mut self, who: usize, answer: bool) -> PeersMessage {
        let (record, peers) = (self.cast.claim(who), self.told_by(who));
        PeersMessage::Hello { answer, record, observed: ADDRESS.into(), peers }
    }

    /// Whom somebody names: the attacker its own, everybody else who is there, and of the attacker
    /// as many once it is known.
    fn told_by(&mut self, who: usize) -> Vec<Signed<PeerRecord>> {
        let mut told = Vec::with_capacity(ANSWER);
        while told.len() < ANSWER {
            let of_attacker =
                !self.cast.is_honest(who) || (self.attacked && self.dice.chance(BELIEVED));
            let other =
                if of_attacker { self.hostile() } else { self.dice.index(self.cast.honest()) };
            if self.is_there(other) {
                told.push(self.cast.claim(other));
            }
        }
        told
    }

    fn hostile(&mut self) -> usize {
        let honest = self.cast.honest();
        honest + self.dice.index(self.cast.len() - honest)
    }

    fn later(&mut self, wait: Duration, what: Happening) {
        self.happened += 1;
        self.agenda.insert((self.now.mono + wait, self.happened), what);
    }
}

/// Six of ten honest nodes come and go, the others stay: half of those that come and go are there.
const fn is_restless(who: usize) -> bool {
    who % 10 < 6
}

/// Where the victim is.
const ADDRESS: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(9, 9, 9, 9)), 8888);
/// Part of the honest nodes that is not there when a life begins.
const AWAY: f64 = 0.3;
/// Part of the others that takes no guests.
const FULL: f64 = 0.3;
/// How likely a restless node leaves or comes within a minute: it stays for six hours.
const LEAVING: f64 = 1.0 / 360.0;
/// How likely it is within a minute that somebody is full who was not, or the other way round.
const FILLING: f64 = 1.0 / 120.0;
/// How likely an honest node dials the victim within a minute.
const HONEST_GUESTS: f64 = 0.2;
/// Minutes that an honest guest stays, and one of the attacker's, which gives its slot to another
/// identity then.
const HONEST_STAY: f64 = 60.0;
const HOSTILE_STAY: f64 = 20.0;
/// Knocks of the attacker in a minute that are refused before it stops.
const KNOCKS: usize = 3;
/// Announcements of the attacker in a minute that nobody asked for, of two answers each.
const ANNOUNCEMENTS: usize = 2;
/// Records in an answer.
const ANSWER: usize = 16;
/// Part of what honest nodes tell that is the attacker's, once it attacks.
const BELIEVED: f64 = 0.5;
const MINUTE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// How long a dial waits for somebody who is not there.
const PATIENCE: Duration = Duration::from_secs(5);
