//! The world of a few endpoints: their applications, what lies between them, and time.

use std::{collections::BTreeMap, net::SocketAddr};

use positron_internet::{DEFAULT_TTL, Event, HostId, Internet, PathLaws, StreamLaws};
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{EndpointConfig, EndpointEvent, StreamId},
    },
    limits::LEAST_DATAGRAM,
    rng::Seed,
    time::{Duration, Instant, Now, WallTime},
};

use super::{
    app_connection::AppConnection,
    attacker::{Datagram, Malice},
    check::{Clockwork, Effort, Promise, Seals, Wrong, is_cookie},
    content::Talker,
    header_view::PacketHeaderView,
    host::PacketHost,
    identities::{boot, identity, network},
    report::{PacketReport, PacketViolation},
    story::PacketStory,
    strangers::Strangers,
};
use crate::{
    agenda::Agenda,
    clock::{at, since_beginning},
    dice::{Dice, named_dice},
    report::add_up,
    run_hash::RunHash,
    trace::Trace,
};

/// Rounds of events and datagrams after one call; beyond it, an endpoint never has done.
const ROUNDS: u32 = 10_000;
/// The time of day at the beginning.
const WALL: WallTime = WallTime::from_unix_micros(1_700_000_000_000_000);

/// How long a datagram of a stranger takes.
const STRANGER_DELAY: Duration = Duration::from_millis(1);

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Next {
    Gathered(usize),
    App(Talker, Job),
    Return(usize),
}

/// Something that an application does later.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    Release(usize),
    Read(StreamId),
    Close,
}

pub(super) struct Net<'a> {
    pub(super) story: &'a PacketStory,
    pub(super) seed: Seed,
    pub(super) now: Instant,
    agenda: Agenda<Next>,
    pub(super) hosts: Vec<PacketHost>,
    pub(super) internet: Internet<Vec<u8>>,
    pub(super) talks: BTreeMap<Talker, AppConnection>,
    pub(super) dice: Dice,
    pub(super) malice: Malice,
    /// Whether everything goes right by now.
    pub(super) is_calm: bool,
    clockwork: Clockwork,
    pub(super) effort: Effort,
    seals: Seals,
    pub(super) strangers: Strangers,
    pub(super) trace: Trace,
    hash: RunHash,
    pub(super) report: PacketReport,
    buf: Vec<u8>,
}

/// Where an end is at the beginning.
fn first_addr(end: usize) -> SocketAddr {
    let last = u8::try_from(end + 1).unwrap_or(u8::MAX);
    SocketAddr::from(([10, 0, 0, last], 8888))
}

/// All directions between `ends` ends, in the order of a story's laws.
pub(super) fn pairs(ends: usize) -> impl Iterator<Item = (HostId, HostId)> {
    (0..ends).flat_map(move |from| (0..ends).map(move |to| (HostId::new(from), HostId::new(to))))
}

impl<'a> Net<'a> {
    pub(super) fn new(story: &'a PacketStory, seed_number: u64) -> Self {
        let seed = Seed::from_number(seed_number);
        let ends = story.ends.len();
        let nothing = PathLaws::calm(Duration::ZERO);
        let internet_seed = seed.stream("internet").next_u64();
        let mut internet = Internet::new(internet_seed, nothing, StreamLaws::CALM);
        for end in 0..ends {
            internet.add_host(first_addr(end));
        }
        for ((from, to), laws) in pairs(ends).zip(&story.laws) {
            internet.topology_mut().set_path(from, to, *laws);
        }
        let mut net = Self {
            story,
            now: Instant::ORIGIN,
            agenda: Agenda::default(),
            hosts: Vec::new(),
            internet,
            talks: BTreeMap::new(),
            dice: named_dice(&seed, "applications"),
            malice: Malice::new(story.attacker, &seed),
            is_calm: false,
            clockwork: Clockwork::default(),
            effort: Effort::default(),
            seals: Seals::default(),
            strangers: Strangers::default(),
            trace: Trace::default(),
            hash: RunHash::new(),
            report: PacketReport { seed: seed_number, ..PacketReport::default() },
            buf: Vec::new(),
            seed,
        };
        for end in 0..ends {
            net.hosts.push(PacketHost::new(first_addr(end)));
            net.start(end);
        }
        net
    }

    pub(super) fn clock(&self) -> Now {
        Now { mono: self.now, wall: WALL + self.now.since(Instant::ORIGIN) }
    }

    /// Starts a process that knows nothing.
    pub(super) fn start(&mut self, end: usize) {
        let host = &mut self.hosts[end];
        let life = host.life + 1;
        let rng = self.seed.stream(&format!("end {end} life {life}"));
        host.begin(endpoint(self.story, end, life, rng));
        self.note(|| format!("end {end} starts"));
    }

