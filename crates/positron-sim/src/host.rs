//! One machine with one process: gives a node its inputs, and does what it wants done.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use positron_internet::{HostId, StreamId};
use positron_proto::{
    id::{LinkId, NetworkId, NodeId, Ticket},
    identity::Identity,
    node::{self, Command, Effect, Input, NodeCore, NodeView, Outcome, Refused},
    reason::Reason,
    rng::Seed,
    session::sessions::Reading,
    succession::{Succession, change::keep},
    time::{Duration, Instant, Now},
};

use crate::{
    agenda::Agenda,
    clock::Clock,
    dice::{Dice, named_dice},
    disk::{Disk, DiskState, Loss},
    environment::Environment,
    event::Event,
    machine::Machine,
    questions::Questions,
    reader_writer::ReaderWriter,
    report::StreamTally,
    run_hash::RunHash,
    scenario::NatType,
    stack::{Stack, Told},
    trace::{Trace, brief},
};

/// Inputs in one microsecond of virtual time beyond which a process goes round in circles. A thaw
/// delivers everything that a node missed in one microsecond; this is far above.
const MAX_INPUTS_AT_ONCE: u32 = 1_000_000;
/// How long a process may take to stop before it is killed: what `start` grants itself.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what a stopped node hung up may take to be flushed.
const FLUSH: Duration = Duration::from_millis(200);
/// How long a disk that is away is left alone between two tries.
const DISK_RETRY: Duration = Duration::from_millis(500);
/// Time between two looks of a process at its machine's interfaces: what the driver takes.
const INTERFACES_INTERVAL: Duration = Duration::from_secs(2);
/// Datagrams that a host hands to its kernel at a time.
const BATCH: usize = 16;

thread_local! {
    /// Where nodes write datagrams, in turn: each would need room for its largest batch.
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One machine: a kernel, a disk, clocks, and a process or none.
///
/// # Contract
///
/// [`due`](Self::due) says when something happens; [`advance`](Self::advance) lets it, through a
/// window of time in which no other host can be heard of. Between two windows, faults and
/// applications change it, and [`settle`](Self::settle) follows. Afterwards take what it
/// [sent](Stack::outbox) and what its application [heard](Self::take_heard).
pub(crate) struct Host {
    addr: SocketAddr,
    identity: Arc<Identity>,
    stack: Stack,
    process: Option<Process>,
    frozen_until: Instant,
    disk: Disk,
    disk_state: DiskState,
    /// What its disk was when it was copied last.
    backup: Disk,
    clock: Clock,
    /// What its own parts do later, and in which life of its process.
    agenda: Agenda<(u32, Event)>,
    /// Streams that the process does not read for now, and what arrived by them.
    held: BTreeMap<LinkId, Vec<Input>>,
    /// What arrived by a stream that is read again.
    read_on: VecDeque<Input>,
    dice: Dice,
    hash: RunHash,
    tally: Tally,
    /// What the application heard in this window.
    heard: Vec<(Instant, node::Event)>,
    /// Whether the process ended in this window because it was told to.
    exited: bool,
    /// Why the world must not go on, if so.
    broken: Option<String>,
    trace: Trace,
    now: Instant,
    at_once: u32,
}

/// What is gone when the process is.
struct Process {
    machine: Box<dyn Machine>,
    streams: ReaderWriter,
    deadline: Option<Instant>,
}

/// What a host spent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) inputs: u64,
    pub(crate) verifications: u64,
    pub(crate) wire_bytes: u64,
    pub(crate) streams: StreamTally,
}

