//! A process with nodes of one contender. It does what its standard input says, and ends with it.

use std::{
    io,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout},
    time::{sleep, timeout},
};

use super::{
    contender::{Contender, value_of},
    order::{Answer, Job, Order, Task, Want, Worked},
};
use crate::{
    dice::some_of,
    seen::{cpu_ms, memory},
};

/// Carries out orders until there are no more.
///
/// # Errors
/// Standard input or output does not work.
pub(crate) async fn run<C: Contender>() -> io::Result<()> {
    // A frozen process would not notice that its input has ended.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut nodes = Vec::<C>::new();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = carry_out(&mut nodes, serde_json::from_str(&line)?).await;
        let mut line = serde_json::to_vec(&answer.unwrap_or_else(Answer::Failed))?;
        line.push(b'\n');
        let mut out = stdout();
        out.write_all(&line).await?;
        out.flush().await?;
    }
    Ok(())
}

async fn carry_out<C: Contender>(nodes: &mut Vec<C>, order: Order) -> Result<Answer, String> {
    match order {
        Order::Start { nodes: count, mut known } => {
            let first = known.len();
            for number in first..first + count {
                let node = C::start(&some_of(&known, JOINED_BY, number)).await?;
                known.push(node.address());
                nodes.push(node);
            }
            Ok(Answer::Started(known.split_off(first)))
        }
        Order::Await { names } => {
            let waits =
                nodes.iter().map(|node| tokio::spawn(find_all(node.clone(), names.clone())));
            for wait in waits.collect::<Vec<_>>() {
                wait.await.map_err(|error| error.to_string())??;
            }
            Ok(Answer::Found)
        }
        Order::Work { jobs, at_once } => work(nodes, jobs, at_once).await.map(Answer::Worked),
        Order::Count { nodes: of } => {
            let mut sum = 0;
            for node in of {
                sum += nodes[node].requests().await;
            }
            Ok(Answer::Counted(sum))
        }
        Order::Look => Ok(Answer::Seen { cpu_ms: cpu_ms(), memory: memory()? }),
    }
}

async fn find_all<C: Contender>(node: C, names: Vec<String>) -> Result<(), String> {
    let began = Instant::now();
    for name in names {
        let value = value_of(&name);
        loop {
            let found = timeout(LONGEST, node.get(Want::Newest, &name)).await;
            match found {
                Ok(Ok(Some(found))) if found == value => break,
                found if began.elapsed() > LONGEST => {
                    let at = node.address();
                    return Err(format!("{at} does not find {name} in {LONGEST:?}: {found:?}"));
                }
                _ => sleep(AGAIN).await,
            }
        }
    }
    Ok(())
}

async fn work<C: Contender>(nodes: &[C], jobs: Vec<Job>, at_once: usize) -> Result<Worked, String> {
    let tasks = jobs.into_iter().map(|job| {
        let node = nodes[job.node].clone();
        async move { tokio::spawn(operation(node, job)).await }
    });
    let mut under_way = stream::iter(tasks).buffer_unordered(at_once);
    let mut worked = Worked::default();
    while let Some(done) = under_way.next().await {
        let (took, result) = done.map_err(|error| error.to_string())?;
        worked.took_ms.push(took.as_secs_f64() * 1e3);
        worked.failures.extend(result.err());
    }
    Ok(worked)
}

async fn operation<C: Contender>(
    node: C,
    Job { task, name, .. }: Job,
) -> (Duration, Result<(), String>) {
    let began = Instant::now();
    let value = value_of(&name);
    let doing = async {
        match task {
            Task::Put(want) => node.put(want, &name, &value).await,
            Task::Get(want) => match node.get(want, &name).await? {
                Some(found) if found == value => Ok(()),
                Some(_) => Err("another value was found".into()),
                None => Err("nothing was found".into()),
            },
            Task::Delete => node.delete(&name).await,
        }
    };
    let result = timeout(LONGEST, doing).await.unwrap_or_else(|_| Err("no end".into()));
    (began.elapsed(), result)
}

/// Nodes by which another one joins.
const JOINED_BY: usize = 3;
/// When a value that was not found is looked for again.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest that an operation is waited for: libp2p gives up after 60 s.
const LONGEST: Duration = Duration::from_secs(90);
