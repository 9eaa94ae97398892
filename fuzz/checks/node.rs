//! A whole node among peers that hold keys and mean harm.

use core::hash::{Hash as _, Hasher as _};
use std::{
    collections::{BTreeMap, VecDeque},
    hash::DefaultHasher,
    net::SocketAddr,
    sync::Arc,
};

use positron_proto::{
    id::{LinkId, NodeId, Ticket},
    identity::SignatureJob,
    limits::{
        LINK_WRITE_WINDOW, MAX_BACKLOG_BYTES, MAX_BOOK, MAX_BOOTSTRAP, MAX_BYTES_TO_DISK,
        MAX_CHECKS, MAX_DATAGRAM_HALF_OPEN, MAX_DIALS, MAX_EXTERNAL_ADDRESSES, MAX_HALF_OPEN,
        MAX_OBSERVED, MAX_PARKED, MAX_PEER_QUEUE_BYTES, MAX_PENDING_BROADCASTS, MAX_PROBES,
        MAX_RACING_ADDRESSES, MAX_SUBSCRIPTIONS, RETENTION_BYTES,
    },
    node::{
        AllCounters, ChangeId, CheckId, Command, Effect, Event, HandedOver, Input, NodeConfig,
        NodeCore, Snapshot,
    },
    reason::Reason,
    rng::Seed,
    session::sessions::{LinkDown, LinkKind, LinkKinds},
    storage::Change,
    time::{Duration, Now, WallTime},
};

use super::{
    hostile::{Hostile, VICTIM, address, identity, network},
    input::Bytes,
};

/// The input says what the peers say, what the application wants, and when the disk, the threads
/// that check signatures, and the clocks do their part, if at all.
///
/// Nothing panics; what is kept and what waits stays in bounds, and so does all memory; each
/// command is answered exactly once; nothing is handed over in the name of somebody who did not
/// sign it; and the same input leads to the same effects and datagrams again.
pub(crate) fn check(bytes: &[u8]) {
    let again = live(bytes);
    assert_eq!(live(bytes), again, "the same input does not lead to the same effects");
}

/// A hash of all effects and datagrams, and what happened.
pub(crate) fn live(bytes: &[u8]) -> (u64, AllCounters) {
    let mut life = None;
    let used = allocation_counter::measure(|| life = Some(Stage::new().play(bytes)));
    assert!(used.bytes_max < MOST_MEMORY, "{} bytes", used.bytes_max);
    life.expect("it was lived")
}

const PEERS: usize = 3;
const MOST_STEPS: usize = 300;
/// What a few peers may cause in all: what they have unacknowledged, and what is kept of it.
const MOST_MEMORY: u64 = 64 << 20;
const CACHE_SIZE: usize = 50;
const MAX_PEERS: usize = 8;

struct Stage {
    now: Now,
    core: NodeCore,
    peers: Vec<Hostile>,
    checks: Vec<(CheckId, SignatureJob)>,
    changes: VecDeque<ChangeId>,
    dials: Vec<(LinkId, LinkKind)>,
    hangups: Vec<LinkId>,
    names: Vec<String>,
    /// Streams, and what was written to each and not taken.
    streams: BTreeMap<LinkId, usize>,
    accepted: u64,
    /// Whether each was answered.
    tickets: BTreeMap<Ticket, bool>,
    answers_at_once: bool,
    failed: bool,
    hash: DefaultHasher,
}

impl Stage {
    fn new() -> Self {
        let mut now =
            Now { wall: WallTime::from_unix_micros(1_800_000_000_000_000), ..Now::default() };
        now.mono = now.mono + Duration::from_secs(1000);
        let mut config = NodeConfig { network: network(), ..NodeConfig::default() };
        config.session.network = network();
        config.session.transports = LinkKinds::BOTH;
        config.peers.max_peers = MAX_PEERS;
        config.gossip.cache_size = CACHE_SIZE;
        let dice = Seed::from_number(7);
        let mut core =
            NodeCore::new(config, Arc::clone(identity(0)), Snapshot::default(), &dice, now);
        core.handle(now, Input::Listening(vec![address(0)]));
        let peers = (1..=PEERS).map(Hostile::new).collect();
        let mut stage = Self {
            now,
            core,
            peers,
            checks: vec![],
            changes: VecDeque::new(),
            dials: vec![],
            hangups: vec![],
            names: vec![],
            streams: BTreeMap::new(),
            accepted: 0,
            tickets: BTreeMap::new(),
            answers_at_once: true,
            failed: false,
            hash: DefaultHasher::new(),
        };
        stage.settle();
        stage
    }