impl Host {
    /// A host at `addr`, before anything runs on it.
    pub(crate) fn new(id: HostId, addr: SocketAddr, owner: (Identity, Clock), seed: &Seed) -> Self {
        let (identity, clock) = owner;
        Self {
            addr,
            identity: Arc::new(identity),
            stack: Stack::new(id, addr),
            process: None,
            frozen_until: Instant::ORIGIN,
            disk: Disk::default(),
            disk_state: DiskState::Works,
            backup: Disk::default(),
            clock,
            agenda: Agenda::default(),
            held: BTreeMap::new(),
            read_on: VecDeque::new(),
            dice: named_dice(seed, "host"),
            hash: RunHash::new(),
            tally: Tally::default(),
            heard: Vec::new(),
            exited: false,
            broken: None,
            trace: Trace::default(),
            now: Instant::ORIGIN,
            at_once: 0,
        }
    }

    /// It is at home, before anything runs on it.
    pub(crate) fn put_behind(&mut self, nat_type: NatType, seed: u64) {
        self.stack.put_behind(nat_type, seed);
        self.addr.set_ip(self.stack.ip());
    }

    // --- what it is like ---

    pub(crate) const fn is_live(&self) -> bool {
        self.process.is_some()
    }

    /// Which process runs or ran last: 1, 2, 3, ...
    pub(crate) const fn life(&self) -> u32 {
        self.stack.life()
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The node, if a process runs that is one.
    pub(crate) fn node(&self) -> Option<&NodeCore> {
        self.process.as_ref()?.machine.node()
    }

    /// What its node looks like, if a process runs that is one.
    pub(crate) fn view(&self, now: Instant) -> Option<NodeView> {
        Some(self.node()?.view(self.clocks(now)))
    }

    /// What it would bring back now.
    pub(crate) const fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) const fn hash(&self) -> RunHash {
        self.hash
    }

    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Why the world must not go on, if so.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub(crate) const fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// The last things that happened to it, if somebody listens.
    pub(crate) fn history(&self) -> Vec<String> {
        self.trace.lines()
    }

    /// Both clocks.
    pub(crate) fn clocks(&self, at: Instant) -> Now {
        self.clock.now(at)
    }

    /// Virtual time, as this host has come to it.
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    // --- its process ---

    /// Starts a process; `listening` is what it is told of its address.
    pub(crate) fn start(
        &mut self,
        at: Instant,
        environment: &Environment,
        listening: SocketAddr,
        machine: Box<dyn Machine>,
    ) {
        self.stack.start();
        self.now = at;
        self.process = Some(Process { machine, streams: ReaderWriter::default(), deadline: None });
        self.give(Input::Interfaces(vec![self.addr.ip()]));
        self.give(Input::Listening(vec![listening]));
        self.settle(environment);
    }

    /// Ends the process, whatever it was doing, as a signal does: the kernel lives on.
    pub(crate) fn kill(&mut self, environment: &Environment) {
        self.stack.kill(self.now, &environment.network);
        self.end(Loss::Process);
    }

    /// Ends process, kernel and what was not on the platter.
    pub(crate) fn cut_power(&mut self) {
        self.stack.cut_power();
        self.end(Loss::Power);
    }

    /// The process ends as it should: everything reaches the disk, and the node is told.
    fn exit(&mut self, environment: &Environment) {
        let works = self.disk_state == DiskState::Works;
        let flushed = if works { self.disk.flush() } else { None };
        if let Some(up_to) = flushed {
            self.give(Input::Persisted { up_to });
            self.settle(environment);
        }
        self.stack.kill(self.now, &environment.network);
        self.end(Loss::Nothing);
        self.exited = true;
    }

    fn end(&mut self, loss: Loss) {
        if self.process.take().is_some() {
            (self.held, self.read_on) = Default::default();
            self.disk.crash(loss);
            self.frozen_until = Instant::ORIGIN;
            self.trace.note(self.now, || format!("the process ended, disk: {loss:?}"));
        }
    }

    /// Lets the process end at `at`, if it has not ended by then.
    pub(crate) fn exit_at(&mut self, at: Instant) {
        self.later(at, Event::Exit);
    }

