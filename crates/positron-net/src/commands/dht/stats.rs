//! `positron-net dht stats`: the table, as this node takes part in it.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fields, bytes, count, duration, short_ms},
    terminal::{Terminal, sanitised},
};

/// Tells what this node keeps for others and publishes itself, whom it knows, how its lookups go,
/// and whether it serves the table, and why.
#[derive(Args, Debug)]
pub(crate) struct TableStatsOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl TableStatsOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let stats: Value = running.get("/v1/dht")?;
        if global.json {
            terminal.document(&stats)?;
        } else {
            terminal.data(in_words(&stats))?;
        }
        Ok(Exit::Ok)
    }
}

fn in_words(stats: &Value) -> Fields {
    let text = |name: &str| sanitised(stats[name].as_str().unwrap_or_default());
    let number = |name: &str| stats[name].as_u64().unwrap_or(0);
    let mut fields = Fields::default();
    fields.line("mode", format_args!("{}: {}", text("mode"), text("why")));
    if stats["place"].is_string() {
        fields.line("place", text("place"));
    }
    let size = match stats["network_size"].as_u64() {
        Some(size) => format!("of about {size}"),
        None => "and nobody was asked yet".to_owned(),
    };
    let (kept, most) = (bytes(number("stored_bytes")), bytes(number("stored_bytes_limit")));
    fields
        .line("knows", format_args!("{}, {size}", count(number("total_nodes"), "node")))
        .line("keeps", count(number("stored_keys"), "key"))
        .line(
            "for others",
            format_args!(
                "{}, {kept} of {most}; {}",
                count(number("stored_records"), "record"),
                count(number("tombstones"), "tombstone"),
            ),
        )
        .line(
            "publishes",
            format_args!(
                "{}, {} of them on fewer than {}",
                count(number("published"), "record"),
                number("under_replicated"),
                count(number("wanted_holders"), "other node"),
            ),
        );
    let success = match stats["success"].as_f64() {
        Some(success) => format!(", {:.1} % reached somebody", success * 100.0),
        None => String::new(),
    };
    let unanswered = number("unanswered");
    fields.line("lookups", format_args!("{}{success}", number("lookups"))).line(
        "questions",
        format_args!("{}, {unanswered} without an answer in time", number("questions")),
    );
    let recent = &stats["recent"];
    if recent["operations"].as_u64().is_some_and(|operations| operations > 0) {
        let ms = |name: &str| short_ms(recent[name].as_f64().unwrap_or(0.0));
        fields
            .line("hops", format_args!("p50 {}, p99 {}", recent["hops_p50"], recent["hops_p99"]))
            .line("time", format_args!("p50 {}, p99 {}", ms("took_ms_p50"), ms("took_ms_p99")));
    }
    fields
        .list("published", stats["published_values"].as_array().into_iter().flatten().map(record));
    fields.list("kept", stats["kept_values"].as_array().into_iter().flatten().map(record));
    fields
}

/// One record in a line.
fn record(of: &Value) -> String {
    let text = |name: &str| sanitised(of[name].as_str().unwrap_or_default());
    let what = match of["value_bytes"].as_u64() {
        Some(size) => format!("{}, {}", text("kind"), bytes(size)),
        None => format!("{}, deleted", text("kind")),
    };
    let remaining = duration(Duration::from_secs(of["remaining_s"].as_u64().unwrap_or(0)));
    let where_to = match (of["holders"].as_u64(), of["publisher"].as_str()) {
        (Some(holders), _) => format!("on {}", count(holders, "other node")),
        (None, Some(publisher)) => format!("of {}", sanitised(publisher)),
        (None, None) => String::new(),
    };
    format!("{}  {what}, {where_to}, for {remaining}", text("key"))
}