    /// Ends a process without a word.
    pub(super) fn kill(&mut self, end: usize) {
        let host = &mut self.hosts[end];
        if let Some(endpoint) = host.endpoint.take() {
            let counters = serde_json::to_value(endpoint.counters()).unwrap_or_default();
            self.effort.lost += endpoint.counters().packets_lost;
            add_up(&mut self.report.counters, counters);
        }
        host.inbox.clear();
        host.wakes = Instant::FAR_FUTURE;
    }

    /// Whether this half belongs to a process that runs.
    pub(super) fn is_alive(&self, talker: Talker) -> bool {
        let host = &self.hosts[talker.end];
        host.life == talker.life && host.endpoint.is_some()
    }

    pub(super) fn schedule(&mut self, at: Instant, next: Next) {
        self.agenda.push(at, next);
    }

    /// Goes on until `until`, or until a promise is broken.
    pub(super) fn run_until(&mut self, until: Instant) -> Result<(), PacketViolation> {
        loop {
            let wakes = self.hosts.iter().map(|host| host.wakes).min();
            let wakes = wakes.unwrap_or(Instant::FAR_FUTURE);
            let next = self.agenda.next_time().unwrap_or(Instant::FAR_FUTURE);
            let arrives = self.internet.next_event_time().map_or(Instant::FAR_FUTURE, at);
            let first = wakes.min(next).min(arrives);
            if first >= until {
                self.now = self.now.max(until);
                return Ok(());
            }
            self.now = self.now.max(first);
            self.clockwork.step(self.now).map_err(|wrong| self.broken(wrong, None))?;
            if arrives == first {
                if let Some(delivery) = self.internet.poll(since_beginning(first)) {
                    self.arrive(delivery.host.index(), delivery.event)?;
                }
            } else if next == first {
                if let Some(next) = self.agenda.pop() {
                    self.happen(next)?;
                }
            } else if let Some(end) = self.hosts.iter().position(|host| host.wakes == wakes) {
                self.hosts[end].is_awake = true;
                self.call(end, Endpoint::handle_timeout)?;
                self.hosts[end].is_awake = false;
            }
        }
    }

    fn happen(&mut self, next: Next) -> Result<(), PacketViolation> {
        match next {
            Next::Gathered(end) => self.hand_over(end),
            Next::App(talker, job) => self.job(talker, job),
            Next::Return(end) => {
                if self.hosts[end].endpoint.is_none() {
                    self.start(end);
                }
                Ok(())
            }
        }
    }

    fn arrive(&mut self, end: usize, event: Event<Vec<u8>>) -> Result<(), PacketViolation> {
        // Nobody here opens a stream.
        let Event::Datagram { from, to, payload: bytes } = event else { return Ok(()) };
        let datagram = Datagram { from, to, bytes };
        let gather = self.story.ends[end].gather;
        let host = &mut self.hosts[end];
        if host.endpoint.is_none() {
            return Ok(());
        }
        let is_first = host.inbox.is_empty();
        host.inbox.push(datagram);
        if gather.is_zero() {
            return self.hand_over(end);
        }
        if is_first {
            self.schedule(self.now + gather, Next::Gathered(end));
        }
        Ok(())
    }

    /// Hands over what has arrived: datagrams of one sender and size together.
    fn hand_over(&mut self, end: usize) -> Result<(), PacketViolation> {
        let inbox = core::mem::take(&mut self.hosts[end].inbox);
        let mut rest = inbox.as_slice();
        while let Some(first) = rest.first() {
            let size = first.bytes.len();
            let full = rest
                .iter()
                .take_while(|next| next.from == first.from && next.bytes.len() == size)
                .count();
            let shorter = rest.get(full).is_some_and(|d| {
                d.from == first.from && d.bytes.len() < size && !d.bytes.is_empty()
            });
            let (batch, later) = rest.split_at(full + usize::from(shorter && size > 0));
            rest = later;
            self.hand_batch(end, size, batch).map_err(|wrong| self.broken(wrong, Some(end)))?;
            self.pump(end)?;
        }
        Ok(())
    }

    /// Hands over datagrams of one sender, and sees whether what was sealed opens.
    fn hand_batch(&mut self, end: usize, size: usize, batch: &[Datagram]) -> Result<(), Wrong> {
        let now = self.clock();
        for datagram in batch {
            self.note(|| format!("end {end} hears {}", describe(datagram)));
        }
        self.hosts[end].hears(now, size, batch, &self.seals)
    }

    /// Calls an endpoint, and takes from it what it has to say.
    pub(super) fn call<T>(
        &mut self,
        end: usize,
        what: impl FnOnce(&mut Endpoint, Now) -> T,
    ) -> Result<Option<T>, PacketViolation> {
        let now = self.clock();
        let Some(endpoint) = self.hosts[end].endpoint.as_mut() else { return Ok(None) };
        let answer = what(endpoint, now);
        self.pump(end)?;
        Ok(Some(answer))
    }