    /// Asks something of the node.
    pub(crate) fn command(
        &mut self,
        at: Instant,
        environment: &Environment,
        command: Command,
    ) -> Option<Result<Ticket, Refused>> {
        self.now = self.now.max(at);
        let now = self.clocks(self.now);
        self.trace.note(self.now, || format!("command {}", brief(&command)));
        let answer = self.process.as_mut()?.machine.command(now, command);
        self.settle(environment);
        Some(answer)
    }

    /// Has the application open a stream, and write so many bytes.
    pub(crate) fn open_stream(
        &mut self,
        at: Instant,
        environment: &Environment,
        to: NodeId,
        bytes: u64,
    ) -> Option<Result<Ticket, Refused>> {
        self.now = self.now.max(at);
        let now = self.clocks(self.now);
        let Process { machine, streams, .. } = self.process.as_mut()?;
        let answer = machine.command(now, Command::OpenStream { to });
        if let Ok(ticket) = answer {
            streams.expect(ticket, bytes);
        }
        self.settle(environment);
        Some(answer)
    }

    // --- what goes wrong, between two windows ---

    /// All of its streams.
    pub(crate) fn streams(&self) -> Vec<StreamId> {
        self.stack.streams()
    }

    /// Its network stack.
    pub(crate) const fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// It is known by another address; its process finds out when it looks, if it has it itself.
    pub(crate) fn renumber(&mut self, to: IpAddr) {
        self.stack.renumber(to);
        self.addr.set_ip(self.stack.ip());
        let after = self.dice.between((Duration::ZERO, INTERFACES_INTERVAL));
        self.later(self.now + after, Event::Interfaces);
    }

    /// Whether its process takes what arrives.
    pub(crate) const fn is_reading(&self) -> bool {
        self.stack.is_reading()
    }

    /// The process stands still until then.
    pub(crate) const fn freeze(&mut self, until: Instant) {
        self.frozen_until = until;
    }

    /// What its disk does from now on.
    pub(crate) const fn set_disk(&mut self, state: DiskState) {
        self.disk_state = state;
    }

    /// Somebody copies its database.
    pub(crate) fn back_up(&mut self) {
        self.backup = self.disk.copy();
    }

    /// Somebody puts the copy in place of its database.
    pub(crate) fn restore_backup(&mut self) {
        self.disk = self.backup.copy();
    }

    /// Somebody has its key give way to another one, beside the process.
    pub(crate) fn rotate(&mut self, to: Identity, network: &NetworkId) {
        self.disk.put(keep(&Succession::sign(&self.identity, &to, network)));
        self.identity = Arc::new(to);
    }

    /// Somebody sets its wall clock.
    pub(crate) const fn turn_clock(&mut self, by_seconds: i64) {
        self.clock.turn(by_seconds);
    }

    // --- time ---

    /// When something happens next.
    pub(crate) fn due(&self) -> Option<Instant> {
        let wakes = self.process.as_ref().and_then(|process| process.deadline);
        let next = [self.stack.next_time(), self.agenda.next_time(), wakes];
        Some(next.into_iter().flatten().min()?.max(self.frozen_until).max(self.now))
    }

    /// Lets everything happen that happens before `end`.
    pub(crate) fn advance(&mut self, end: Instant, environment: &Environment) {
        while self.broken.is_none()
            && let Some(at) = self.due().filter(|at| *at < end)
        {
            self.at_once = if at > self.now { 0 } else { self.at_once + 1 };
            self.now = at;
            if self.at_once > MAX_INPUTS_AT_ONCE {
                let machine = self.process.as_ref().map(|process| &process.machine);
                let at = machine.and_then(|machine| machine.poll_timeout());
                let why = machine.and_then(|machine| machine.node()?.poll_timeout());
                let why = why.map(|(_, why)| why);
                self.broken =
                    Some(format!("goes round in circles; wants to be woken at {at:?} for {why:?}"));
                return;
            }
            if self.stack.handle_timeout(at, &environment.network) {
                self.hear();
            } else if let Some((life, event)) = self.agenda.pop_due(at) {
                if life == self.life() && self.is_live() {
                    self.happen(event, environment);
                }
            } else {
                self.give(Input::Timeout);
            }
            self.settle(environment);
        }
    }

