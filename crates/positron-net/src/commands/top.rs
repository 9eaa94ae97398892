//! `positron-net top`: the running node, as it goes.

use std::{
    io::{self, Read as _},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{
    commands::{on_runtime, status::peers_of},
    failure::{Exit, Failure},
    global::Global,
    logging::{Log, LogOptions},
    running::Running,
    settings::{NodeSelector, log_level},
    signals::Signals,
    table::{bytes, duration},
    terminal::{Terminal, folded, sanitised},
};

/// Shows the running node on the whole terminal, anew each second: its health, rates and peers. `q`
/// leaves. Without a terminal, or with --json, it is shown once.
#[derive(Args, Debug)]
pub(crate) struct TopOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

#[derive(Debug, Deserialize)]
struct History {
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    name: String,
    values: Vec<Option<f64>>,
}

impl TopOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let log = Log::start(terminal, LogOptions::text(log_level("WARNING", global)))?;
        on_runtime(async {
            let signals = Signals::listen(&log)?;
            // Whoever is signalled gives the keyboard back first.
            block_in_place(|| self.watch(terminal, global, || signals.seen()))
        })
    }

    fn watch(
        &self,
        terminal: &Terminal,
        global: Global,
        asked: impl Fn() -> Option<Exit>,
    ) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let is_watched = terminal.is_live() && isatty(io::stdin()) && !global.json;
        let mut keys = if is_watched { Some(Keys::new()?) } else { None };
        loop {
            if let Some(exit) = asked() {
                terminal.keep();
                return Ok(exit);
            }
            let status: Value = running.get("/v1/status")?;
            let history: History = running.get("/v1/history?last=1")?;
            if global.json {
                let rates = history.series.iter().map(|one| (one.name.clone(), json!(one.now())));
                let rates: serde_json::Map<String, Value> = rates.collect();
                terminal.document(&json!({ "status": status, "now": rates }))?;
                return Ok(Exit::Ok);
            }
            let width = terminal.size().0.saturating_sub(1).max(1);
            let screen = screen(status, &history, width, |sgr, text| terminal.paint(sgr, text))?;
            let Some(keys) = &mut keys else {
                terminal.data(screen.join("\n"))?;
                return Ok(Exit::Ok);
            };
            terminal.draw(screen.iter().map(String::as_str));
            if keys.leave() {
                terminal.keep();
                return Ok(Exit::Ok);
            }
        }
    }
}

impl Series {
    fn now(&self) -> Option<f64> {
        self.values.last().copied().flatten()
    }
}

/// What is shown on so many columns.
fn screen(
    status: Value,
    history: &History,
    width: usize,
    paint: impl Fn(&str, &str) -> String,
) -> Result<Vec<String>, Failure> {
    let text = |of: &Value| sanitised(of.as_str().unwrap_or("-"));
    let now = |name: &str| {
        history.series.iter().find(|one| one.name == name).and_then(Series::now).unwrap_or(0.0)
    };
    let uptime = Duration::try_from_secs_f64(status["uptime_s"].as_f64().unwrap_or_default());
    let health = &status["health"];
    let mark = if health["ready"] == true { "32;1" } else { "33;1" };
    let rate = |names: [&str; 2]| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let each_second = names.map(now).iter().sum::<f64>() as u64;
        bytes(each_second)
    };
    let id: String = text(&status["node_id"]).chars().take(16).collect();
    let mut lines = vec![format!("{id}  up {}", duration(uptime.unwrap_or_default()))];
    lines.extend(folded(&text(&health["sentence"]), width).iter().map(|line| paint(mark, line)));
    let rates = [
        format!("in {}/s", rate(["udp_received", "tcp_received"])),
        format!("out {}/s", rate(["udp_sent", "tcp_sent"])),
        format!("delivered {:.0}/s", now("delivered")),
        format!("duplicates {:.0}/s", now("duplicates")),
        format!("dials {:.0}/s", now("dials")),
    ];
    lines.extend(beside(&rates, width));
    let checks = health["checks"].as_array().into_iter().flatten();
    for check in checks.filter(|check| check["ok"] == false) {
        let (reason, remedy) = (text(&check["reason"]), text(&check["remedy"]));
        lines.extend(folded(&format!("! {reason}: {remedy}"), width));
    }
    lines.push(String::new());
    let peers = peers_of(status, Some(width))?.to_string();
    lines.extend(peers.lines().map(|line| line.trim_end().to_owned()));
    Ok(lines)
}