    /// Takes from an endpoint what it has to say and to send, until it has nothing more.
    pub(super) fn pump(&mut self, end: usize) -> Result<(), PacketViolation> {
        for _ in 0..ROUNDS {
            let said = self.take_events(end)?;
            let sent = self.take_datagrams(end)?;
            if !said && !sent {
                self.look(end)?;
                self.set_alarm(end);
                return Ok(());
            }
        }
        let wrong = Wrong::new(Promise::Progress, "events and datagrams without end");
        Err(self.broken(wrong, Some(end)))
    }

    fn take_events(&mut self, end: usize) -> Result<bool, PacketViolation> {
        let mut any = false;
        while let Some(event) = self.hosts[end].endpoint.as_mut().and_then(Endpoint::poll_event) {
            any = true;
            self.note(|| format!("end {end} says {}", brief(&event)));
            self.hash_event(end, &event);
            self.on_event(end, event).map_err(|wrong| self.broken(wrong, Some(end)))?;
        }
        Ok(any)
    }

    fn take_datagrams(&mut self, end: usize) -> Result<bool, PacketViolation> {
        let mut any = false;
        let (now, segments) = (self.clock(), self.story.ends[end].segments);
        let mut buf = core::mem::take(&mut self.buf);
        while let Some(transmit) = self.hosts[end]
            .endpoint
            .as_mut()
            .and_then(|endpoint| endpoint.poll_transmit(now, segments, &mut buf))
        {
            any = true;
            let batch = &buf[..transmit.len.min(buf.len())];
            let count = batch.chunks(transmit.segment_size.max(1)).count();
            let is_whole = transmit.len == buf.len() && transmit.segment_size > 0;
            if count == 0 || count > segments || !is_whole {
                let what = format!("{transmit:?} of {} bytes, {segments} at most", buf.len());
                return Err(self.broken(Wrong::new(Promise::Bounds, what), Some(end)));
            }
            for datagram in batch.chunks(transmit.segment_size) {
                self.send(end, transmit.to, datagram)
                    .map_err(|wrong| self.broken(wrong, Some(end)))?;
            }
        }
        self.buf = buf;
        Ok(any)
    }

    /// An end sends a datagram.
    fn send(&mut self, end: usize, to: SocketAddr, bytes: &[u8]) -> Result<(), Wrong> {
        self.hash.word(self.now.as_micros());
        self.hash.bytes(bytes);
        self.report.datagrams += 1;
        self.report.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        let datagram = Datagram { from: self.hosts[end].addr, to, bytes: bytes.to_vec() };
        self.note(|| format!("end {end} sends {}", describe(&datagram)));
        if bytes.len() > self.story.ends[end].max_datagram.max(1200) {
            return Err(Wrong::new(Promise::Bounds, format!("{} bytes", bytes.len())));
        }
        let header = PacketHeaderView::of(bytes);
        if header.is_some_and(|header| matches!(header.kind, 7 | 10)) {
            self.effort.sent += u64::try_from(bytes.len()).unwrap_or(0);
            self.effort.packets += 1;
        }
        self.hosts[end].sends(self.now, &datagram, &mut self.seals)?;
        self.carry(end, datagram);
        Ok(())
    }

    /// A datagram goes on its way.
    fn carry(&mut self, end: usize, datagram: Datagram) {
        let Some(other) = self.hosts.iter().position(|host| host.addr == datagram.to) else {
            if is_cookie(&datagram.bytes) {
                let answers = self.strangers.hear(self.clock(), &datagram, &mut self.dice);
                for answer in answers {
                    self.inject(self.now + STRANGER_DELAY, answer);
                }
            }
            return;
        };
        let path = self.internet.topology().path(HostId::new(end), HostId::new(other));
        let attacks = self.malice.sees(self.now, path.delay, &datagram);
        for (at, datagram) in attacks.sent {
            self.report.attacks += 1;
            self.note(|| format!("the attacker sends {}", describe(&datagram)));
            self.inject(at, datagram);
        }
        if attacks.stolen {
            return self.note(|| "    stolen".into());
        }
        let Datagram { from, to, bytes } = datagram;
        let now = since_beginning(self.now);
        if let Err(why) = self.internet.send(now, from, to, bytes, DEFAULT_TTL) {
            self.note(|| format!("    lost: {why:?}"));
        }
    }

    /// A datagram arrives then that no end sent.
    pub(super) fn inject(&mut self, at: Instant, Datagram { from, to, bytes }: Datagram) {
        self.internet.inject(since_beginning(at), from, to, bytes);
    }

    /// Somebody proved to an end to be at an address, or the end was told to send there.
    pub(super) fn handle_proof(&mut self, end: usize, addr: SocketAddr) {
        self.hosts[end].handle_proof(addr);
    }

