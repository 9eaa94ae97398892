//! One round: a network of one contender from its start to its end.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::time::sleep;

use super::{
    crew::Crew,
    options::{Size, Stack},
    order::{Job, Task, Want},
};
use crate::numbers::quantile;

/// What a round came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Round {
    /// From the start of the first node until values stored by it were read on all.
    pub(crate) ready_s: f64,
    /// Thousandths of a processor that a node takes while nothing is wanted of it.
    pub(crate) idle_cpu: f64,
    /// Resident memory at the end, for each node.
    pub(crate) memory_kib: f64,
    pub(crate) steps: BTreeMap<Step, Figures>,
}

/// What is measured in a round, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Many nodes store one value each, the first thing that is wanted of them.
    FirstPut,
    /// Many nodes read one value each, likewise.
    FirstGet,
    /// Four nodes, which have stored and read before, store values.
    Put,
    /// They read each other's values; any copy will do.
    GetAny,
    /// They read each other's values; the newest is wanted.
    GetNewest,
    /// They take values back.
    Delete,
}

/// How one operation went.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) operations: usize,
    /// Seconds from the first one until all that they caused was done.
    pub(crate) lasted_s: f64,
    pub(crate) failed: usize,
    /// Why, of the first one.
    pub(crate) failure: Option<String>,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Requests for each.
    pub(crate) requests: f64,
    /// Milliseconds of the processor for each, of all nodes together, what they take when nothing
    /// is wanted of them taken off.
    pub(crate) cpu_ms: f64,
}

/// A network while it is measured.
struct Measuring {
    crew: Crew,
    size: Size,
    at_once: usize,
    /// Milliseconds of the processor in a second in which nothing is wanted.
    idle: f64,
    round: Round,
}

/// Starts a network, measures it and ends it.
///
/// # Errors
/// It does not come up. Operations that fail are counted.
pub(crate) async fn measure(
    stack: Stack,
    size: Size,
    (keys, at_once): (usize, usize),
) -> Result<Round, String> {
    let crew = Crew::new(stack, size)?;
    let mut measuring = Measuring { crew, size, at_once, idle: 0.0, round: Round::default() };
    let mut result = measuring.go_through(stack, keys).await;
    if result.is_ok() {
        result = measuring.take_off_idle().await;
    }
    measuring.crew.end().await;
    result.map(|()| measuring.round)
}

impl Step {
    /// How long is waited for what is done after the last operation has ended.
    const fn afterwards(self) -> Duration {
        match self {
            Self::FirstPut | Self::Put | Self::Delete => AFTER_WRITES,
            Self::FirstGet | Self::GetAny | Self::GetNewest => AFTER_READS,
        }
    }
}

impl Measuring {
    async fn go_through(&mut self, stack: Stack, keys: usize) -> Result<(), String> {
        self.come_up().await?;
        self.rest().await?;
        if self.size.frozen() > 0 {
            self.crew.freeze()?;
            let keys = keys.min(KEYS_WHILE_FROZEN);
            let stored = self.puts("measured", keys);
            self.step(Step::Put, stored.clone()).await?;
            self.step(Step::GetAny, reads(&stored, Want::First, 1)).await?;
            return self.step(Step::GetNewest, reads(&stored, Want::Newest, 1)).await;
        }
        let fresh = self.first_puts(keys);
        self.step(Step::FirstPut, fresh.clone()).await?;
        self.step(Step::FirstGet, self.first_gets(&fresh)).await?;

        let mut stored = self.puts("before", 2 * keys);
        self.crew.work(&stored, self.at_once).await?;
        sleep(AFTER_WRITES).await;
        self.crew.work(&reads(&fresh, Want::Newest, CLIENTS), self.at_once).await?;
        let measured = self.puts("measured", keys);
        self.step(Step::Put, measured.clone()).await?;
        stored.extend(measured.clone());
        self.step(Step::GetAny, reads(&stored, Want::First, CLIENTS - 1)).await?;
        self.step(Step::GetNewest, reads(&stored, Want::Newest, CLIENTS - 1)).await?;
        if stack == Stack::Positron {
            let newest = measured.into_iter().filter(|job| is(job, Want::Newest));
            let deletes = newest.map(|job| Job { task: Task::Delete, ..job });
            self.step(Step::Delete, deletes.collect()).await?;
        }
        let used = self.crew.used().await?;
        self.round.memory_kib = used.memory as f64 / 1024.0 / self.size.nodes as f64;
        Ok(())
    }

    /// Starts all nodes, and waits until what the first one stores is read on all.
    async fn come_up(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let names = (0..NAMES_AT_START).map(|n| format!("start/{n}")).collect::<Vec<_>>();
        self.crew.come_up(&names).await?;
        self.round.ready_s = began.elapsed().as_secs_f64();
        Ok(())
    }

    /// Lets what began at the start come to its end, and measures what is taken all the time.
    async fn rest(&mut self) -> Result<(), String> {
        let began = Instant::now();
        self.idle = self.usage().await?;
        let mut in_a_row = 0;
        while in_a_row < AT_REST && began.elapsed() < LONGEST_SETTLING {
            let usage = self.usage().await?;
            in_a_row = if usage < self.idle * STILL_FALLING { 0 } else { in_a_row + 1 };
            self.idle = self.idle.min(usage);
        }
        Ok(())
    }

