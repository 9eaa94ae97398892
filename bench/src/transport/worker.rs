//! A process with both ends of one contender. It does what its standard input says.

use std::{io, time::Duration};

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout},
    runtime, task,
    time::timeout,
};

use super::{
    connection_kind::ConnectionKind,
    flow, handshakes, idle,
    iroh::Iroh,
    measurement::{Measurement, Readings, Work},
    pair::Pair,
    ping_pong,
    plain::Plain,
    positron::{Tcp, Udp},
    quinn::Quinn,
    tls::Tls,
};

/// Carries out one plan, and tells what it came to.
///
/// # Errors
/// Standard input or output does not work.
pub(crate) async fn run() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let plan = BufReader::new(stdin()).lines().next_line().await?;
    let plan: Measurement = serde_json::from_str(&plan.ok_or(io::ErrorKind::UnexpectedEof)?)?;
    let outcome = task::spawn_blocking(move || on_two_workers(plan)).await?;
    let mut line = serde_json::to_vec(&outcome)?;
    line.push(b'\n');
    let mut out = stdout();
    out.write_all(&line).await?;
    out.flush().await
}

/// Whatever the machine has: so are the figures of another machine like those of this one.
fn on_two_workers(plan: Measurement) -> Result<Readings, String> {
    let two = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let two = two.map_err(|error| error.to_string())?;
    let outcome = two.block_on(two.spawn(async move { go_through(&plan).await }));
    two.shutdown_background();
    outcome.map_err(|error| error.to_string())?
}

async fn go_through(plan: &Measurement) -> Result<Readings, String> {
    match plan.contender {
        ConnectionKind::Stream(_) => measure::<Udp<true>>(plan).await,
        ConnectionKind::Messages(_) => measure::<Udp<false>>(plan).await,
        ConnectionKind::PositronTcp => measure::<Tcp>(plan).await,
        ConnectionKind::Quinn => measure::<Quinn>(plan).await,
        ConnectionKind::Iroh => measure::<Iroh>(plan).await,
        ConnectionKind::Tls => measure::<Tls>(plan).await,
        ConnectionKind::Tcp => measure::<Plain>(plan).await,
    }
}

async fn measure<S: Pair>(plan: &Measurement) -> Result<Readings, String> {
    let stack = timeout(LONGEST_START, S::start(plan)).await.map_err(|_| "it does not start")??;
    match plan.work {
        Work::Handshakes(_) => return handshakes::measure(plan, stack).await,
        Work::Idle => return idle::measure(plan, stack).await,
        Work::Stream(_) | Work::Messages(..) | Work::PingPong | Work::Small => {}
    }
    let connecting = async { tokio::try_join!(stack.connect(), stack.accept()) };
    let connected = timeout(LONGEST_START, connecting).await;
    let (mut here, mut there) = connected.map_err(|_| "it does not connect")??;
    let (here_end, there_end) =
        tokio::try_join!(S::open(&mut here, true), S::open(&mut there, false))?;
    let outcome = match plan.work {
        Work::PingPong => ping_pong::measure(here_end, there_end).await,
        _ => flow::measure(plan, here_end, there_end).await,
    };
    drop((here, there, stack));
    outcome
}

/// How long starting and the first handshake may take.
const LONGEST_START: Duration = Duration::from_secs(20);
