//! Plays a story: its acts, one after the other, and then the calm in which everything ends well.

use std::{collections::BTreeSet, net::SocketAddr};

use positron_internet::{HostId, PathLaws};
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{Delivery, Expect},
    },
    handshake::link_public_key,
    time::{Duration, Instant},
};

use super::{
    app_connection::{AppConnection, Writing},
    check::{Dialled, Life, Promise, RESET, Wrong, in_short, waiting},
    content::Talker,
    identities::{STRANGER, identity},
    net::{Net, Next, pairs},
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
    let mut player = Player { net: Net::new(story, seed) };
    player.net.trace.listen_long(usize::MAX);
    let broken = player.whole().err();
    let lines = player.net.trace.lines();
    (player.net.finish(broken), lines)
}

/// Lines that are kept of a run that broke a promise.
const LINES: usize = 150;
/// How often it is looked whether all is at rest.
const TICK: Duration = Duration::from_millis(250);
/// Nobody has this address.
const NOWHERE: ([u8; 4], u16) = ([10, 8, 0, 1], 8888);

fn play_once(story: &PacketStory, seed: u64, lines: Option<usize>) -> PacketReport {
    let mut player = Player { net: Net::new(story, seed) };
    if let Some(lines) = lines {
        player.net.trace.listen_long(lines);
    }
    let broken = player.whole().err();
    player.net.finish(broken)
}

/// Who lets everything happen that a story says, and then waits until all is done.
struct Player<'a> {
    net: Net<'a>,
}

