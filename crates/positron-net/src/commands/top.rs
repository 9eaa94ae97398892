//! `positron-net top`: the running node, as it goes.

use std::{
    io::{self, Read as _},
    time::Duration,
};

use clap::Args;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    commands::status::peers_of,
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
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
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let is_watched = terminal.is_live() && isatty(io::stdin()) && !global.json;
        let mut keys = if is_watched { Some(Keys::new()?) } else { None };
        loop {
            let status: Value = running.get("/v1/status")?;
            let history: History = running.get("/v1/history?last=1")?;
            if global.json {
                let rates = history.series.iter().map(|one| (one.name.clone(), json!(one.now())));
                let rates: serde_json::Map<String, Value> = rates.collect();
                terminal.document(&json!({ "status": status, "now": rates }))?;
                return Ok(Exit::Ok);
            }
            let screen = screen(status, &history, terminal)?;
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

fn screen(status: Value, history: &History, terminal: &Terminal) -> Result<Vec<String>, Failure> {
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
    let mut lines = vec![
        format!(
            "{}  up {}  {}",
            text(&status["node_id"]).chars().take(16).collect::<String>(),
            duration(uptime.unwrap_or_default()),
            terminal.paint(mark, &text(&health["sentence"])),
        ),
        format!(
            "in {}/s  out {}/s  delivered {:.0}/s  duplicates {:.0}/s  dials {:.0}/s",
            rate(["udp_received", "tcp_received"]),
            rate(["udp_sent", "tcp_sent"]),
            now("delivered"),
            now("duplicates"),
            now("dials"),
        ),
    ];
    let checks = health["checks"].as_array().into_iter().flatten();
    for check in checks.filter(|check| check["ok"] == false) {
        let (reason, remedy) = (text(&check["reason"]), text(&check["remedy"]));
        lines.extend(folded(&format!("! {reason}: {remedy}"), terminal.size().0 - 1));
    }
    lines.push(String::new());
    lines.extend(peers_of(status, terminal)?.to_string().lines().map(str::to_owned));
    Ok(lines)
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
