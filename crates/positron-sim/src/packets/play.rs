//! Plays a story: its acts, one after the other, and then the calm in which everything ends well.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use positron_internet::{HostId, PathLaws};
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{Delivery, EndpointConfig, Expect},
    },
    handshake::link_public_key,
    identity::Identity,
    limits::MAX_DATAGRAM_DIALS,
    time::{Duration, Instant},
};

use super::{
    app_connection::{AppConnection, Writing},
    attacker::Datagram,
    check::{Dialled, Life, Promise, RESET, Wrong, in_short, waiting},
    content::Talker,
    net::{Net, Next, STRANGER, identity, network, pairs},
    report::{PacketReport, PacketViolation},
    story::{Act, PacketStory, StaticKey, Whom},
};
use crate::clock::since_beginning;

/// Plays a story. The same story and seed give the same report. A run that breaks a promise is run
/// again with an ear at it, so that its report tells what happened before.
pub fn play(story: &PacketStory, seed: u64) -> PacketReport {
    let report = play_once(story, seed, None);
    if report.is_ok() {
        return report;
    }
    play_once(story, seed, Some(LINES))
}

/// Plays a story and keeps as many lines of what happened; gives them with the report.
pub fn play_traced(story: &PacketStory, seed: u64) -> (PacketReport, Vec<String>) {
    let mut net = Net::new(story, seed);
    net.trace.listen_long(usize::MAX);
    let broken = whole(&mut net).err();
    let lines = net.trace.lines();
    (net.finish(broken), lines)
}

/// Lines that are kept of a run that broke a promise.
const LINES: usize = 150;
/// How often it is looked whether all is at rest.
const TICK: Duration = Duration::from_millis(250);
/// Nobody has this address.
const NOWHERE: ([u8; 4], u16) = ([10, 8, 0, 1], 8888);

/// How long a datagram of a stranger takes.
const STRANGER_DELAY: Duration = Duration::from_millis(1);

fn play_once(story: &PacketStory, seed: u64, lines: Option<usize>) -> PacketReport {
    let mut net = Net::new(story, seed);
    if let Some(lines) = lines {
        net.trace.listen_long(lines);
    }
    let broken = whole(&mut net).err();
    net.finish(broken)
}

fn whole(net: &mut Net) -> Result<(), PacketViolation> {
    let story = net.story;
    for (at, act) in story.acts.iter().filter(|(at, _)| *at < story.calm_at) {
        net.run_until(Instant::ORIGIN + *at)?;
        net.note(|| format!("--- {act:?}"));
        act_out(net, act)?;
    }
    net.run_until(Instant::ORIGIN + story.calm_at)?;
    net.calm()?;
    let until = net.now + story.limit;
    loop {
        net.run_until(net.now + TICK)?;
        let waits = net.waits();
        if waits.is_empty() {
            return Ok(());
        }
        if net.now >= until {
            let wrong = Wrong::new(Promise::Progress, waits.join("\n  "));
            return Err(net.broken(wrong, None));
        }
    }
}

fn act_out(net: &mut Net, act: &Act) -> Result<(), PacketViolation> {
    match *act {
        Act::Dial { from, to, whom, key } => net.dial(from, to, whom, key)?,
        Act::DialNobody { from } => {
            let to = SocketAddr::from(NOWHERE);
            net.dial_to(from, to, Dialled { expect: Expect::Anyone, there: None }, None)?;
        }
        Act::Say { from, lane, delivery, bytes, times } => {
            if let Some(me) = net.some_talk(from) {
                net.say(me, lane, delivery, bytes, times);
                net.pump(from)?;
            }
        }
        Act::Write { from, lane, bytes, chunk, ending } => {
            if let Some(me) = net.some_talk(from) {
                net.open(me, lane, Writing { offset: 0, left: bytes, chunk, ending });
                net.pump(from)?;
            }
        }
        Act::Refuse { end } => {
            if let Some(me) = net.some_talk(end) {
                net.refuse(me).map_err(|wrong| net.broken(wrong, Some(end)))?;
                net.pump(end)?;
            }
        }
        Act::Close { end } => {
            if let Some(me) = net.some_talk(end) {
                net.close(me)?;
            }
        }
        Act::Reset { end } => {
            if let Some(me) = net.some_talk(end) {
                if let Some(talk) = net.talks.get_mut(&me) {
                    talk.life.resetting = true;
                }
                net.call(end, |endpoint, now| endpoint.reset(now, me.connection, RESET))?;
            }
        }
        Act::Restart { end, away } => {
            net.kill(end);
            net.schedule(net.now + away, Next::Return(end));
        }
        Act::Move { end } => net.move_away(end),
        Act::Pause { end, lasting } => net.hosts[end].paused_until = net.now + lasting,
        Act::Change { from, to, laws } => {
            net.internet.topology_mut().set_path(HostId::new(from), HostId::new(to), laws);
        }
        Act::Cut { from, to, lasting } => {
            let until = since_beginning(net.now + lasting);
            net.internet.topology_mut().cut(HostId::new(from), HostId::new(to), until);
        }
        Act::Flood { to, count } => net.flood(to, count),
    }
    Ok(())
}