impl Player<'_> {
    fn whole(&mut self) -> Result<(), PacketViolation> {
        let story = self.net.story;
        for (at, act) in story.acts.iter().filter(|(at, _)| *at < story.calm_at) {
            self.net.run_until(Instant::ORIGIN + *at)?;
            self.net.note(|| format!("--- {act:?}"));
            self.act_out(act)?;
        }
        self.net.run_until(Instant::ORIGIN + story.calm_at)?;
        self.calm()?;
        let until = self.net.now + story.limit;
        loop {
            self.net.run_until(self.net.now + TICK)?;
            let waits = self.waits();
            if waits.is_empty() {
                return Ok(());
            }
            if self.net.now >= until {
                let wrong = Wrong::new(Promise::Progress, waits.join("\n  "));
                return Err(self.net.broken(wrong, None));
            }
        }
    }

    fn act_out(&mut self, act: &Act) -> Result<(), PacketViolation> {
        match *act {
            Act::Dial { from, to, whom, key } => self.dial(from, to, whom, key)?,
            Act::DialNobody { from } => {
                let to = SocketAddr::from(NOWHERE);
                self.dial_to(from, to, Dialled { expect: Expect::Anyone, there: None }, None)?;
            }
            Act::Say { from, lane, delivery, bytes, times } => {
                if let Some(me) = self.some_talk(from) {
                    self.net.say(me, lane, delivery, bytes, times);
                    self.net.pump(from)?;
                }
            }
            Act::Write { from, lane, bytes, chunk, ending } => {
                if let Some(me) = self.some_talk(from) {
                    self.net.open(me, lane, Writing { offset: 0, left: bytes, chunk, ending });
                    self.net.pump(from)?;
                }
            }
            Act::Refuse { end } => {
                if let Some(me) = self.some_talk(end) {
                    self.net.refuse(me).map_err(|wrong| self.net.broken(wrong, Some(end)))?;
                    self.net.pump(end)?;
                }
            }
            Act::Close { end } => {
                if let Some(me) = self.some_talk(end) {
                    self.net.close(me)?;
                }
            }
            Act::Reset { end } => {
                if let Some(me) = self.some_talk(end) {
                    if let Some(talk) = self.net.talks.get_mut(&me) {
                        talk.life.resetting = true;
                    }
                    self.net
                        .call(end, |endpoint, now| endpoint.reset(now, me.connection, RESET))?;
                }
            }
            Act::Restart { end, away } => {
                self.net.kill(end);
                self.net.schedule(self.net.now + away, Next::Return(end));
            }
            Act::Move { end } => self.move_away(end),
            Act::Pause { end, lasting } => {
                self.net.hosts[end].paused_until = self.net.now + lasting;
            }
            Act::Change { from, to, laws } => {
                self.net.internet.topology_mut().set_path(HostId::new(from), HostId::new(to), laws);
            }
            Act::Cut { from, to, lasting } => {
                let until = since_beginning(self.net.now + lasting);
                self.net.internet.topology_mut().cut(HostId::new(from), HostId::new(to), until);
            }
            Act::Flood { to, count } => self.flood(to, count),
        }
        Ok(())
    }

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
        let addr = self.net.hosts[to].addr;
        self.dial_to(from, addr, Dialled { expect, there: Some(there) }, noise_static)
    }

    fn dial_to(
        &mut self,
        from: usize,
        to: SocketAddr,
        dialled: Dialled,
        noise_static: Option<[u8; 32]>,
    ) -> Result<(), PacketViolation> {
        self.net.handle_proof(from, to);
        let (now, life) = (self.net.clock(), self.net.hosts[from].life);
        let Some(endpoint) = self.net.hosts[from].endpoint.as_mut() else { return Ok(()) };
        let result = endpoint.connect(now, to, dialled.expect, noise_static);
        self.net.note(|| format!("end {from} dials {to}: {result:?}"));
        match result {
            Ok(connection) => {
                let me = Talker { end: from, life, connection };
                let talk = AppConnection::new(me, Some(dialled), Life::dialled());
                if self.net.talks.insert(me, talk).is_some() {
                    let wrong = Wrong::new(Promise::Close, format!("{connection:?} twice"));
                    return Err(self.net.broken(wrong, Some(from)));
                }
                self.net.pump(from)
            }
            Err(why) => {
                let wrong = Wrong::new(Promise::Progress, format!("not dialled: {why}"));
                Err(self.net.broken(wrong, Some(from)))
            }
        }
    }

    /// A connection of this end that is not over, drawn.
    fn some_talk(&mut self, end: usize) -> Option<Talker> {
        let all: Vec<Talker> = self
            .net
            .talks
            .values()
            .filter(|talk| talk.me.end == end && !talk.life.is_over() && talk.life.can_say())
            .map(|talk| talk.me)
            .filter(|me| self.net.is_alive(*me))
            .collect();
        let at = self.net.dice.index(all.len());
        all.get(at).copied()
    }

    fn move_away(&mut self, end: usize) {
        let host = &mut self.net.hosts[end];
        let former = host.addr;
        let port = 20_000 + u16::try_from(self.net.dice.below(20_000)).unwrap_or(0);
        let last = u8::try_from(end + 1).unwrap_or(u8::MAX);
        // Half of the times only the port changes, as with a translator.
        let net = if self.net.dice.chance(0.5) { 0 } else { 1 };
        host.addr = SocketAddr::from(([10, net, 0, last], port));
        host.addresses.add(host.addr);
        let addr = host.addr;
        self.net.internet.move_host(HostId::new(end), former, addr);
        self.net.note(|| format!("end {end} is at {addr} now"));
    }

    /// SYNs of somebody who does not answer, each from an address of its own.
    fn flood(&mut self, to: usize, count: u32) {
        let now = self.net.clock();
        let rng = self.net.seed.stream(&format!("stranger {}", now.mono.as_micros()));
        let target = self.net.hosts[to].addr;
        for (n, syn) in (1..).zip(self.net.strangers.flood(now, rng, target, count)) {
            let at = now.mono + Duration::from_micros(100) * n;
            self.net.inject(at, syn);
        }
    }

    /// Everything goes right from now on, and everybody who dialled dials once more.
    fn calm(&mut self) -> Result<(), PacketViolation> {
        self.net.note(|| "--- calm".into());
        self.net.malice.stop();
        self.net.strangers.leave();
        self.net.is_calm = true;
        let topology = self.net.internet.topology_mut();
        topology.mend();
        for (from, to) in pairs(self.net.hosts.len()) {
            let delay = topology.path(from, to).delay.min(Duration::from_millis(200));
            topology.set_path(from, to, PathLaws::calm(delay));
        }
        for end in 0..self.net.hosts.len() {
            self.net.hosts[end].paused_until = Instant::ORIGIN;
            if self.net.hosts[end].endpoint.is_none() {
                self.net.start(end);
            }
        }
        let pairs: BTreeSet<(usize, usize)> = self
            .net
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
            let life = self.net.hosts[from].life;
            let newest = self.net.talks.keys().rev().find(|me| me.end == from && me.life == life);
            if let Some(me) = newest.copied() {
                for delivery in [Delivery::Ordered, Delivery::Unordered] {
                    self.net.say(me, 1, delivery, 3_000, 2);
                }
                self.net.pump(from)?;
            }
        }
        Ok(())
    }

    /// What still waits, a line each.
    fn waits(&self) -> Vec<String> {
        let mut waits = Vec::new();
        for talk in self.net.talks.values() {
            if self.net.is_alive(talk.me) && !talk.life.is_over() {
                self.talk_waits(talk, &mut waits);
            }
        }
        for (end, host) in self.net.hosts.iter().enumerate() {
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
        let view = self.net.hosts[end].endpoint.as_ref().and_then(|e| e.view(connection));
        let peer = talk.peer.filter(|peer| self.net.is_alive(*peer));
        let peer =
            peer.and_then(|peer| self.net.talks.get(&peer)).filter(|peer| !peer.life.is_over());
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
        } else if self.net.story.ends[end].keep_alive.is_some() {
            let view = view.as_ref().map(in_short);
            waits.push(format!("{name} does not know that the other end is gone: {view:?}"));
        }
    }
}
