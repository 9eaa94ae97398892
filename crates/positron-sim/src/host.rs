//! One machine with one process: gives a node its inputs, and does what it wants done.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use positron_proto::{
    id::{LinkId, Ticket},
    identity::Identity,
    node::{self, Command, Effect, Input, Outcome, Refused},
    rng::Seed,
    time::{Duration, Instant, Now},
};

use crate::{
    clock::Clock,
    datagrams::{BATCH, Socket},
    dice::{Dice, named_dice},
    disk::{Disk, Loss},
    event::{Entry, Event},
    machine::Machine,
    mail::EventQueue,
    run_hash::RunHash,
    tcp::Endpoint,
    topology::{Topology, address, narrow},
    trace::Trace,
};

/// Inputs in one microsecond of virtual time beyond which a process goes round in circles. A thaw
/// delivers everything that a node missed in one microsecond; this is far above.
const MAX_INPUTS_AT_ONCE: u32 = 1_000_000;
/// How long a process may take to stop before it is killed: what `start` grants itself.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// One machine.
pub(crate) struct Host {
    pub(crate) index: u32,
    pub(crate) addr: SocketAddr,
    pub(crate) identity: Arc<Identity>,
    /// Which process runs or ran last: 1, 2, 3, ...
    pub(crate) life: u32,
    pub(crate) process: Option<Process>,
    /// Without power not even its kernel answers.
    pub(crate) powered: bool,
    pub(crate) reading: bool,
    pub(crate) frozen_until: Instant,
    pub(crate) disk: Disk,
    pub(crate) disk_broken: bool,
    pub(crate) clock: Clock,
    pub(crate) mail: EventQueue,
    pub(crate) dice: Dice,
    pub(crate) socket: Socket,
    pub(crate) hash: RunHash,
    pub(crate) tally: Tally,
    /// What the application heard in this window.
    pub(crate) heard: Vec<(Instant, node::Event)>,
    /// Whether the process ended in this window because it was told to.
    pub(crate) exited: bool,
    /// Why the world must not go on, if so.
    pub(crate) broken: Option<String>,
    pub(crate) trace: Trace,
    now: Instant,
    at_once: u32,
}

/// What is gone when the process is.
pub(crate) struct Process {
    pub(crate) machine: Box<dyn Machine>,
    pub(crate) links: BTreeMap<LinkId, Endpoint>,
    pub(crate) accepted: u64,
    /// What the kernel took since the node was last told.
    pub(crate) written: Vec<(LinkId, usize)>,
    deadline: Option<Instant>,
}

/// What a host spent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) inputs: u64,
    pub(crate) verifications: u64,
    pub(crate) wire_bytes: u64,
}

