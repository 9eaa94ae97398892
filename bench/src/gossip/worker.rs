//! A process with all nodes of one contender. It does what its standard input says.

use std::{io, sync::Arc, time::Duration};

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout},
    time::{Instant, sleep},
};

use super::{
    load::Load,
    network::Network,
    node::GossipNode,
    plan::{Outcome, Plan},
    tally::Tally,
};
use crate::seen::{cpu_ms, memory};

/// Carries out one plan, and tells what it came to.
///
/// # Errors
/// Standard input or output does not work.
pub(crate) async fn run<N: GossipNode>() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let plan = BufReader::new(stdin()).lines().next_line().await?;
    let plan = plan.ok_or(io::ErrorKind::UnexpectedEof)?;
    let outcome = go_through::<N>(&serde_json::from_str(&plan)?).await;
    let mut line = serde_json::to_vec(&outcome)?;
    line.push(b'\n');
    let mut out = stdout();
    out.write_all(&line).await?;
    out.flush().await
}

async fn go_through<N: GossipNode>(plan: &Plan) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let lasting = Duration::from_secs(plan.seconds);
    let tally = Tally::new(plan.nodes, plan.bytes, room(plan));
    let (before, began) = (memory()?, Instant::now());
    let network = Arc::new(Network::<N>::start(plan, tally).await?);
    network.come_up().await?;
    outcome.ready_s = began.elapsed().as_secs_f64();

    sleep(AFTER_START).await;
    let (cpu, began) = (cpu_ms(), Instant::now());
    sleep(IDLE).await;
    let nodes = plan.nodes as f64;
    outcome.idle_cpu = (cpu_ms() - cpu) / began.elapsed().as_secs_f64() / nodes;
    outcome.memory_kib = memory()?.saturating_sub(before) as f64 / 1024.0 / nodes;
    outcome.degree = network.degree().await;

    outcome.busy = Load::new(&network).busy(plan.outstanding, lasting).await?;
    sleep(Duration::from_secs(plan.pause)).await;
    outcome.apart = Load::new(&network).apart(APART, lasting).await?;
    Ok(outcome)
}

/// Messages for which there is room in the tally.
fn room(plan: &Plan) -> usize {
    let seconds = usize::try_from(plan.seconds).unwrap_or(usize::MAX);
    MOST_DELIVERIES.saturating_mul(seconds) / plan.nodes + OTHERS
}

/// How long is waited, after the network came up, before it counts as idle.
const AFTER_START: Duration = Duration::from_secs(5);
/// How long it is measured what idling takes.
const IDLE: Duration = Duration::from_secs(5);
/// From one message to the next, where they are apart: twenty a second.
const APART: Duration = Duration::from_millis(50);
/// More deliveries in a second than all processors of a machine can make (guess).
const MOST_DELIVERIES: usize = 500_000;
/// Room for messages at the start, and for those that are apart.
const OTHERS: usize = 4096;