/// Where a stranger is.
fn stranger_at(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 7, high, low], 1_000))
}

impl Net<'_> {
    fn dial(
        &mut self,
        from: usize,
        to: usize,
        whom: Whom,
        key: StaticKey,
    ) -> Result<(), PacketViolation> {
        let there = identity(to).node_id();
        let other = identity(STRANGER);
        let expect = match whom {
            Whom::Right => Expect::Node(there),
            Whom::Wrong => Expect::Node(other.node_id()),
            Whom::Anyone => Expect::Anyone,
        };
        let noise_static = match key {
            StaticKey::Unknown => None,
            StaticKey::Right => Some(link_public_key(identity(to))),
            StaticKey::Wrong => Some(link_public_key(other)),
        };
        let addr = self.hosts[to].addr;
        self.dial_to(from, addr, Dialled { expect, there: Some(there) }, noise_static)
    }

    fn dial_to(
        &mut self,
        from: usize,
        to: SocketAddr,
        dialled: Dialled,
        noise_static: Option<[u8; 32]>,
    ) -> Result<(), PacketViolation> {
        self.proven(from, to);
        let (now, life) = (self.clock(), self.hosts[from].life);
        let Some(endpoint) = self.hosts[from].endpoint.as_mut() else { return Ok(()) };
        let result = endpoint.connect(now, to, dialled.expect, noise_static);
        self.note(|| format!("end {from} dials {to}: {result:?}"));
        match result {
            Ok(connection) => {
                let me = Talker { end: from, life, connection };
                let talk = AppConnection::new(me, Some(dialled), Life::dialled());
                if self.talks.insert(me, talk).is_some() {
                    let wrong = Wrong::new(Promise::Close, format!("{connection:?} twice"));
                    return Err(self.broken(wrong, Some(from)));
                }
                self.pump(from)
            }
            Err(why) => {
                let wrong = Wrong::new(Promise::Progress, format!("not dialled: {why}"));
                Err(self.broken(wrong, Some(from)))
            }
        }
    }

    /// A connection of this end that is not over, drawn.
    fn some_talk(&mut self, end: usize) -> Option<Talker> {
        let all: Vec<Talker> = self
            .talks
            .values()
            .filter(|talk| talk.me.end == end && !talk.life.is_over() && talk.life.can_say())
            .map(|talk| talk.me)
            .filter(|me| self.is_alive(*me))
            .collect();
        let at = self.dice.index(all.len());
        all.get(at).copied()
    }

    fn move_away(&mut self, end: usize) {
        let host = &mut self.hosts[end];
        let former = host.addr;
        let port = 20_000 + u16::try_from(self.dice.below(20_000)).unwrap_or(0);
        let last = u8::try_from(end + 1).unwrap_or(u8::MAX);
        // Half of the times only the port changes, as with a translator.
        let net = if self.dice.chance(0.5) { 0 } else { 1 };
        host.addr = SocketAddr::from(([10, net, 0, last], port));
        host.addresses.add(host.addr);
        let addr = host.addr;
        self.internet.move_host(HostId::new(end), former, addr);
        self.note(|| format!("end {end} is at {addr} now"));
    }

    /// SYNs of somebody who does not answer, each from an address of its own.
    fn flood(&mut self, to: usize, count: u32) {
        let now = self.clock();
        let rng = self.seed.stream(&format!("stranger {}", self.now.as_micros()));
        let me: Arc<Identity> = identity(STRANGER).clone();
        let mut stranger = Endpoint::new(EndpointConfig::new(network()), me, 1, rng);
        let target = self.hosts[to].addr;
        let most = u32::try_from(MAX_DATAGRAM_DIALS).unwrap_or(u32::MAX);
        for _ in 0..count.min(most) {
            if stranger.connect(now, target, Expect::Anyone, None).is_err() {
                break;
            }
        }
        let (mut buf, mut number) = (Vec::new(), 0_u16);
        while let Some(transmit) = stranger.poll_transmit(now, 1, &mut buf) {
            let bytes = buf[..transmit.len.min(buf.len())].to_vec();
            let from = stranger_at(number);
            number = number.wrapping_add(1);
            let at = self.now + Duration::from_micros(100) * u32::from(number);
            self.internet.inject(since_beginning(at), from, target, bytes);
        }
        self.strangers.push(stranger);
    }

    /// A cookie for a stranger, who brings it from there or from an address where it never was.
    pub(super) fn stranger_hears(&mut self, cookie: &Datagram) {
        let now = self.clock();
        let mut buf = Vec::new();
        for at in 0..self.strangers.len() {
            let stranger = &mut self.strangers[at];
            stranger.handle_datagrams(now, cookie.from, 0, &cookie.bytes);
            while let Some(transmit) = self.strangers[at].poll_transmit(now, 1, &mut buf) {
                let bytes = buf[..transmit.len.min(buf.len())].to_vec();
                let elsewhere = self.dice.chance(0.5);
                let from = if elsewhere { stranger_at(u16::MAX) } else { cookie.to };
                let at = since_beginning(self.now + STRANGER_DELAY);
                self.internet.inject(at, from, cookie.from, bytes);
            }
        }
    }

    /// Everything goes right from now on, and everybody who dialled dials once more.
    fn calm(&mut self) -> Result<(), PacketViolation> {
        self.note(|| "--- calm".into());
        self.malice.stop();
        self.strangers.clear();
        self.is_calm = true;
        let topology = self.internet.topology_mut();
        topology.mend();
        for (from, to) in pairs(self.hosts.len()) {
            let delay = topology.path(from, to).delay.min(Duration::from_millis(200));
            topology.set_path(from, to, PathLaws::calm(delay));
        }
        for end in 0..self.hosts.len() {
            self.hosts[end].paused_until = Instant::ORIGIN;
            if self.hosts[end].endpoint.is_none() {
                self.start(end);
            }
        }
        let pairs: BTreeSet<(usize, usize)> = self
            .story
            .acts
            .iter()
            .filter_map(|(_, act)| match act {
                Act::Dial { from, to, .. } => Some((*from, *to)),
                _ => None,
            })
            .collect();
        for (from, to) in pairs {
            self.dial(from, to, Whom::Right, StaticKey::Right)?;
            let life = self.hosts[from].life;
            let newest = self.talks.keys().rev().find(|me| me.end == from && me.life == life);
            if let Some(me) = newest.copied() {
                for delivery in [Delivery::Ordered, Delivery::Unordered] {
                    self.say(me, 1, delivery, 3_000, 2);
                }
                self.pump(from)?;
            }
        }
        Ok(())
    }

    /// What still waits, a line each.
    fn waits(&self) -> Vec<String> {
        let mut waits = Vec::new();
        for talk in self.talks.values() {
            if self.is_alive(talk.me) && !talk.life.is_over() {
                self.talk_waits(talk, &mut waits);
            }
        }
        for (end, host) in self.hosts.iter().enumerate() {
            let half_open = host.endpoint.as_ref().map_or(0, Endpoint::half_open);
            if half_open > 0 {
                waits.push(format!("end {end}: {half_open} half-open handshakes"));
            }
        }
        waits
    }

    fn talk_waits(&self, talk: &AppConnection, waits: &mut Vec<String>) {
        let Talker { end, connection, .. } = talk.me;
        let name = format!("end {end}, {connection:?}");
        let view = self.hosts[end].endpoint.as_ref().and_then(|e| e.view(connection));
        let peer = talk.peer.filter(|peer| self.is_alive(*peer));
        let peer = peer.and_then(|peer| self.talks.get(&peer)).filter(|peer| !peer.life.is_over());
        let open = peer.map_or(0, |peer| peer.app.writing.len());
        match &view {
            None => waits.push(format!("{name} has no view and was not closed")),
            Some(view) => waits.extend(waiting(view, open).map(|what| format!("{name}: {what}"))),
        }
        waits.extend(talk.intends().map(|what| format!("{name}: {what}")));
        if !talk.life.is_up() {
            waits.push(format!("{name} has no keys"));
            return;
        }
        if peer.is_some() {
            // Whoever says anything says STOP_WAITING with it, and both are asked for a sign of
            // life.
            let gaps = view.as_ref().map_or(0, |view| view.gaps);
            waits.extend((gaps > 0).then(|| format!("{name}: {gaps} gaps that nobody closes")));
            let owed = talk.flow.owed_messages().into_iter().chain(talk.flow.owed_streams());
            waits.extend(owed.map(|what| format!("{name} said, not handed over: {what}")));
        } else if self.story.ends[end].keep_alive.is_some() {
            let view = view.as_ref().map(in_short);
            waits.push(format!("{name} does not know that the other end is gone: {view:?}"));
        }
    }
}
