//! The long story on real sockets: processes on loopback that are killed, stopped, held up, moved
//! and doubled, and disks that are full for a while.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use positron_proto::{
    limits::{MAX_PAYLOAD, RETENTION_BYTES},
    rng::{Rng, Seed},
};
use rustix::process::Signal;
use serde::Serialize;

use super::{
    law::Law,
    machine::{MemberProcess, Place},
    member::{Order, Told},
    payload::SHORTEST,
};
use crate::{
    failure::{Exit, Failure},
    table::{Fields, bytes, count, duration},
    terminal::Terminal,
};

/// Members whom all others know from the beginning. They keep their ports.
const BOOTSTRAP: usize = 3;
/// How long load and faults of a round last, at most.
const TROUBLE: Duration = Duration::from_secs(45);
/// How long everything may take to arrive when nothing goes wrong any more: the longest wait before
/// a bootstrap address is dialled again, and a little.
const CALM: Duration = Duration::from_secs(70);
/// How long members may take to come up and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often something is said or goes wrong.
const STEP: Duration = Duration::from_millis(250);
/// Between two looks at what members tell.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes and messages that are said in all, at most: no retention window lets anything go, so that
/// nothing has an excuse. Half of what is kept.
const MOST: (usize, usize) = (RETENTION_BYTES / 2, 5_000);
/// Bytes of a disk that is full now and then: the database of a member twice.
const SMALL_DISK: &str = "256m";
/// What fills it.
const BALLAST: &str = "ballast";

/// What to play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real {
    /// How many processes.
    pub nodes: usize,
    /// For how long.
    pub length: Duration,
    /// Decides what is said and what goes wrong.
    pub seed: u64,
    /// Whether this process may mount a disk of its own.
    pub mounts: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RealSummary {
    /// Processes at a time.
    pub nodes: usize,
    /// Seed of load and faults.
    pub seed: u64,
    /// Rounds, each with a checkpoint at its end.
    pub rounds: u64,
    /// Broadcasts that were answered with `Ok`, with an error, and by nobody, for their sender
    /// died.
    pub took: u64,
    /// See [`took`](Self::took).
    pub refused: u64,
    /// See [`took`](Self::took).
    pub unanswered: u64,
    /// Times that one was handed over, the first of each member only.
    pub deliveries: u64,
    /// Times that one was handed over again by a later process.
    pub again_after_restart: u64,
    /// What went wrong on purpose, and how often.
    pub faults: std::collections::BTreeMap<&'static str, u64>,
    /// Bytes of the largest process in memory, where the system tells it.
    pub most_resident: u64,
    /// The longest calm until everything had arrived, in seconds.
    pub longest_calm_s: f64,
    /// Real seconds.
    pub wall_s: f64,
    /// What is against the law.
    pub broken: Vec<String>,
}

impl Real {
    /// Plays it to the end, or until `is_over`, with everything of it in `folder`.
    pub(crate) fn play(
        self,
        terminal: &Terminal,
        folder: &Path,
        is_over: impl Fn() -> bool,
    ) -> Result<RealSummary, Failure> {
        let mut stage = Stage::new(self, folder);
        stage.start_all()?;
        let begin = Instant::now();
        stage.begin = begin;
        terminal.message(format_args!("{} run", count(self.nodes, "node")));
        let mut first = true;
        while (first || begin.elapsed() < self.length) && !is_over() && stage.law.broken.is_empty()
        {
            first = false;
            let left = self.length.saturating_sub(begin.elapsed());
            stage.round(left.min(TROUBLE), &is_over)?;
            let at = duration(begin.elapsed());
            let Law { took, deliveries, .. } = stage.law;
            terminal.message(format_args!(
                "{at}: round {}, {took} broadcasts taken, {deliveries} deliveries",
                stage.summary.rounds
            ));
        }
        stage.end();
        let Law { took, refused, unanswered, deliveries, again_after_restart, .. } = stage.law;
        Ok(RealSummary {
            nodes: self.nodes,
            seed: self.seed,
            took,
            refused,
            unanswered,
            deliveries,
            again_after_restart,
            most_resident: stage.law.most_resident,
            wall_s: begin.elapsed().as_secs_f64(),
            broken: std::mem::take(&mut stage.law.broken),
            ..std::mem::take(&mut stage.summary)
        })
    }
}

