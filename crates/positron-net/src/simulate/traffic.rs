//! Broadcasts from random nodes at a steady rate, and the books about them.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use positron_networking::{Inbox, MessageKind, Node};
use positron_proto::rng::{Rng, Seed};
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant as Moment, sleep_until},
};

use super::{
    ledger::{Ledger, lock},
    record::LiveRecord,
};
use crate::signals::Signals;

/// Bytes in each broadcast.
pub(crate) const PAYLOAD: usize = 256;
/// Broadcasts whose durability is waited for, in all: when the disks are slower, the rate gives.
const MAX_UNDER_WAY: usize = 1024;
/// At the end of the given time nothing new is sent, so that the last messages arrive within it.
const DRAIN: Duration = Duration::from_millis(1000);
/// How long the last messages may take beyond the given time.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last messages may take once Ctrl-C was pressed.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether everything arrived.
const LOOK: Duration = Duration::from_millis(5);

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Broadcasts a second, in all.
    pub rate: f64,
    /// How long, the last deliveries included; `None`: until all `messages` arrived.
    pub duration: Option<Duration>,
    /// How many broadcasts at most.
    pub messages: Option<u64>,
    /// Decides who sends, and what.
    pub seed: u64,
}

/// What each broadcast carries: its number, and text up to [`PAYLOAD`] bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    /// Ten digits, so that every payload has the same size.
    n: String,
    x: String,
}

impl Payload {
    /// A map of two, and the heads of two keys and two texts: 18 bytes of MessagePack.
    const AROUND: usize = 18;

    fn new(number: usize, text: String) -> Self {
        Self { n: format!("{number:010}"), x: text }
    }
}

fn letters(dice: &mut Rng) -> String {
    let mut bytes = [0; PAYLOAD - Payload::AROUND];
    dice.fill(&mut bytes);
    bytes.map(|byte| char::from(b'a' + byte % 26)).iter().collect()
}

/// Traffic that is under way.
#[derive(Debug)]
pub(crate) struct Traffic {
    nodes: Vec<Node>,
    books: Arc<Mutex<Ledger>>,
    readers: JoinSet<()>,
    /// Broadcasts that are not durable yet.
    sends: JoinSet<()>,
    refusal: Arc<Mutex<Option<String>>>,
}

impl Traffic {
    /// Every node listens; nothing is sent yet.
    pub(crate) fn new(nodes: &[Node], record: Option<&LiveRecord>) -> Self {
        let books = Arc::new(Mutex::new(Ledger::new(nodes.len())));
        let mut readers = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let (inbox, books) = (node.subscribe(), Arc::clone(&books));
            readers.spawn(keep_books(index, inbox, books, record.cloned()));
        }
        let refusal = Arc::new(Mutex::new(None));
        Self { nodes: nodes.to_vec(), books, readers, sends: JoinSet::new(), refusal }
    }

    /// The books.
    pub(crate) fn books(&self) -> &Arc<Mutex<Ledger>> {
        &self.books
    }

    /// Why the first broadcast that failed did.
    pub(crate) fn refusal(&self) -> Option<String> {
        lock(&self.refusal).clone()
    }

    /// Sends by `plan`, and waits until everything arrived or patience is over. A signal ends the
    /// sending early.
    pub(crate) async fn run(&mut self, plan: &Plan, signals: &mut Signals) {
        let start = Moment::now();
        let end = plan.duration.map(|duration| start + duration);
        let last_send = plan.duration.map(|duration| start + duration - DRAIN.min(duration / 4));
        let mut dice = Seed::from_number(plan.seed).stream("simulate/traffic");
        for number in 0_u32.. {
            let due = start + Duration::from_secs_f64(f64::from(number) / plan.rate);
            let enough = plan.messages.is_some_and(|messages| u64::from(number) >= messages);
            if enough || last_send.is_some_and(|last| due > last || Moment::now() > last) {
                break;
            }
            tokio::select! {
                () = self.turn(due) => {}
                _ = signals.asked() => break,
            }
            self.send(&mut dice);
        }
        self.settle(end, signals).await;
    }

    /// Waits for the moment `due`, and for a slot.
    async fn turn(&mut self, due: Moment) {
        sleep_until(due).await;
        while self.sends.try_join_next().is_some() {}
        if self.sends.len() >= MAX_UNDER_WAY {
            self.sends.join_next().await;
        }
    }

    /// Sends one broadcast, in a task of its own.
    fn send(&mut self, dice: &mut Rng) {
        let by = dice.index(self.nodes.len());
        let text = letters(dice);
        let (node, books) = (self.nodes[by].clone(), Arc::clone(&self.books));
        let refusal = Arc::clone(&self.refusal);
        self.sends.spawn(async move {
            let number = lock(&books).send(by, Instant::now());
            if let Err(error) = node.broadcast(&Payload::new(number, text)).await {
                lock(&books).withdraw(number);
                lock(&refusal).get_or_insert_with(|| error.to_string());
            }
        });
    }

    /// Waits for `end`, so that a second delivery is noticed too, and beyond it for what is
    /// missing.
    async fn settle(&mut self, end: Option<Moment>, signals: &Signals) {
        let now = Moment::now();
        let end = end.unwrap_or(now + DRAIN / 2);
        loop {
            let stopped = signals.seen().is_some();
            let limit = if stopped { now + SHORT_PATIENCE } else { end + PATIENCE };
            while self.sends.try_join_next().is_some() {}
            let settled = self.sends.is_empty() && lock(&self.books).is_settled();
            let done = settled && (stopped || Moment::now() >= end);
            if done || Moment::now() >= limit {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Lets go of the nodes.
    pub(crate) async fn close(mut self) {
        self.readers.shutdown().await;
        self.sends.shutdown().await;
    }
}

async fn keep_books(
    node: usize,
    mut inbox: Inbox,
    books: Arc<Mutex<Ledger>>,
    record: Option<LiveRecord>,
) {
    while let Some(message) = inbox.recv().await {
        let at = Instant::now();
        let number = message.decode::<Payload>().ok().and_then(|payload| payload.n.parse().ok());
        if let (Some(number), MessageKind::Broadcast) = (number, message.kind) {
            lock(&books).deliver(node, number, at);
            if let Some(record) = &record {
                let said = lock(&books).sent_at(number).filter(|_| message.from == message.sender);
                record.heard(message.id, node, &message.from, said, at);
            }
        }
    }
}
