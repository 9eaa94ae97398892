//! The live table.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, ContentArrangement, Table};
use positron_networking::{LinkTransport, Node, NodeId};

use super::{
    ledger::{Ledger, Line, Totals},
    traffic::lock,
};
use crate::{table, terminal::Terminal};

/// How often it is drawn again.
const REDRAW: Duration = Duration::from_millis(250);
/// Lines of the terminal that are not nodes: the head, its rule, the totals, and a spare one.
const OTHER_LINES: usize = 6;
/// Columns that the table takes with whole addresses.
const FULL_WIDTH: usize = 118;

/// Draws the table until `work` is done; its last state stays.
pub(crate) async fn draw_while<T>(
    terminal: &Terminal,
    nodes: &[Arc<Node>],
    books: &Mutex<Ledger>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let begin = Instant::now();
    let draw = || {
        let text = live(terminal, nodes, books, begin.elapsed());
        terminal.draw(text.lines());
    };
    loop {
        tokio::select! {
            done = &mut work => {
                if terminal.is_live() {
                    draw();
                    terminal.keep();
                }
                return done;
            }
            () = tokio::time::sleep(REDRAW), if terminal.is_live() => draw(),
        }
    }
}

fn live(
    terminal: &Terminal,
    nodes: &[Arc<Node>],
    books: &Mutex<Ledger>,
    elapsed: Duration,
) -> String {
    let (columns, rows) = terminal.size();
    let shown = nodes.len().min(rows.saturating_sub(OTHER_LINES).max(1));
    let (lines, totals) = {
        let books = lock(books);
        let lines: Vec<Line> = (0..nodes.len()).map(|node| books.line(node)).collect();
        (lines, books.totals())
    };
    let table = table(nodes, &lines, shown, columns);
    let hidden = nodes.len() - shown;
    let more = if hidden > 0 { format!("\n... and {hidden} more") } else { String::new() };
    format!("{table}{more}\n{:.0} s  {}", elapsed.as_secs_f64(), sum(&totals))
}

/// One line a node.
pub(super) fn table(nodes: &[Arc<Node>], lines: &[Line], shown: usize, width: usize) -> Table {
    let stats: Vec<_> = nodes.iter().map(|node| node.stats()).collect();
    let mut scores: BTreeMap<NodeId, (f64, f64)> = BTreeMap::new();
    for peer in stats.iter().flat_map(|stats| &stats.peers) {
        let (sum, count) = scores.entry(peer.node_id).or_default();
        *sum += peer.trust_score;
        *count += 1.0;
    }
    let narrow = width < FULL_WIDTH;
    let address = if narrow { "port" } else { "address" };
    let head =
        ["node", address, "peers", "by UDP", "sent", "received", "delivery", "p50", "p99", "trust"];
    // What does not fit is cut off by the terminal: a number that is folded cannot be read.
    let mut table = table::table(head, None);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for ((node, stats), line) in nodes.iter().zip(&stats).zip(lines).take(shown) {
        let latency = |of: fn(&super::latency::Percentiles) -> f64| {
            line.latency.map_or_else(|| "-".into(), |latency| format!("{:.1} ms", of(&latency)))
        };
        table.add_row([
            if narrow { node.id().short().chars().take(8).collect() } else { node.id().short() },
            stats.listen.first().map(|at| shown_address(*at, narrow)).unwrap_or_default(),
            stats.active_peers.to_string(),
            stats.links[LinkTransport::Udp].to_string(),
            line.sent.to_string(),
            line.received.to_string(),
            percent(line.received, line.expected),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
            scores
                .get(&node.id())
                .map_or_else(|| "-".into(), |(sum, count)| format!("{:.2}", sum / count)),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    if narrow {
        for column in table.column_iter_mut() {
            column.set_padding((0, 1));
        }
    }
    table
}

/// The nodes of this machine differ in the port only.
fn shown_address(address: SocketAddr, narrow: bool) -> String {
    if narrow { address.port().to_string() } else { address.to_string() }
}

fn sum(totals: &Totals) -> String {
    let latency = totals.latency.unwrap_or_default();
    format!(
        "{} broadcasts, {} of {} deliveries ({}), p50 {:.1} ms, p99 {:.1} ms",
        totals.broadcasts,
        totals.deliveries,
        totals.expected,
        percent(totals.deliveries, totals.expected),
        latency.p50,
        latency.p99
    )
}

/// Never 100 % unless it is all of it.
#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
pub(super) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".into(),
        _ if part >= whole => "100 %".into(),
        _ => format!("{:.1} %", (part as f64 * 100.0 / whole as f64).min(99.9)),
    }
}