/// As many of them beside each other as fit.
fn beside(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + part.chars().count() <= width => {
                line.push_str("  ");
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

/// The keyboard, key by key, until it is dropped.
#[derive(Debug)]
struct Keys {
    before: Termios,
}

impl Keys {
    fn new() -> Result<Self, Failure> {
        let deaf = |error| Failure::new(Exit::Internal, "cannot read the keyboard").because(error);
        let before = tcgetattr(io::stdin()).map_err(deaf)?;
        let mut raw = before.clone();
        // Ctrl-C is a key as well: whoever ended this here would leave the keyboard as it is now.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        // A read takes a second at most.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 10;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(deaf)?;
        Ok(Self { before })
    }

    /// Waits a second, or for a key, and says whether it was one that leaves.
    #[expect(clippy::unused_self, reason = "only while it is held do keys come one by one")]
    fn leave(&mut self) -> bool {
        let mut key = [0];
        match io::stdin().read(&mut key) {
            Ok(0) => false,
            Ok(_) => matches!(key[0], b'q' | b'Q' | CTRL_C | CTRL_D),
            // A signal, which is looked at next.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(_) => true,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Nothing else can be done about it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: &str = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";

    fn peer(last: u8, address: &str) -> Value {
        json!({
            "node_id": format!("{}{last:02x}", "ab".repeat(31)), "address": address,
            "direction": "outbound", "transport": "udp", "trust_score": 0.5,
            "connected_s": 7_205.0, "rtt_ms": 1_234.5, "queued_bytes": 1_048_576,
        })
    }

    fn status() -> Value {
        json!({
            "node_id": "cd".repeat(32), "network": "positron", "listen": ["[::]:8888"],
            "nat_in_words": "unknown",
            "reachable": "not known", "storage_state": "works", "uptime_s": 90_000.0,
            "active_peers": 2, "links": { "udp": 2, "tcp": 0, "relay": 0 }, "known_peers": 3,
            "isolation_reason": null, "few_peers": null, "next_wake": null,
            "peers": [peer(1, "192.0.2.1:8888"), peer(2, LONGEST)],
            "gossip": { "retained_messages": 0, "retained_bytes": 0 },
            "trust": { "banned": 0, "banned_addresses": 0 }, "used_twice": [], "bootstrap": [],
            "health": {
                "ready": false,
                "sentence": "not ready: 2 peers of at least 3 (`min_peers`), and its disk is full",
                "checks": [{ "ok": false, "reason": "few_peers", "remedy": "Add some." }],
            },
        })
    }

    #[test]
    fn each_line_fits_whatever_the_width_and_neither_ids_nor_colours_are_cut() {
        let history = History { series: Vec::new() };
        for columns in [40, 80, 120, 200] {
            let width = columns - 1;
            let paint = |sgr: &str, text: &str| format!("\x1b[{sgr}m{text}\x1b[0m");
            let plain = screen(status(), &history, width, |_, text| text.to_owned()).unwrap();
            let shown = plain.join("\n");
            for line in &plain {
                assert!(line.chars().count() <= width, "{columns}: {line:?}");
            }
            for whole in ["cdcdcdcdcdcdcdcd", "abababababababab", "rtt", "delivered 0/s"] {
                assert!(shown.contains(whole), "{columns}: no {whole} in\n{shown}");
            }
            assert_eq!(shown.contains(LONGEST), columns > 80);
            assert_eq!(shown.contains("queued"), columns >= 200);
            let colored = screen(status(), &history, width, paint).unwrap();
            let ends = |line: &&String| line.starts_with('\x1b') && line.ends_with("\x1b[0m");
            let in_color = colored.iter().filter(|line| line.contains('\x1b')).count();
            assert_eq!(colored.iter().filter(ends).count(), in_color);
            assert!(in_color >= 1, "{columns}");
        }
    }
}