/// All machines, and what is to become right again.
struct Stage {
    real: Real,
    above: PathBuf,
    place: Place,
    machines: Vec<MemberProcess>,
    /// Second machines with the key of one of the others.
    twins: Vec<MemberProcess>,
    told: Sender<(usize, Told)>,
    tales: Receiver<(usize, Told)>,
    law: Law,
    dice: Rng,
    /// What becomes right again, and when.
    later: Vec<(Instant, Repair)>,
    said: (usize, usize),
    begin: Instant,
    small_disk: Option<usize>,
    summary: RealSummary,
}

/// What becomes right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    Start(usize),
    Continue(usize),
    EmptyDisk,
    EndTwins,
}

impl Stage {
    fn new(real: Real, above: &Path) -> Self {
        let (told, tales) = mpsc::channel();
        let network = format!("soak-{}", std::process::id());
        Self {
            above: above.to_owned(),
            place: Place { network, bootstrap: Vec::new() },
            machines: (0..real.nodes).map(|index| MemberProcess::new(index, above)).collect(),
            twins: Vec::new(),
            told,
            tales,
            law: Law::new(real.nodes),
            dice: Seed::from_number(real.seed).stream("soak/real"),
            later: Vec::new(),
            said: (0, 0),
            begin: Instant::now(),
            small_disk: None,
            summary: RealSummary::default(),
            real,
        }
    }

    // --- beginning and end ---

    /// The bootstrap members first, one after the other, because their ports are what others are
    /// told.
    fn start_all(&mut self) -> Result<(), Failure> {
        if self.real.mounts {
            self.mount(self.real.nodes - 1);
        }
        for index in 0..self.real.nodes {
            self.start(index)?;
            if index < BOOTSTRAP {
                self.until_ports(index + 1)?;
                let address = format!("127.0.0.1:{}", self.machines[index].port);
                self.place.bootstrap.push(address);
            }
        }
        self.until_ports(self.real.nodes)
    }

    fn until_ports(&mut self, members: usize) -> Result<(), Failure> {
        let begin = Instant::now();
        while self.machines[..members].iter().any(|machine| machine.port == 0) {
            self.listen(LOOK);
            if begin.elapsed() > PATIENCE || !self.law.broken.is_empty() {
                let why = self.law.broken.first().cloned().unwrap_or_default();
                return Err(Failure::new(Exit::Network, "a member does not start").because(why));
            }
        }
        Ok(())
    }

    fn start(&mut self, index: usize) -> Result<(), Failure> {
        while let Ok((member, told)) = self.tales.try_recv() {
            self.hear(member, told);
        }
        self.law.handle_start(index);
        self.machines[index].start(&self.place, &self.told).map_err(|error| {
            Failure::new(Exit::Internal, "a process does not start").because(error)
        })
    }

    fn end(&mut self) {
        for machine in &mut self.machines {
            machine.order(Order::Stop);
        }
        let begin = Instant::now();
        while self.machines.iter().any(MemberProcess::is_running) && begin.elapsed() < PATIENCE {
            self.listen(LOOK);
        }
        let panicked = |machine: &&MemberProcess| machine.panicked();
        let panicked: Vec<_> = self.machines.iter().chain(&self.twins).filter(panicked).collect();
        if !panicked.is_empty() {
            self.law.breaks(format!("{} panicked", count(panicked.len(), "node")));
        }
        let late = self.machines.iter().filter(|machine| machine.is_running()).count();
        if late > 0 {
            self.law.breaks(format!("{} did not end when told to", count(late, "node")));
        }
        self.machines.clear();
        self.unmount();
    }

    // --- rounds ---

    /// Load and faults, and then calm until everything has arrived.
    fn round(&mut self, trouble: Duration, is_over: &impl Fn() -> bool) -> Result<(), Failure> {
        let begin = Instant::now();
        while begin.elapsed() < trouble && !is_over() {
            self.say();
            if self.dice.below(4) == 0 {
                self.go_wrong();
            }
            let step = Instant::now();
            while step.elapsed() < STEP {
                self.listen(LOOK);
                self.repair(Instant::now())?;
            }
        }
        // What was to become right later becomes so now.
        for (at, _) in &mut self.later {
            *at = begin;
        }
        self.repair(Instant::now())?;
        let calm = Instant::now();
        while let Some(missing) = self.missing() {
            self.listen(LOOK);
            self.repair(Instant::now())?;
            if calm.elapsed() > CALM {
                self.law.breaks(format!("after {} of calm: {missing}", duration(CALM)));
                break;
            }
        }
        self.summary.rounds += 1;
        self.summary.longest_calm_s = self.summary.longest_calm_s.max(calm.elapsed().as_secs_f64());
        Ok(())
    }

