//! The live table.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table};
use positron_networking::{LinkTransport, Node, NodeId};

use super::{
    latency::Percentiles,
    ledger::lock,
    ledger::{Ledger, Line, Totals},
};
use crate::{
    table::{self, short, short_ms},
    terminal::{Terminal, folded},
};

/// How often it is drawn again.
const REDRAW: Duration = Duration::from_millis(250);
/// Lines of the terminal that are not nodes: the head, its rule, the totals, and a spare one.
const OTHER_LINES: usize = 6;
/// Columns that the table takes with whole addresses.
const FULL_WIDTH: usize = 118;

/// Draws the table until `work` is done; its last state stays.
pub(crate) async fn draw_while<T>(
    terminal: &Terminal,
    nodes: &[Node],
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

fn live(terminal: &Terminal, nodes: &[Node], books: &Mutex<Ledger>, elapsed: Duration) -> String {
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
    let sum = format!("{:.0} s  {}", elapsed.as_secs_f64(), sum(&totals));
    format!("{table}{more}\n{}", folded(&sum, columns.saturating_sub(1)).join("\n"))
}

/// One line a node.
pub(super) fn table(nodes: &[Node], lines: &[Line], shown: usize, width: usize) -> Table {
    let stats: Vec<_> = nodes.iter().map(Node::stats).collect();
    let mut scores: BTreeMap<NodeId, (f64, f64)> = BTreeMap::new();
    for peer in stats.iter().flat_map(|stats| &stats.peers) {
        let (sum, count) = scores.entry(peer.node_id).or_default();
        *sum += peer.trust_score;
        *count += 1.0;
    }
    let rows = nodes.iter().zip(&stats).zip(lines).take(shown).map(|((node, stats), line)| Row {
        node: node.id(),
        address: stats.listen.first().copied(),
        peers: stats.active_peers,
        by_udp: stats.links[LinkTransport::Udp],
        line: *line,
        trust: scores.get(&node.id()).map(|(sum, count)| sum / count),
    });
    drawn(rows, width < FULL_WIDTH)
}

/// What is shown of a node.
struct Row {
    node: NodeId,
    address: Option<SocketAddr>,
    peers: usize,
    by_udp: usize,
    line: Line,
    trust: Option<f64>,
}

/// A narrow table fits 80 columns, whatever the numbers are: the nodes of this machine differ in
/// the port only, and numbers are short.
fn drawn(rows: impl Iterator<Item = Row>, narrow: bool) -> Table {
    let (address, udp) = if narrow { ("port", "UDP") } else { ("address", "by UDP") };
    let head =
        ["node", address, "peers", udp, "sent", "received", "delivery", "p50", "p99", "trust"];
    // What does not fit is cut off by the terminal: a number that is folded cannot be read.
    let mut table = table::table(head);
    let number = |number: u64| if narrow { short(number) } else { number.to_string() };
    let time = |ms: f64| if narrow { short_ms(ms) } else { format!("{ms:.1} ms") };
    let unknown = || "-".to_owned();
    for Row { node, address, peers, by_udp, line, trust } in rows {
        let name = node.short();
        let place = address.map(|address| match narrow {
            true => address.port().to_string(),
            false => address.to_string(),
        });
        table.add_row([
            if narrow { name.chars().take(8).collect() } else { name },
            place.unwrap_or_default(),
            number(peers as u64),
            number(by_udp as u64),
            number(line.sent),
            number(line.received),
            percent(line.received, line.expected),
            line.latency.map_or_else(unknown, |latency| time(latency.p50)),
            line.latency.map_or_else(unknown, |latency| time(latency.p99)),
            trust.map_or_else(unknown, |trust| format!("{trust:.2}")),
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

fn sum(totals: &Totals) -> String {
    let sum = format!(
        "{} broadcasts, {} of {} deliveries ({})",
        totals.broadcasts,
        totals.deliveries,
        totals.expected,
        percent(totals.deliveries, totals.expected),
    );
    totals.latency.map_or(sum.clone(), |Percentiles { p50, p99, .. }| {
        format!("{sum}, p50 {}, p99 {}", short_ms(p50), short_ms(p99))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_table_fits_eighty_columns_whatever_the_numbers_are() {
        let most = 999_999_999;
        let slow = Percentiles { p50: 3_599_999.0, p99: 86_399_000.0, max: 86_399_000.0 };
        let row = Row {
            node: NodeId::from_bytes([0xFF; 32]),
            address: Some(([127, 0, 0, 1], 65_535).into()),
            peers: 99_999,
            by_udp: 99_999,
            line: Line {
                sent: most,
                received: most,
                expected: most + 1,
                duplicates: most,
                latency: Some(slow),
            },
            trust: Some(0.0),
        };
        let table = drawn([row].into_iter(), true).to_string();
        let widest = table.lines().map(|line| line.trim_end().chars().count()).max();
        assert!(widest <= Some(79), "{widest:?}\n{table}");
    }
}
