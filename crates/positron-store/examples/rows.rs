//! How fast rows of gossip's window reach the disk, through the writer that a node has: messages of
//! many senders, each sender's numbers ascending, and the oldest forgotten, floors first, so that
//! the window stays what it is.
//!
//! ```text
//! cargo run --release -p positron-store --example rows
//! cargo run --release -p positron-store --example rows -- --batch 10 --json
//! ```
//!
//! `--batch` messages are given at once, the last one awaited, and the next ones when the batch
//! before the last is durable: two are under way, as with a core that has more to say than the disk
//! takes. `--window` of more than there will be messages forgets none of them. `--folder` says on
//! which disk; a folder of the system for what is temporary else.

use std::{
    collections::{HashMap, VecDeque},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use bytes::Bytes;
use positron_proto::{
    gossip::change::{MESSAGES, forget_message, keep_floor, keep_message},
    id::{NetworkId, NodeId},
    identity::Identity,
    node::ChangeId,
    storage::{Change, Urgency, Value},
    time::WallTime,
    wire::message::{AppMessage, Audience},
};
use positron_store::{DATABASE, DataFolder, Report, Store};
use serde::Serialize;

/// What the command line says.
struct Asked {
    senders: usize,
    window: usize,
    bytes: usize,
    batch: usize,
    seconds: u64,
    folder: Option<PathBuf>,
    json: bool,
}

/// What came of it, while the window was full and stayed so.
#[derive(Serialize)]
struct Measured {
    senders: usize,
    window: usize,
    batch: usize,
    /// Rows of the window that were written.
    messages: u64,
    messages_per_s: f64,
    /// Everything that was told: rows written, floors, rows forgotten.
    changes: u64,
    changes_per_s: f64,
    /// Of the writer's thread. `None`: the system does not tell.
    cpu_us_per_message: Option<f64>,
    /// Handed to the system, for the log and the database. `None`: it does not tell.
    bytes_written_per_message: Option<f64>,
    /// How often the log began anew, its rows moved to the database.
    checkpoints: Option<u32>,
}

/// What a node's gossip would say, and what is not durable of it.
struct Window {
    senders: Vec<(NodeId, u64)>,
    kept: VecDeque<(NodeId, u64)>,
    longest: usize,
    value: Value,
    dice: u64,
    last_change: u64,
}

/// What was used so far.
struct Meter {
    at: Instant,
    cpu_ns: Option<u64>,
    written: Option<u64>,
    checkpoints: Option<u32>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args().any(|word| word == "--help") {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let asked = match Asked::read() {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}");
            return Ok(ExitCode::from(2));
        }
    };
    let folder = match &asked.folder {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }?;
    let (told, reports) = channel();
    let on_report = move |report| drop(told.send(report));
    let network = NetworkId::from_name("rows");
    let lock = DataFolder::lock(folder.path())?;
    let (store, _) = Store::open(lock, network, "rows", on_report)?;
    let measured = measure(&asked, &store, &reports, folder.path())?;
    store.close()?;
    if asked.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
    } else {
        println!("{}", measured.text());
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    asked: &Asked,
    store: &Store,
    reports: &Receiver<Report>,
    folder: &Path,
) -> Result<Measured, Box<dyn Error>> {
    let mut window = Window::new(asked);
    let (mut under_way, mut messages) = (VecDeque::new(), 0);
    let (mut began, mut durable) = (None, ChangeId(0));
    let (mut before, mut told_before) = (Meter::read(folder), 0);
    loop {
        // The writer has a name once it has written something.
        let is_filled = messages >= asked.window.min(LARGEST_FILLED) && durable > ChangeId(0);
        let full = began.is_none() && is_filled;
        if full {
            (before, told_before, messages) = (Meter::read(folder), window.last_change, 0);
            began = Some(Instant::now());
        }
        if began.is_some_and(|began| began.elapsed() >= Duration::from_secs(asked.seconds)) {
            break;
        }
        under_way.push_back(window.give(asked.batch, store)?);
        messages += asked.batch;
        while under_way.len() > 1
            && let Some(oldest) = under_way.pop_front()
        {
            durable = wait(reports, durable, oldest)?;
        }
    }
    for batch in under_way {
        durable = wait(reports, durable, batch)?;
    }
    let after = Meter::read(folder);
    Ok(Measured::new(asked, messages as u64, window.last_change - told_before, &before, &after))
}

/// Waits until `wanted` is durable, of what `durable` is the last that was; what is then.
fn wait(
    reports: &Receiver<Report>,
    mut durable: ChangeId,
    wanted: ChangeId,
) -> Result<ChangeId, Box<dyn Error>> {
    while durable < wanted {
        match reports.recv()? {
            Report::Durable { up_to } => durable = up_to,
            Report::Retrying { why, .. } | Report::Failed { why, .. } => return Err(why.into()),
        }
    }
    Ok(durable)
}

impl Asked {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut said = HashMap::new();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = if word == "--json" { String::new() } else { words.next().ok_or(USAGE)? };
            said.insert(word, value);
        }
        let mut number = |name: &str, default: usize| {
            let wrong = |said: &str| format!("{name} is a number from 1 on, not {said:?}");
            said.remove(name).map_or(Ok(default), |said| match said.parse::<usize>() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(wrong(&said)),
            })
        };
        let asked = Self {
            senders: number("--senders", 64)?,
            window: number("--window", 10_000)?,
            bytes: number("--bytes", 256)?,
            batch: number("--batch", 1_000)?,
            seconds: number("--seconds", 10)? as u64,
            folder: said.remove("--folder").map(PathBuf::from),
            json: said.remove("--json").is_some(),
        };
        if said.is_empty() { Ok(asked) } else { Err(USAGE.into()) }
    }
}

