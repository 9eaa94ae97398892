//! The processes in which a contender's nodes are.

use std::{
    env, io,
    process::Stdio,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use super::{
    options::{Size, Stack},
    order::{Answer, Job, Order, Task, Want, Worked},
};
use crate::conversation::Conversation;

/// All workers of one network. They end with it.
pub(crate) struct Crew {
    awake: Vec<Worker>,
    /// The one that is to be frozen.
    frozen: Option<Worker>,
}

/// One process.
struct Worker {
    child: Child,
    talk: Conversation,
    nodes: usize,
}

/// What the workers have used, all together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu_ms: f64,
    pub(crate) memory: u64,
}

impl Crew {
    /// Starts the processes, without nodes.
    ///
    /// # Errors
    /// The system does not start them.
    pub(crate) fn new(stack: Stack, size: Size) -> Result<Self, String> {
        let awake = size.nodes - size.frozen();
        let processes = awake.div_ceil(NODES_OF_A_PROCESS);
        let share = |at: usize| awake * (at + 1) / processes - awake * at / processes;
        let start = |nodes| Worker::new(stack, nodes).map_err(|error| error.to_string());
        Ok(Self {
            awake: (0..processes).map(|at| start(share(at))).collect::<Result<_, _>>()?,
            frozen: (size.frozen() > 0).then(|| start(size.frozen())).transpose()?,
        })
    }

    /// Starts the nodes, a process after the other, the next one when all nodes of the one before
    /// read what the first of all was told to store. Each joins by a few that are there before it.
    ///
    /// # Errors
    /// A node does not start, or does not find what is there.
    pub(crate) async fn come_up(&mut self, names: &[String]) -> Result<(), String> {
        let mut known = Vec::new();
        for worker in self.awake.iter_mut().chain(&mut self.frozen) {
            let is_first = known.is_empty();
            let order = Order::Start { nodes: worker.nodes, known: known.clone() };
            match worker.carry_out(order).await? {
                Answer::Started(addresses) => known.extend(addresses),
                other => return Err(unexpected(other)),
            }
            if is_first {
                worker.store(names).await?;
            }
            worker.carry_out(Order::Await { names: names.to_vec() }).await?;
        }
        Ok(())
    }

    /// Stops the nodes that are to be frozen, without a word to anybody.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn freeze(&self) -> Result<(), String> {
        self.frozen.iter().try_for_each(Worker::stop)
    }

    /// Carries out operations, about so many at once.
    ///
    /// # Errors
    /// A worker is gone. Operations that fail are told of in what comes back.
    pub(crate) async fn work(&mut self, jobs: &[Job], at_once: usize) -> Result<Worked, String> {
        let parts = self.parts(jobs);
        let busy = parts.iter().filter(|part| !part.is_empty()).count().max(1);
        let at_once = at_once.div_ceil(busy);
        let orders = self.awake.iter_mut().zip(parts).filter(|(_, jobs)| !jobs.is_empty());
        let orders = orders.map(|(worker, jobs)| worker.carry_out(Order::Work { jobs, at_once }));
        let mut all = Worked::default();
        for answer in try_join_all(orders).await? {
            let Answer::Worked(worked) = answer else { return Err(unexpected(answer)) };
            all.took_ms.extend(worked.took_ms);
            all.failures.extend(worked.failures);
        }
        Ok(all)
    }

    /// Requests that the nodes of these operations have sent so far.
    ///
    /// # Errors
    /// A worker is gone.
    pub(crate) async fn requests(&mut self, jobs: &[Job]) -> Result<u64, String> {
        let parts = self.parts(jobs);
        let mut sum = 0;
        for (worker, jobs) in self.awake.iter_mut().zip(parts) {
            let mut nodes: Vec<usize> = jobs.iter().map(|job| job.node).collect();
            nodes.sort_unstable();
            nodes.dedup();
            match worker.carry_out(Order::Count { nodes }).await? {
                Answer::Counted(count) => sum += count,
                other => return Err(unexpected(other)),
            }
        }
        Ok(sum)
    }

    /// What the workers that are awake have used. The others use nothing.
    ///
    /// # Errors
    /// A worker is gone.
    pub(crate) async fn used(&mut self) -> Result<Used, String> {
        let looks = self.awake.iter_mut().map(|worker| worker.carry_out(Order::Look));
        let mut sum = Used::default();
        for answer in try_join_all(looks).await? {
            let Answer::Seen { cpu_ms, memory } = answer else { return Err(unexpected(answer)) };
            sum.cpu_ms += cpu_ms;
            sum.memory += memory;
        }
        Ok(sum)
    }

    /// Ends the processes, and waits until they are gone.
    pub(crate) async fn end(mut self) {
        for worker in self.awake.iter_mut().chain(&mut self.frozen) {
            // One that is gone is what is wanted.
            let _ = worker.child.kill().await;
        }
    }

    /// What each worker has of these operations, by the numbers of its own nodes.
    fn parts(&self, jobs: &[Job]) -> Vec<Vec<Job>> {
        let mut parts = vec![Vec::new(); self.awake.len()];
        for job in jobs {
            let (mut node, mut at) = (job.node, 0);
            while node >= self.awake[at].nodes {
                node -= self.awake[at].nodes;
                at += 1;
            }
            parts[at].push(Job { node, ..job.clone() });
        }
        parts
    }
}

impl Worker {
    fn new(stack: Stack, nodes: usize) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["worker", "dht", stack.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let talk = Conversation::new(&mut child);
        Ok(Self { child, talk, nodes })
    }

    /// Lets the first node store values; again, while nobody takes them.
    async fn store(&mut self, names: &[String]) -> Result<(), String> {
        let began = Instant::now();
        for name in names {
            let job = Job { node: 0, task: Task::Put(Want::Newest), name: name.clone() };
            loop {
                let order = Order::Work { jobs: vec![job.clone()], at_once: 1 };
                let answer = self.carry_out(order).await?;
                let Answer::Worked(worked) = answer else { return Err(unexpected(answer)) };
                match worked.failures.into_iter().next() {
                    None => break,
                    Some(why) if began.elapsed() > LONGEST_START => return Err(why),
                    Some(_) => sleep(AGAIN).await,
                }
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, order: Order) -> Result<Answer, String> {
        match self.talk.ask(&order, LONGEST_ORDER).await? {
            Answer::Failed(why) => Err(why),
            answer => Ok(answer),
        }
    }

    fn stop(&self) -> Result<(), String> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or("the process that is to be frozen is gone")?;
        kill_process(pid, Signal::STOP).map_err(|error| error.to_string())
    }
}

fn unexpected(answer: Answer) -> String {
    format!("a worker answers something else: {answer:?}")
}

/// Nodes in one process: their connections are within its files, of which there are 20,000.
const NODES_OF_A_PROCESS: usize = 64;
/// The longest that anything is waited for.
const LONGEST_ORDER: Duration = Duration::from_secs(300);
/// How long the first node may take to store something.
const LONGEST_START: Duration = Duration::from_secs(120);
/// When what did not work at the start is done again.
const AGAIN: Duration = Duration::from_millis(100);
