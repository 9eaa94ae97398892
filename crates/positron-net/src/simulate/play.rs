//! One simulation, from the first node to the last book.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use positron_networking::{Node, stats::PerKind};

use super::{
    LocalNetwork, Nodes, Plan, Record, Report, cpu::process_seconds, lateness::Lateness,
    ledger::lock, record::LiveRecord, table::draw_while, traffic::Traffic,
};
use crate::{failure::Failure, fd_limit, signals::Signals, terminal::Terminal};

/// How long it may take until the next node finds the others.
const GROW_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs nodes, sends by `plan`, and removes everything again. Within a tokio runtime.
pub(crate) async fn play(
    which: Nodes,
    plan: &Plan,
    terminal: &Terminal,
    signals: &mut Signals,
    record: Option<&Arc<Record>>,
) -> Result<Report, Failure> {
    let count = which.count;
    if let Some(why) = fd_limit::too_few_for(count) {
        terminal.warning(why);
    }
    let folder = LocalNetwork::folder()?;
    signals.remove_when_forced(folder.path().to_owned());
    let begin = Instant::now();
    let lateness = Lateness::watch();
    let network = LocalNetwork::start(which, folder).await?;
    let (live, watching) = record.map(|record| LiveRecord::watch(record, network.nodes())).unzip();
    let tell = |connected: usize| {
        terminal.draw([format!("{connected} of {count} nodes connected").as_str()]);
    };
    let connected_nodes = tokio::select! {
        connected = network.grow_together(GROW_TIMEOUT, tell) => connected,
        _ = signals.asked() => network.connected(),
    };
    terminal.clear();
    let late_to_connect = lateness.take();
    let connected_s = begin.elapsed().as_secs_f64();
    let length = plan.duration.map_or_else(String::new, |d| format!(" for {} s", d.as_secs_f64()));
    terminal.message(format_args!(
        "{connected_nodes} of {count} nodes connected in {connected_s:.2} s; messages flow{length}"
    ));

    let mut traffic = Traffic::new(network.nodes(), live.as_ref());
    let books = Arc::clone(traffic.books());
    let wire_bytes = || -> u64 {
        let stats = network.nodes().iter().map(Node::stats);
        stats.map(|stats| stats.session.bytes_sent + stats.datagrams.counters.bytes_sent).sum()
    };
    let wire_before = wire_bytes();
    let (cpu, sending) = (process_seconds(), Instant::now());
    draw_while(terminal, network.nodes(), &books, traffic.run(plan, signals)).await;
    let duration_s = sending.elapsed().as_secs_f64();
    let cpu_s = process_seconds().zip(cpu).map(|(after, before)| after - before);

    let ends = network.nodes().iter().map(|node| node.stats().links);
    let link_ends =
        ends.fold(PerKind::default(), |sum, links| PerKind::new(|kind| sum[kind] + links[kind]));
    let books = lock(&books).clone();
    let report = Report {
        connected_nodes,
        seed: plan.seed,
        transport: which.transport,
        link_ends,
        first_failure: traffic.refusal(),
        wire_bytes: wire_bytes().saturating_sub(wire_before),
        duration_s,
        delivering_s: books.last_delivery_after(sending).unwrap_or_default().as_secs_f64(),
        connected_s,
        first_delivery_s: books.first_delivery_after(begin).map(|first| first.as_secs_f64()),
        cpu_s,
        wake_delay_ms: late_to_connect.max(lateness.take()).as_secs_f64() * 1e3,
        interrupted: signals.seen().is_some(),
        ..Report::of(&books, count)
    };
    traffic.close().await;
    if let Some(watching) = watching {
        watching.end().await;
    }
    network.shutdown().await;
    Ok(report.with_cpu_per_delivery())
}