    fn missing(&self) -> Option<String> {
        let stopped = self.machines.iter().position(|machine| !machine.is_running());
        stopped.map(|index| format!("member {index} does not run")).or_else(|| self.law.missing())
    }

    /// Hears what members tell, for a moment, and notices who ended.
    fn listen(&mut self, moment: Duration) {
        let until = Instant::now() + moment;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.tales.recv_timeout(left) {
                Ok((member, told)) => self.hear(member, told),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        for index in 0..self.machines.len() {
            if let Some(how) = self.machines[index].ended() {
                self.law.handle_end(index);
                if !how.is_empty() {
                    self.law.breaks(format!("member {index} ended by itself: {how}"));
                }
            }
        }
    }

    fn hear(&mut self, member: usize, told: Told) {
        // What a second machine hears is nobody's business.
        let Some(machine) = self.machines.get_mut(member) else { return };
        if let Told::Started { port, .. } = told {
            machine.port = port;
        }
        self.law.handle_told(member, told, Instant::now());
    }

    // --- load ---

    /// Says a single thing, a train or a flood, unless enough was said.
    fn say(&mut self) {
        let from = self.dice.index(self.machines.len());
        if !self.machines[from].is_running() {
            return;
        }
        let (count, bytes) = match self.dice.below(20) {
            0 => (100 + self.dice.index(200), SHORTEST),
            1..=4 => (5 + self.dice.index(20), 1_000),
            5 => (1, MAX_PAYLOAD),
            6 | 7 => (1, 100_000),
            _ => (1, [SHORTEST, 100, 1_000, 20_000][self.dice.index(4)]),
        };
        // As much in each minute.
        let part = |whole: usize| {
            let (now, end) = (self.begin.elapsed(), self.real.length.max(TROUBLE));
            let whole = u128::try_from(whole).unwrap_or(u128::MAX);
            let part = whole * (now + STEP).as_millis() / end.as_millis();
            usize::try_from(part).unwrap_or(usize::MAX)
        };
        let most = (part(MOST.0).min(MOST.0), part(MOST.1).min(MOST.1));
        for _ in 0..count {
            let after = (self.said.0 + bytes, self.said.1 + 1);
            if after.0 > most.0 || after.1 > most.1 {
                return;
            }
            self.said = after;
            let number = self.law.say(from);
            self.machines[from].order(Order::Say { number, bytes });
        }
    }

    // --- faults ---

    fn go_wrong(&mut self) {
        let index = self.dice.index(self.machines.len());
        let now = Instant::now();
        let after = now + Duration::from_millis(500 + self.dice.below(8_000));
        if self.is_busy(index) || !self.machines[index].is_running() {
            return;
        }
        let (what, repair) = match self.dice.below(10) {
            0..=2 => {
                self.kill(index);
                ("killed", Repair::Start(index))
            }
            3 | 4 => {
                self.machines[index].order(Order::Stop);
                ("stopped", Repair::Start(index))
            }
            5 if index >= BOOTSTRAP => {
                self.kill(index);
                // Another port is another address.
                self.machines[index].port = 0;
                ("moved", Repair::Start(index))
            }
            6 | 7 => {
                self.machines[index].signal(Signal::STOP);
                ("held up", Repair::Continue(index))
            }
            8 if self.small_disk.is_some_and(|of| !self.is_busy(of)) => {
                self.fill_disk();
                ("disk filled", Repair::EmptyDisk)
            }
            9 if self.twins.is_empty() => {
                self.double(index);
                ("doubled", Repair::EndTwins)
            }
            _ => return,
        };
        *self.summary.faults.entry(what).or_default() += 1;
        self.later.push((after, repair));
    }

    /// Whether something of this member is to become right again.
    fn is_busy(&self, index: usize) -> bool {
        self.later.iter().any(|(_, repair)| match repair {
            Repair::Start(of) | Repair::Continue(of) => *of == index,
            // Who stops on a full disk says that not everything was written.
            Repair::EmptyDisk => self.small_disk == Some(index),
            Repair::EndTwins => false,
        })
    }

    fn kill(&mut self, index: usize) {
        self.machines[index].kill();
        self.law.handle_end(index);
    }

    /// Makes right what is due.
    fn repair(&mut self, now: Instant) -> Result<(), Failure> {
        let (due, later) = self.later.drain(..).partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.later = later;
        for (at, repair) in due {
            match repair {
                // Who was told to stop takes its time.
                Repair::Start(index) if self.machines[index].is_running() => {
                    self.later.push((at, repair));
                }
                Repair::Start(index) => self.start(index)?,
                Repair::Continue(index) => {
                    self.machines[index].signal(Signal::CONT);
                    self.law.handle_still(index);
                }
                Repair::EmptyDisk => self.empty_disk(),
                Repair::EndTwins => self.twins.iter_mut().for_each(MemberProcess::kill),
            }
        }
        self.twins.retain(MemberProcess::is_running);
        Ok(())
    }

    /// A second machine runs with the key of a member, on an empty disk.
    fn double(&mut self, index: usize) {
        let number = self.machines.len() + usize::try_from(self.dice.below(1 << 31)).unwrap_or(0);
        let mut twin = MemberProcess::new(number, &self.above);
        let keys = |machine: &MemberProcess| machine.folder().join("data").join("keys");
        let copied = fs::create_dir_all(keys(&twin))
            .and_then(|()| fs::read_dir(keys(&self.machines[index])))
            .and_then(|entries| {
                for entry in entries.flatten() {
                    fs::copy(entry.path(), keys(&twin).join(entry.file_name()))?;
                }
                twin.start(&self.place, &self.told)
            });
        match copied {
            Ok(()) => self.twins.push(twin),
            Err(error) => self.law.breaks(format!("no second machine: {error}")),
        }
    }

    /// Gives a member a disk of its own that can be full, if that is possible here.
    fn mount(&mut self, index: usize) {
        let folder = self.machines[index].folder().to_owned();
        let mount = || {
            fs::create_dir_all(&folder).ok()?;
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={SMALL_DISK}"), "tmpfs"]).arg(&folder);
            mount.output().ok().filter(|output| output.status.success())
        };
        self.small_disk = mount().map(|_| index);
    }

    fn unmount(&mut self) {
        if let Some(index) = self.small_disk.take() {
            let folder = self.above.join(format!("member-{index}"));
            // What stays mounted ends with the namespace of this process.
            let _ = Command::new("umount").arg(folder).output();
        }
    }

    fn ballast(&self) -> Option<PathBuf> {
        Some(self.machines[self.small_disk?].folder().join(BALLAST))
    }

    fn fill_disk(&mut self) {
        let filled = self.ballast().map(|path| -> std::io::Result<()> {
            let mut ballast = File::create(path)?;
            let block = vec![1; 1 << 20];
            // The last write fails: that is what it is for.
            while ballast.write_all(&block).is_ok() {}
            Ok(())
        });
        if let Some(Err(error)) = filled {
            self.law.breaks(format!("the disk cannot be filled: {error}"));
        }
    }

    fn empty_disk(&self) {
        if let Some(path) = self.ballast() {
            // A second time there is nothing to remove.
            let _ = fs::remove_file(path);
        }
    }
}

impl RealSummary {
    /// For people.
    pub(crate) fn fields(&self) -> Fields {
        let faults: Vec<String> =
            self.faults.iter().map(|(what, times)| format!("{times} {what}")).collect();
        let mut fields = Fields::default();
        fields
            .line(
                "played",
                format_args!(
                    "{} of {} in {:.0} s",
                    count(self.rounds, "round"),
                    count(self.nodes, "node"),
                    self.wall_s
                ),
            )
            .line(
                "broadcasts",
                format_args!(
                    "{} taken, {} refused, {} whose sender died first",
                    self.took, self.refused, self.unanswered
                ),
            )
            .line(
                "deliveries",
                format_args!(
                    "{}, and {} again after a restart",
                    self.deliveries, self.again_after_restart
                ),
            )
            .line("on purpose", faults.join(", "))
            .line("longest calm", format_args!("{:.1} s", self.longest_calm_s))
            .line("largest process", bytes(self.most_resident))
            .line("seed", self.seed);
        fields
    }
}