    /// Time has come this far for everybody.
    pub(crate) fn catch_up(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }

    fn later(&mut self, at: Instant, event: Event) {
        self.agenda.push(at, (self.life(), event));
    }

    fn happen(&mut self, event: Event, environment: &Environment) {
        match event {
            Event::Verdict { check, verdict } => self.give(Input::Verdict { check, verdict }),
            Event::Answered { from, id, payload } => {
                self.give(Input::Answered { from, id, answer: Ok(payload) });
            }
            Event::Committed => self.committed(environment),
            Event::Resolved { name } => {
                let outcome = environment.resolve(&name);
                self.give(Input::Resolved { name, outcome });
            }
            Event::Interfaces => self.give(Input::Interfaces(vec![self.addr.ip()])),
            Event::Exit => self.exit(environment),
        }
    }

    // --- its application ---

    /// What its application heard.
    pub(crate) fn take_heard(&mut self) -> Vec<(Instant, node::Event)> {
        std::mem::take(&mut self.heard)
    }

    /// Whether its process ended because it was told to, since this was asked last.
    pub(crate) const fn take_exited(&mut self) -> bool {
        std::mem::replace(&mut self.exited, false)
    }

    // --- the node ---

    /// Gives the node an input.
    fn give(&mut self, input: Input) {
        let now = self.clocks(self.now);
        let Some(process) = &mut self.process else { return };
        self.tally.inputs += 1;
        self.trace.note(self.now, || brief(&input));
        process.machine.handle(now, input);
    }