    /// Takes off all figures what is taken when nothing is wanted; at the end, if that is less.
    async fn take_off_idle(&mut self) -> Result<(), String> {
        self.idle = self.usage().await?.min(self.idle);
        self.round.idle_cpu = self.idle / (self.size.nodes - self.size.frozen()) as f64;
        for figures in self.round.steps.values_mut() {
            figures.cpu_ms -= self.idle * figures.lasted_s / figures.operations as f64;
        }
        Ok(())
    }

    /// Milliseconds of the processor in a second, as things are.
    async fn usage(&mut self) -> Result<f64, String> {
        let (before, began) = (self.crew.used().await?, Instant::now());
        sleep(RESTING).await;
        let used = self.crew.used().await?.cpu_ms - before.cpu_ms;
        Ok(used / began.elapsed().as_secs_f64())
    }

    async fn step(&mut self, step: Step, jobs: Vec<Job>) -> Result<(), String> {
        let asked = self.crew.requests(&jobs).await?;
        let (before, began) = (self.crew.used().await?, Instant::now());
        let worked = self.crew.work(&jobs, self.at_once).await?;
        sleep(step.afterwards()).await;
        let used = self.crew.used().await?.cpu_ms - before.cpu_ms;
        let lasted_s = began.elapsed().as_secs_f64();
        let asked = self.crew.requests(&jobs).await? - asked;
        let mut took = worked.took_ms;
        took.sort_by(f64::total_cmp);
        let figures = Figures {
            operations: jobs.len(),
            lasted_s,
            failed: worked.failures.len(),
            failure: worked.failures.into_iter().next(),
            p50_ms: quantile(&took, 50),
            p99_ms: quantile(&took, 99),
            requests: asked as f64 / jobs.len() as f64,
            cpu_ms: used / jobs.len() as f64,
        };
        self.round.steps.insert(step, figures);
        Ok(())
    }

    /// What the clients store: half of it to be read as the newest, half as any copy.
    fn puts(&self, when: &str, keys: usize) -> Vec<Job> {
        let job = |n: usize| Job { node: client(n), ..put(when, n) };
        (0..keys).map(job).collect()
    }

    /// What nodes store that are no clients, each the first thing that is wanted of it.
    fn first_puts(&self, keys: usize) -> Vec<Job> {
        (0..keys.min(self.others() / 2))
            .map(|n| Job { node: other(n), ..put("first", n) })
            .collect()
    }

    /// What yet others read of that.
    fn first_gets(&self, stored: &[Job]) -> Vec<Job> {
        let any: Vec<&Job> = stored.iter().filter(|job| is(job, Want::First)).collect();
        let job = |n: usize| Job {
            node: other(stored.len() + n),
            task: Task::Get(Want::First),
            name: any[n % any.len()].name.clone(),
        };
        (0..stored.len()).map(job).collect()
    }

    /// Nodes that are neither the first one nor clients.
    const fn others(&self) -> usize {
        self.size.nodes - self.size.frozen() - other(0)
    }
}

/// What clients other than the one that stored it read, each so many of them.
fn reads(stored: &[Job], want: Want, readers: usize) -> Vec<Job> {
    let wanted = stored.iter().filter(|job| is(job, want));
    let by_all = wanted.flat_map(|job| {
        let others = (1..=readers).map(move |n| client(job.node - client(0) + n));
        others.map(|node| Job { node, task: Task::Get(want), name: job.name.clone() })
    });
    by_all.collect()
}

fn put(when: &str, n: usize) -> Job {
    // Clients take turns, and each stores both.
    let want = if (n / CLIENTS).is_multiple_of(2) { Want::Newest } else { Want::First };
    Job { node: 0, task: Task::Put(want), name: format!("{when}/{n}") }
}

fn is(job: &Job, want: Want) -> bool {
    matches!(job.task, Task::Put(as_) if as_ == want)
}

/// The node that the `n`th operation of the clients is for.
const fn client(n: usize) -> usize {
    1 + n % CLIENTS
}

/// The `n`th of the nodes that are neither the first one nor clients.
const fn other(n: usize) -> usize {
    1 + CLIENTS + n
}

/// Nodes that store and read again and again.
const CLIENTS: usize = 4;
/// Values that are read everywhere before a network counts as up.
const NAMES_AT_START: usize = 4;
/// Values while nodes are frozen, where an operation of libp2p takes 10 s and more.
const KEYS_WHILE_FROZEN: usize = 32;
/// How long it is measured, each time, what is taken while nothing is wanted.
const RESTING: Duration = Duration::from_secs(3);
/// What is taken after a start still falls if it is less than this part of what it was before.
const STILL_FALLING: f64 = 0.8;
/// How often in a row it must not have fallen.
const AT_REST: u32 = 3;
/// How long it may fall.
const LONGEST_SETTLING: Duration = Duration::from_secs(60);
/// How long is waited for what is done after a read has ended.
const AFTER_READS: Duration = Duration::from_millis(300);
/// The same of a write: a record that too few keep, as far as its publisher can tell, is offered
/// again after 1 s, and then after 2 s.
const AFTER_WRITES: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_what_it_stored_itself_and_each_client_stores_both_kinds() {
        let stored: Vec<Job> = (0..16).map(|n| Job { node: client(n), ..put("x", n) }).collect();
        for want in [Want::Newest, Want::First] {
            let mine: Vec<_> = stored.iter().filter(|job| is(job, want)).collect();
            assert_eq!(mine.len(), 8);
            let read = reads(&stored, want, CLIENTS - 1);
            assert_eq!(read.len(), 24);
            for get in read {
                assert!(mine.iter().any(|put| put.name == get.name && put.node != get.node));
            }
        }
    }
}