    fn set_alarm(&mut self, end: usize) {
        let host = &mut self.hosts[end];
        let due = host.endpoint.as_ref().and_then(Endpoint::poll_timeout);
        if due == host.due && host.wakes > self.now {
            return;
        }
        host.due = due;
        let late = self.dice.between(self.story.ends[end].late);
        host.wakes = due.map_or(Instant::FAR_FUTURE, |due| due.max(self.now) + late);
    }

    fn look(&mut self, end: usize) -> Result<(), PacketViolation> {
        let Some(endpoint) = &self.hosts[end].endpoint else { return Ok(()) };
        let life = self.hosts[end].life;
        let views = endpoint.views();
        let mut found = super::check::tables(endpoint.half_open());
        for view in views {
            self.hosts[end].shows(&view);
            let talker = Talker { end, life, connection: view.connection };
            let lost_there = self.lost_there(talker);
            // A half-open handshake of a stranger may be shown before it is accepted.
            let Some(talk) = self.talks.get_mut(&talker) else { continue };
            found = found
                .and_then(|()| talk.bounds.look(&view, &self.story.ends[end], lost_there))
                .and_then(|()| talk.life.shows(view.state));
        }
        found.map_err(|wrong| self.broken(wrong, Some(end)))
    }

    /// What the other end has taken for lost, in bytes at the most, while it is known.
    fn lost_there(&self, me: Talker) -> Option<u64> {
        let peer = self.talks.get(&me)?.peer.filter(|peer| self.is_alive(*peer))?;
        let view = self.hosts[peer.end].endpoint.as_ref()?.view(peer.connection)?;
        let largest = self.story.ends[peer.end].max_datagram.max(LEAST_DATAGRAM);
        Some(view.lost * u64::try_from(largest).unwrap_or(u64::MAX))
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.note(self.now, line);
    }

    pub(super) fn broken(&self, wrong: Wrong, end: Option<usize>) -> PacketViolation {
        PacketViolation::new(wrong, self.now, end)
    }

    fn hash_event(&mut self, end: usize, event: &EndpointEvent) {
        self.hash.word(u64::try_from(end).unwrap_or(0));
        if let EndpointEvent::Message { body, lane, .. } = event {
            self.hash.word(u64::from(*lane));
            self.hash.bytes(body);
        } else {
            self.hash.bytes(format!("{event:?}").as_bytes());
        }
    }

    /// The report so far.
    pub(super) fn finish(mut self, broken: Option<PacketViolation>) -> PacketReport {
        for end in 0..self.hosts.len() {
            self.kill(end);
        }
        let talks = || self.talks.values();
        self.effort.needed = talks().map(|talk| talk.flow.said).sum();
        let faithful = self.story.is_faithful();
        let ends_well = broken.is_none();
        let checked = self.effort.check(faithful).map_err(|wrong| self.broken(wrong, None));
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let is_unpaired = |talk: &&AppConnection| talk.dialled.is_none() && talk.peer.is_none();
        let report = &self.report;
        PacketReport {
            duration_s: crate::report::seconds(self.now),
            steps: self.clockwork.steps(),
            connections: count(talks().filter(|talk| talk.life.is_up()).count()),
            unpaired: count(talks().filter(is_unpaired).count()),
            said: self.effort.needed,
            heard: talks().map(|talk| talk.flow.heard).sum(),
            effort: self.effort.ratio(),
            run_hash: self.hash.hex(),
            broken: broken
                .or(if ends_well { checked.err() } else { None })
                .map(|violation| PacketViolation { history: self.trace.lines(), ..violation }),
            ..report.clone()
        }
    }
}

fn endpoint(story: &PacketStory, end: usize, life: u64, rng: positron_proto::rng::Rng) -> Endpoint {
    let laws = &story.ends[end];
    let config = EndpointConfig {
        queue_bytes: laws.queue_bytes,
        window_bytes: laws.window_bytes,
        keep_alive: laws.keep_alive,
        idle_timeout: laws.idle_timeout,
        max_datagram: laws.max_datagram,
        congestion: laws.congestion,
        ..EndpointConfig::new(network())
    };
    Endpoint::with_tuning(config, identity(end).clone(), boot(life), rng, story.tuning)
}

fn describe(datagram: &Datagram) -> String {
    let Datagram { from, to, bytes } = datagram;
    let what =
        PacketHeaderView::of(bytes).map_or_else(|| "garbage".into(), |header| header.to_string());
    format!("{what}, {} bytes, {from} to {to}", bytes.len())
}

/// An event in a line.
fn brief(event: &EndpointEvent) -> String {
    if let EndpointEvent::Message { connection, lane, delivery, body } = event {
        let what = super::content::describe(body);
        return format!("{connection:?} lane {lane} {delivery:?}: {what}");
    }
    format!("{event:?}")
}