    fn play(mut self, bytes: &[u8]) -> (u64, AllCounters) {
        let mut input = Bytes(bytes);
        for _ in 0..MOST_STEPS {
            let Some(what) = input.next() else { break };
            self.step(what, &mut input);
            self.check_bounds();
        }
        self.finish()
    }

    fn step(&mut self, what: u8, input: &mut Bytes<'_>) {
        let n = usize::from(what >> 6).min(PEERS - 1);
        match what & 0x3F {
            0..=3 => {
                let (now, node) = (self.now, identity(0));
                self.peers[n].dial(now, node, input.byte());
            }
            4..=23 => self.peers[n].say(self.now, input),
            24..=27 => self.peers[n].say_frame(self.now, input),
            28 => self.peers[n].obliges = input.bit(),
            29 => self.peers[n].leave(self.now, input.byte()),
            30..=33 => self.command(input),
            34 => self.answers_at_once = input.bit(),
            35..=36 => self.verdict(input.byte(), input.byte()),
            37..=38 => self.persisted(input.byte()),
            39 => self.storage(input.byte()),
            40..=42 => self.answer_dial(input.byte(), input.byte()),
            43 => self.resolve(input.byte()),
            44 => self.accept(input),
            45 => self.bytes(input),
            46 => self.link_down(input.byte(), input.byte()),
            47..=52 => self.advance(Duration::from_millis(1 << (input.byte() % 18))),
            53 => self.jump(input.byte(), input.bit()),
            54 => self.junk(input),
            55 => self.input(Input::Timeout),
            _ => {}
        }
        self.settle();
    }

    fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.settle();
    }

    /// Carries datagrams between the node and its peers, and what the node wants done, until
    /// nothing moves.
    fn settle(&mut self) {
        let mut buf = Vec::new();
        for _ in 0..10_000 {
            let mut moved = self.drain();
            while let Some(batch) = self.core.poll_transmit(self.now, 8, &mut buf) {
                moved = true;
                (batch.to, batch.segment_size).hash(&mut self.hash);
                self.hash.write(&buf);
                let peer = self.peers.iter_mut().find(|peer| peer.addr == batch.to);
                if let Some(peer) = peer {
                    peer.end.handle_datagrams(self.now, address(0), batch.segment_size, &buf);
                }
            }
            for peer in &mut self.peers {
                peer.listen(self.now);
                while let Some(batch) = peer.end.poll_transmit(self.now, 8, &mut buf) {
                    if batch.to == address(0) {
                        moved = true;
                        self.core.handle_datagrams(self.now, peer.addr, batch.segment_size, &buf);
                    }
                }
            }
            if !moved {
                return;
            }
        }
        panic!("the node and its peers keep each other busy for ever");
    }

    fn drain(&mut self) -> bool {
        let mut effects = 0;
        while let Some(effect) = self.core.poll_effect() {
            effects += 1;
            assert!(effects < 100_000, "one thing leads to endless others");
            self.carry_out(effect);
        }
        if self.answers_at_once {
            for (check, job) in core::mem::take(&mut self.checks) {
                effects += 1;
                self.core.handle(self.now, Input::Verdict { check, verdict: job.run() });
            }
            if let Some(up_to) = self.changes.pop_back() {
                effects += 1;
                self.changes.clear();
                self.core.handle(self.now, Input::Persisted { up_to });
            }
        }
        effects > 0
    }

    fn carry_out(&mut self, effect: Effect) {
        self.take_in(&effect);
        match effect {
            Effect::Dial { link, kind, .. } => self.dials.push((link, kind)),
            Effect::Write { link, bytes } => {
                let in_flight = self.streams.entry(link).or_default();
                *in_flight += bytes.len();
                assert!(*in_flight <= LINK_WRITE_WINDOW + 2048, "{in_flight} bytes in flight");
            }
            Effect::Hangup { link, .. } => self.hangups.push(link),
            Effect::Read { .. }
            | Effect::OpenSocket(_)
            | Effect::CloseSocket(_)
            | Effect::AskRouter { .. } => {}
            Effect::Resolve { name } => self.names.push(name),
            Effect::Verify { check, job, .. } => self.checks.push((check, job)),
            Effect::Persist { id, .. } => {
                assert!(self.changes.back().is_none_or(|last| *last < id), "numbers grow");
                self.changes.push_back(id);
            }
            Effect::Emit(Event::Completed { ticket, .. }) => {
                let answered = self.tickets.entry(ticket).or_default();
                assert!(!core::mem::replace(answered, true), "{ticket:?} is answered twice");
            }
            Effect::Emit(Event::Message(HandedOver { sender, .. })) => {
                let innocent = [self.core.id(), identity(VICTIM).node_id()];
                assert!(!innocent.contains(&sender), "forged");
            }
            Effect::Emit(Event::PeerBanned { peer, .. }) => assert_ne!(peer, self.core.id()),
            Effect::Emit(_) => {}
        }
    }

    fn take_in(&mut self, effect: &Effect) {
        match effect {
            Effect::Write { link, bytes } => {
                link.hash(&mut self.hash);
                self.hash.write(bytes);
            }
            Effect::Persist { id, change: Change { table, key, value, .. } } => {
                (id, table.name).hash(&mut self.hash);
                self.hash.write(key);
                if let Some(value) = value {
                    self.hash.write(&value.head);
                    self.hash.write(&value.tail);
                }
            }
            Effect::Emit(Event::Message(HandedOver { id, from, .. })) => {
                (id, from).hash(&mut self.hash);
            }
            Effect::Verify { check, job, .. } => (check, job.fingerprint()).hash(&mut self.hash),
            other => format!("{other:?}").hash(&mut self.hash),
        }
    }

    fn command(&mut self, input: &mut Bytes<'_>) {
        let (what, how) = (input.byte(), input.byte());
        let name = |how: usize| ["", "a", "b"][how % 3].to_owned();
        let len = [0, 10, 1_000, 20_000, 300_000][how / 8 % 5];
        let payload = bytes::Bytes::from(vec![u8::try_from(how).unwrap_or(0); len]);
        let command = match what % 16 {
            0..=3 => Command::Broadcast { payload },
            4..=7 => Command::Send { to: self.somebody(how), payload },
            8 => Command::Join { address: address(how % 6).to_string() },
            9 => Command::Join { address: format!("somewhere{}:4000", how % 80) },
            10 => Command::Subscribe { name: name(how) },
            11 => Command::Subscribe { name: format!("{how}") },
            12 => {
                Command::Acknowledge { name: name(how), up_to: u64::try_from(how / 3).unwrap_or(0) }
            }
            13 => Command::Unsubscribe { name: name(how) },
            14 if how.is_multiple_of(8) => Command::Stop,
            _ => return,
        };
        self.ask(command);
    }

    fn ask(&mut self, command: Command) {
        if let Ok(ticket) = self.core.command(self.now, command) {
            assert!(self.tickets.insert(ticket, false).is_none(), "a ticket is given out twice");
        }
        self.settle();
    }

    fn somebody(&self, how: usize) -> NodeId {
        identity(how % (VICTIM + 1)).node_id()
    }

    /// A verdict comes, maybe one on something else, and maybe twice.
    fn verdict(&mut self, which: usize, how: usize) {
        let count = self.checks.len().max(1);
        let Some((check, job)) = self.checks.get(which % count).cloned() else { return };
        let other = self.checks.last().map_or(job.clone(), |(_, job)| job.clone());
        let verdict = if how & 3 == 3 { other.run() } else { job.run() };
        if how & 4 == 0 {
            self.checks.swap_remove(which % count);
        }
        self.input(Input::Verdict { check, verdict });
    }

    fn persisted(&mut self, how: usize) {
        if how == 255 {
            self.input(Input::Persisted { up_to: ChangeId(u64::MAX) });
            return;
        }
        let count = (1 + how).min(self.changes.len());
        let last = self.changes.drain(..count).next_back();
        if let Some(up_to) = last {
            self.input(Input::Persisted { up_to });
        }
    }

    fn storage(&mut self, how: usize) {
        let why = ["full", "locked"][how & 1].to_owned();
        if how % 16 == 15 {
            self.failed = true;
            self.input(Input::StorageFailed { reason: Reason::DiskError, why });
        } else {
            self.input(Input::StorageWaits { reason: Reason::DiskFull, why });
        }
    }

    fn answer_dial(&mut self, which: usize, how: usize) {
        if self.dials.is_empty() {
            return;
        }
        let (link, _) = self.dials.swap_remove(which % self.dials.len());
        if how & 3 == 0 {
            self.streams.insert(link, 0);
            self.input(Input::Connected { link, certificate: None });
        } else {
            let reason = [LinkDown::Refused, LinkDown::TimedOut, LinkDown::Reset][how % 3].clone();
            self.input(Input::LinkDown { link, reason });
        }
    }

    fn resolve(&mut self, how: usize) {
        let Some(name) = self.names.pop() else { return };
        let outcome = match how % 4 {
            0 => Err("no such name".to_owned()),
            1 => Ok(vec![]),
            2 => Ok((0..6).map(address).collect()),
            _ => Ok((0..200).map(|n| SocketAddr::from(([198, 51, 100, n], 4000))).collect()),
        };
        self.input(Input::Resolved { name, outcome });
    }

    fn accept(&mut self, input: &mut Bytes<'_>) {
        self.accepted += 1;
        let link = LinkId::of_driver(self.accepted);
        let from = SocketAddr::from(([203, 0, 113, u8::try_from(input.byte()).unwrap_or(0)], 6000));
        self.streams.insert(link, 0);
        self.input(Input::Accepted { kind: LinkKind::Tcp, link, from, certificate: None });
    }

    fn stream(&self, which: usize) -> Option<LinkId> {
        self.streams.keys().nth(which % self.streams.len().max(1)).copied()
    }

    fn bytes(&mut self, input: &mut Bytes<'_>) {
        let Some(link) = self.stream(input.byte()) else { return };
        let bytes: Vec<u8> = (0..input.byte() % 64).map_while(|_| input.next()).collect();
        self.input(Input::Bytes { link, bytes: bytes.into() });
    }

    fn link_down(&mut self, which: usize, how: usize) {
        if how & 1 == 0 {
            let Some(link) = self.hangups.pop() else { return };
            self.streams.remove(&link);
            self.input(Input::LinkDown { link, reason: LinkDown::HungUp });
        } else if let Some(link) = self.stream(which) {
            self.streams.remove(&link);
            self.hangups.retain(|hung_up| *hung_up != link);
            self.input(Input::LinkDown { link, reason: LinkDown::Reset });
        }
    }

    /// A datagram of a stranger.
    fn junk(&mut self, input: &mut Bytes<'_>) {
        let from = SocketAddr::from(([203, 0, 113, 9], 6000));
        let bytes: Vec<u8> = (0..input.byte() % 64).map_while(|_| input.next()).collect();
        if !bytes.is_empty() {
            self.core.handle_datagrams(self.now, from, bytes.len(), &bytes);
        }
    }

    /// The wall clock is set.
    fn jump(&mut self, how: usize, back: bool) {
        let by = Duration::from_secs(1 << (how % 36));
        self.now.wall = if back { self.now.wall - by } else { self.now.wall + by };
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now.mono + by;
        for woken in 0.. {
            assert!(woken < 20_000, "it never sleeps: {:?}", self.core.poll_timeout());
            let peers = self.peers.iter().filter_map(|peer| peer.end.poll_timeout());
            let next = peers.chain(self.core.poll_timeout().map(|(at, _)| at)).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            let at = at.max(self.now.mono);
            self.now.wall = self.now.wall + at.since(self.now.mono);
            self.now.mono = at;
            for peer in &mut self.peers {
                peer.end.handle_timeout(self.now);
            }
            self.input(Input::Timeout);
        }
        self.now.wall = self.now.wall + until.since(self.now.mono);
        self.now.mono = until;
    }

    fn check_bounds(&self) {
        let view = self.core.view(self.now);
        assert!(self.core.half_open() <= MAX_HALF_OPEN + MAX_DATAGRAM_HALF_OPEN);
        assert!(self.core.trust().standings().len() <= MAX_OBSERVED);
        assert!(view.known_peers <= MAX_BOOK && view.bootstrap.len() <= MAX_BOOTSTRAP);
        assert!(view.external_addresses.len() <= MAX_EXTERNAL_ADDRESSES * 2);
        assert!(view.kept.0 <= CACHE_SIZE && view.kept.1 <= RETENTION_BYTES, "{:?}", view.kept);
        assert!(view.peers.len() <= MAX_PEERS && view.subscriptions.len() <= MAX_SUBSCRIPTIONS);
        for peer in &view.peers {
            assert!(peer.session.queued_bytes <= MAX_PEER_QUEUE_BYTES);
            assert!(peer.score.is_finite() && (0.0..=1.0).contains(&peer.score));
        }
        let disk = &view.storage;
        assert!(disk.waiting_bytes <= 2 * MAX_BACKLOG_BYTES + 2 * MAX_BYTES_TO_DISK);
        assert!(disk.waiting_broadcasts <= MAX_PENDING_BROADCASTS);
        assert!(self.checks.len() <= MAX_PARKED + MAX_CHECKS);
        let racing = (MAX_DIALS + MAX_PROBES) * MAX_RACING_ADDRESSES;
        assert!(self.dials.len() <= racing, "{} dials", self.dials.len());
    }

    /// Everybody does their part: nothing is left unanswered.
    fn finish(mut self) -> (u64, AllCounters) {
        self.answers_at_once = true;
        self.settle();
        self.ask(Command::Stop);
        for _ in 0..20 {
            while !self.dials.is_empty() {
                self.answer_dial(0, 1);
            }
            while !self.hangups.is_empty() {
                self.link_down(0, 0);
            }
            self.advance(Duration::from_secs(10));
        }
        self.check_bounds();
        let unanswered = self.tickets.iter().find(|(_, answered)| !**answered);
        assert_eq!(unanswered, None, "failed: {}", self.failed);
        (self.hash.finish(), self.core.view(self.now).counters)
    }
}