impl Window {
    fn new(asked: &Asked) -> Self {
        // What it says does not matter here, only how long it is: signing a message takes longer
        // than to store it.
        let identity = Identity::from_seed([1; 32]);
        let message = AppMessage {
            sender: *identity.public_key(),
            audience: Audience::Everyone,
            sequence: 0,
            timestamp: WallTime::from_unix_micros(1),
            payload: vec![0x5A; asked.bytes].into(),
        };
        let signed = identity.sign(message, &NetworkId::from_name("rows"));
        let mut dice = 1;
        let senders = (0..asked.senders).map(|_| {
            let mut id = [0; 32];
            id.chunks_mut(8).for_each(|part| part.copy_from_slice(&next(&mut dice).to_be_bytes()));
            (NodeId::from_bytes(id), 0)
        });
        Self {
            senders: senders.collect(),
            kept: VecDeque::new(),
            longest: asked.window,
            value: keep_message(&signed).value.unwrap_or_default(),
            dice,
            last_change: 0,
        }
    }

    /// Gives messages to the store; the last change of it all.
    fn give(&mut self, messages: usize, store: &Store) -> Result<ChangeId, Box<dyn Error>> {
        for n in 1..=messages {
            let which = usize::try_from(next(&mut self.dice) % self.senders.len() as u64)?;
            let (sender, number) = &mut self.senders[which];
            *number += 1;
            let key = [&sender.as_bytes()[..], &number.to_be_bytes()].concat();
            self.kept.push_back((*sender, *number));
            // Each has a first part of its own, as those that are signed one by one.
            let head = Bytes::copy_from_slice(&self.value.head);
            let value = Value { head, tail: self.value.tail.clone() };
            let kept = Change::keep(&MESSAGES, key, value);
            if self.kept.len() > self.longest
                && let Some((sender, number)) = self.kept.pop_front()
            {
                self.tell(store, keep_floor(&sender, number + 1))?;
                self.tell(store, forget_message(&sender, number))?;
            }
            let urgency = if n == messages { Urgency::Awaited } else { Urgency::Behind };
            self.tell(store, kept.at_least(urgency))?;
        }
        Ok(ChangeId(self.last_change))
    }

    fn tell(&mut self, store: &Store, change: Change) -> Result<(), Box<dyn Error>> {
        self.last_change += 1;
        Ok(store.persist(ChangeId(self.last_change), change)?)
    }
}

impl Measured {
    fn new(asked: &Asked, messages: u64, changes: u64, before: &Meter, after: &Meter) -> Self {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let each = |before: Option<u64>, after: Option<u64>| {
            before.zip(after).map(|(before, after)| (after - before) as f64 / messages as f64)
        };
        Self {
            senders: asked.senders,
            window: asked.window,
            batch: asked.batch,
            messages,
            messages_per_s: messages as f64 / seconds,
            changes,
            changes_per_s: changes as f64 / seconds,
            cpu_us_per_message: each(before.cpu_ns, after.cpu_ns).map(|ns| ns / 1e3),
            bytes_written_per_message: each(before.written, after.written),
            checkpoints: before
                .checkpoints
                .zip(after.checkpoints)
                .map(|(before, after)| after.wrapping_sub(before)),
        }
    }

    fn text(&self) -> String {
        let shown = |number: Option<f64>| number.map_or("–".into(), |it| format!("{it:.2}"));
        format!(
            "{} messages in batches of {}, {:.0}/s ({:.0} changes/s), over {} checkpoints\n\
             a message: {} µs of the writer's thread, {} bytes written",
            self.messages,
            self.batch,
            self.messages_per_s,
            self.changes_per_s,
            self.checkpoints.map_or("–".into(), |count| count.to_string()),
            shown(self.cpu_us_per_message),
            shown(self.bytes_written_per_message),
        )
    }
}

impl Meter {
    fn read(folder: &Path) -> Self {
        Self {
            at: Instant::now(),
            cpu_ns: writer_ns(),
            written: written(),
            checkpoints: checkpoints(folder),
        }
    }
}

/// What the writer's thread has used of the processor, where the system tells it (Linux).
fn writer_ns() -> Option<u64> {
    let mut tasks = fs::read_dir("/proc/self/task").ok()?.flatten().map(|task| task.path());
    let task = tasks.find(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "positron-store")
    })?;
    fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
}

/// Bytes that this process has handed over to be written (Linux).
fn written() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()
}

/// How often the log began anew: <https://sqlite.org/fileformat2.html>, section 4.1.
fn checkpoints(folder: &Path) -> Option<u32> {
    let log = fs::File::open(folder.join(format!("{DATABASE}-wal"))).ok()?;
    let mut header = [0; 16];
    std::io::Read::read_exact(&mut &log, &mut header).ok()?;
    header.last_chunk().map(|count| u32::from_be_bytes(*count))
}

/// The next number of a xorshift generator (Marsaglia 2003).
fn next(dice: &mut u64) -> u64 {
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    *dice
}

/// Of a larger window so much is filled before it is measured.
const LARGEST_FILLED: usize = 100_000;

const USAGE: &str = "rows [--senders 64] [--window 10000] [--bytes 256] [--batch 1000] \
                     [--seconds 10] [--folder DIR] [--json]";