    fn give_datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        let now = self.clocks(self.now);
        let Some(process) = &mut self.process else { return };
        self.tally.inputs += 1;
        self.trace.note(self.now, || brief(&format_args!("datagram of {from}: {bytes:?}")));
        process.machine.handle_datagrams(now, from, bytes.len().max(1), bytes);
    }

    /// Tells the node what its kernel has to say; whether it had anything.
    fn hear(&mut self) -> bool {
        let mut any = false;
        while let Some(input) = self.read_on.pop_front() {
            any = true;
            self.give(input);
        }
        while let Some(told) = self.stack.poll_told() {
            any = true;
            match told {
                Told::Input(input @ (Input::Bytes { link, .. } | Input::LinkDown { link, .. }))
                    if self.held.contains_key(&link) =>
                {
                    self.held.entry(link).or_default().push(input);
                }
                Told::Input(input) => self.give(input),
                Told::Datagram(from, bytes) => self.give_datagram(from, &bytes),
            }
        }
        any
    }

    /// Does what the node wants done until it wants nothing more.
    pub(crate) fn settle(&mut self, environment: &Environment) {
        loop {
            while let Some(effect) = self.process.as_mut().and_then(|p| p.machine.poll_effect()) {
                self.hash.effect(self.now, &effect);
                self.trace.note(self.now, || format!("  {}", brief(&effect)));
                self.perform(effect, environment);
            }
            OUTGOING.with_borrow_mut(|buf| self.transmit_all(environment, buf));
            if !self.hear() {
                break;
            }
        }
        if let Some(process) = &mut self.process {
            process.deadline = process.machine.poll_timeout();
        }
    }

    /// Sends the datagrams that the node wants sent.
    fn transmit_all(&mut self, environment: &Environment, buf: &mut Vec<u8>) {
        let now = self.clocks(self.now);
        while let Some(process) = &mut self.process
            && let Some(batch) = process.machine.poll_transmit(now, BATCH, buf)
        {
            // What is under way has no room for more than itself.
            let bytes = Bytes::copy_from_slice(buf);
            self.hash.transmit(self.now, &batch, &bytes);
            self.trace.note(self.now, || format!("  {batch:?}"));
            self.tally.wire_bytes += u64::try_from(bytes.len()).unwrap_or(0);
            self.stack.transmit(self.now, &environment.network, &batch, bytes);
        }
    }

    fn perform(&mut self, effect: Effect, environment: &Environment) {
        let (now, network) = (self.now, &environment.network);
        match effect {
            Effect::Dial { link, to, .. } => self.stack.dial(now, network, link, to),
            Effect::Write { link, bytes } => {
                self.tally.wire_bytes += u64::try_from(bytes.len()).unwrap_or(0);
                self.stack.write(now, network, link, bytes);
            }
            Effect::Hangup { link, how } => {
                self.read_on.extend(self.held.remove(&link).unwrap_or_default());
                self.stack.hang_up(now, network, link, how);
            }
            Effect::Read { link, reading: Reading::Held } => _ = self.held.entry(link).or_default(),
            Effect::Read { link, reading: Reading::Open } => {
                self.read_on.extend(self.held.remove(&link).unwrap_or_default());
            }
            Effect::OpenSocket(socket) => self.stack.open_socket(socket),
            Effect::CloseSocket(socket) => self.stack.close_socket(socket),
            Effect::AskRouter { .. } => {} // the routers of this world map nothing
            Effect::Resolve { name } => {
                let after = self.dice.between(environment.physics().resolve);
                self.later(self.now + after, Event::Resolved { name });
            }
            Effect::Verify { check, job, from: _ } => {
                let fingerprint = job.fingerprint();
                self.hash.bytes(&fingerprint);
                self.tally.verifications += 1;
                let verdict = environment.verdicts.of(&job, fingerprint);
                let after = self.dice.between(environment.physics().verdict);
                self.later(self.now + after, Event::Verdict { check, verdict });
            }
            Effect::Persist { id, change } => {
                if self.disk.write(id, change) {
                    self.begin_batch(environment);
                }
            }
            Effect::Emit(event) => {
                if let node::Event::Completed { outcome: Outcome::Stopped, .. } = &event {
                    self.exit_at(self.now + FLUSH);
                }
                if let node::Event::Request { from, id, payload } = &event {
                    let answered = self.now + Questions::work(payload);
                    let (from, id, payload) = (*from, *id, payload.clone());
                    self.later(answered, Event::Answered { from, id, payload });
                }
                self.hear_of_streams(&event);
                if !matches!(event, node::Event::Stream { .. }) {
                    self.heard.push((self.now, event));
                }
            }
        }
    }

    /// Lets the application do with streams what it does.
    fn hear_of_streams(&mut self, event: &node::Event) {
        let now = self.clocks(self.now);
        let Some(Process { machine, streams, .. }) = &mut self.process else { return };
        for (id, order) in streams.hear(event, &mut self.tally.streams) {
            machine.stream_order(now, id, order);
        }
    }

    fn begin_batch(&mut self, environment: &Environment) {
        let after = self.dice.between(environment.physics().commit);
        self.later(self.now + after, Event::Committed);
    }

    /// A batch is on disk, if that took it.
    fn committed(&mut self, environment: &Environment) {
        match self.disk_state {
            DiskState::Works => {}
            DiskState::Away => {
                let why = "the disk of this world is away".to_owned();
                self.give(Input::StorageWaits { reason: Reason::DiskFull, why });
                return self.later(self.now + DISK_RETRY, Event::Committed);
            }
            DiskState::Broken => {
                let why = "the disk of this world is broken".to_owned();
                return self.give(Input::StorageFailed { reason: Reason::DiskError, why });
            }
        }
        if let Some(up_to) = self.disk.commit(self.now, environment.physics().checkpoint) {
            self.give(Input::Persisted { up_to });
        }
        if self.disk.begin() {
            self.begin_batch(environment);
        }
    }
}