impl Host {
    pub(crate) fn new(index: usize, identity: Identity, clock: Clock, seed: &Seed) -> Self {
        Self {
            index: narrow(index),
            addr: address(index),
            identity: Arc::new(identity),
            life: 0,
            process: None,
            powered: true,
            reading: true,
            frozen_until: Instant::ORIGIN,
            disk: Disk::default(),
            disk_broken: false,
            clock,
            mail: EventQueue::new(narrow(index)),
            dice: named_dice(seed, "host"),
            socket: Socket::new(named_dice(seed, "datagrams"), address(index).port()),
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

    pub(crate) const fn is_live(&self) -> bool {
        self.process.is_some()
    }

    /// Both clocks.
    pub(crate) fn clocks(&self, at: Instant) -> Now {
        self.clock.now(at)
    }

    /// Starts a process; `listening` is what it is told of its address.
    pub(crate) fn start(
        &mut self,
        at: Instant,
        nature: &Topology,
        listening: SocketAddr,
        machine: Box<dyn Machine>,
    ) {
        self.life += 1;
        self.powered = true;
        self.reading = true;
        self.now = at;
        self.process = Some(Process {
            machine,
            links: BTreeMap::new(),
            accepted: 0,
            written: Vec::new(),
            deadline: None,
        });
        self.give(Input::Listening(vec![listening]));
        self.settle(nature);
    }

    /// Ends the process, whatever it was doing. Its connections are the caller's business.
    pub(crate) fn end(&mut self, loss: Loss) -> Option<Process> {
        let ended = self.process.take()?;
        self.disk.crash(loss);
        self.close_socket();
        self.trace.note(self.now, || format!("the process ended, disk: {loss:?}"));
        Some(ended)
    }

    /// When something happens next.
    pub(crate) fn due(&self) -> Option<Instant> {
        let wake = self.process.as_ref().and_then(|process| process.deadline);
        let next = match (self.mail.next(), wake) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(next.max(self.frozen_until).max(self.now))
    }

    /// Lets everything happen that happens before `end`.
    pub(crate) fn advance(&mut self, end: Instant, nature: &Topology) {
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
            if self.mail.next().is_some_and(|next| next <= at) {
                if let Some(entry) = self.mail.pop() {
                    self.happen(entry, nature);
                }
            } else {
                self.give(Input::Timeout);
            }
            self.settle(nature);
        }
    }

    /// Asks something of the node.
    pub(crate) fn command(
        &mut self,
        at: Instant,
        nature: &Topology,
        command: Command,
    ) -> Option<Result<Ticket, Refused>> {
        self.now = self.now.max(at);
        let now = self.clocks(self.now);
        self.trace.note(self.now, || format!("command {}", brief(&command)));
        let answer = self.process.as_mut()?.machine.command(now, command);
        self.settle(nature);
        Some(answer)
    }

    fn happen(&mut self, entry: Entry, nature: &Topology) {
        if let Event::Syn { from, addr, port } = entry.event {
            return self.asked(from, addr, port, nature);
        }
        if let Event::Datagram { .. } = entry.event {
            return self.datagram(entry.event, nature);
        }
        if entry.life != self.life || !self.is_live() {
            return self.stray(entry.event, nature);
        }
        match entry.event {
            Event::Verdict { check, verdict } => self.give(Input::Verdict { check, verdict }),
            Event::Committed => self.committed(nature),
            Event::Resolved { name } => {
                let outcome = nature.resolve(&name);
                self.give(Input::Resolved { name, outcome });
            }
            Event::DiskFailed => {
                let why = "the disk of this world is broken".to_owned();
                self.give(Input::StorageFailed { why });
            }
            Event::Exit => self.exit(nature),
            Event::ReadSocket => self.read_socket(),
            of_a_link => self.happen_to_link(of_a_link, nature),
        }
    }

    /// Gives the node an input.
    pub(crate) fn give(&mut self, input: Input) {
        let now = self.clocks(self.now);
        let Some(process) = &mut self.process else { return };
        self.tally.inputs += 1;
        self.trace.note(self.now, || brief(&input));
        process.machine.handle(now, input);
    }

    /// Does what the node wants done until it wants nothing more.
    pub(crate) fn settle(&mut self, nature: &Topology) {
        loop {
            while let Some(effect) = self.process.as_mut().and_then(|p| p.machine.poll_effect()) {
                self.hash.effect(self.now, &effect);
                self.trace.note(self.now, || format!("  {}", brief(&effect)));
                self.perform(effect, nature);
            }
            self.transmit_all(nature);
            let Some(process) = &mut self.process else { return };
            if process.written.is_empty() {
                process.deadline = process.machine.poll_timeout();
                return;
            }
            let mut written = std::mem::take(&mut process.written);
            for (link, bytes) in written.drain(..) {
                if self.has_link(link) {
                    self.give(Input::Written { link, bytes });
                }
            }
            // The room is kept; nothing was written meanwhile, effects are drained only above.
            if let Some(process) = &mut self.process {
                process.written = written;
            }
        }
    }

    /// Sends the datagrams that the node wants sent.
    fn transmit_all(&mut self, nature: &Topology) {
        let (now, mut buf) = (self.clocks(self.now), Vec::new());
        while let Some(process) = &mut self.process
            && let Some(batch) = process.machine.poll_transmit(now, BATCH, &mut buf)
        {
            let bytes = Bytes::from(std::mem::take(&mut buf));
            self.hash.transmit(self.now, &batch, &bytes);
            self.trace.note(self.now, || format!("  {batch:?}"));
            self.transmit(batch, bytes, nature);
        }
    }

    fn perform(&mut self, effect: Effect, nature: &Topology) {
        match effect {
            Effect::Dial { link, to, .. } => self.dial(link, to, nature),
            Effect::Write { link, bytes } => self.write(link, bytes, nature),
            Effect::Hangup { link, how } => self.hang_up(link, how, nature),
            Effect::Resolve { name } => {
                let after = self.dice.between(nature.physics.resolve);
                self.mail.later(self.now + after, self.life, Event::Resolved { name });
            }
            Effect::Verify { check, job } => {
                let fingerprint = job.fingerprint();
                self.hash.bytes(&fingerprint);
                self.tally.verifications += 1;
                let verdict = nature.verdicts.of(&job, fingerprint);
                let after = self.dice.between(nature.physics.verdict);
                let event = Event::Verdict { check, verdict };
                self.mail.later(self.now + after, self.life, event);
            }
            Effect::Persist { id, change } => {
                if self.disk.write(id, change) {
                    self.begin_batch(nature);
                }
            }
            Effect::Emit(event) => {
                let stopped = Outcome::Stopped;
                if matches!(&event, node::Event::Completed { outcome, .. } if *outcome == stopped) {
                    // What was hung up is flushed first.
                    self.exit_at(self.now + Duration::from_millis(200));
                }
                self.heard.push((self.now, event));
            }
        }
    }

    /// The process ends as it should: everything reaches the disk, and the node is told.
    fn exit(&mut self, nature: &Topology) {
        let flushed = if self.disk_broken { None } else { self.disk.flush() };
        if let Some(up_to) = flushed {
            self.give(Input::Persisted { up_to });
            self.settle(nature);
        }
        self.close_all(nature);
        self.end(Loss::Nothing);
        self.exited = true;
    }

    fn begin_batch(&mut self, nature: &Topology) {
        let after = self.dice.between(nature.physics.commit);
        let event = if self.disk_broken { Event::DiskFailed } else { Event::Committed };
        self.mail.later(self.now + after, self.life, event);
    }

    fn committed(&mut self, nature: &Topology) {
        if let Some(up_to) = self.disk.commit(self.now, nature.physics.checkpoint) {
            self.give(Input::Persisted { up_to });
        }
        if self.disk.begin() {
            self.begin_batch(nature);
        }
    }

    /// Lets the process end at `at`, if it has not ended by then.
    pub(crate) fn exit_at(&mut self, at: Instant) {
        self.mail.later(at, self.life, Event::Exit);
    }

    /// Virtual time, as this host has come to it.
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    /// Time has come this far for everybody.
    pub(crate) fn catch_up(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}

/// At most a line of what something looks like.
fn brief(thing: &impl core::fmt::Debug) -> String {
    let mut text = format!("{thing:?}");
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
        text.push_str("..");
    }
    text
}
