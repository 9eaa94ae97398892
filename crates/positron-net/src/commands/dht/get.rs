//! `positron-net dht get`: prints what is stored under a key.

use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use clap::Args;
use positron_admin::PeerName;
use positron_networking::Place;
use serde_json::{Value, json};

use super::key::key;
use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fit, bytes, count, duration, fitted, short_ms},
    terminal::{Terminal, sanitised},
};

/// Prints what is stored under a key: its bytes as they are, and on the standard error who
/// published it, when, and which node had it. Of several publishers that of who stands highest in
/// this node's eyes.
#[derive(Args, Debug)]
pub(crate) struct GetOptions {
    /// The key; with --immutable the 64 characters that `put` printed
    #[arg(value_parser = key)]
    key: String,
    /// What this node published: its id (64 characters, or the first 16 of one that is known)
    #[arg(long, value_name = "ID")]
    from: Option<PeerName>,
    /// List what all publishers stored there
    #[arg(long, conflicts_with = "immutable")]
    all: bool,
    /// The key is one that only its owner can store under: the node of --from, or this one
    #[arg(long, conflicts_with_all = ["immutable", "all"])]
    owned: bool,
    /// The key is the hash of the value
    #[arg(long, conflicts_with = "from")]
    immutable: bool,
    /// The value is MessagePack, as `dht_store` of the library writes it: print it as JSON
    #[arg(long)]
    msgpack: bool,
    #[command(flatten)]
    selector: NodeSelector,
}

impl GetOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        if self.immutable && self.key.parse::<Place>().is_err() {
            return Err(Failure::new(Exit::Usage, "that is no key of an immutable value")
                .because("it has 64 hexadecimal characters, as `dht put --immutable` prints it"));
        }
        let running = Running::of(&self.selector, terminal)?;
        let kind = match (self.owned, self.immutable) {
            (true, _) => "owned",
            (_, true) => "immutable",
            (false, false) => "shared",
        };
        let mut order = json!({ "key": self.key, "kind": kind });
        if let Some(from) = &self.from {
            order["from"] = from.to_string().into();
        }
        let mut found: Value = running.post("/v1/dht/get", &order)?;
        if self.all && global.json {
            terminal.document(&found)?;
            return Ok(Exit::Ok);
        }
        if self.all {
            terminal.data(listed(&found, terminal.width()))?;
            terminal.message(how(&found));
            return Ok(Exit::Ok);
        }
        let first = found["values"][0].take();
        if global.json {
            let mut told = first;
            for name in ["key", "holders", "asked", "took_ms"] {
                told[name] = found[name].take();
            }
            terminal.document(&told)?;
            return Ok(Exit::Ok);
        }
        self.print(&first, terminal)?;
        terminal.message(format_args!("{}; {}", of_whom(&first), how(&found)));
        Ok(Exit::Ok)
    }

    fn print(&self, value: &Value, terminal: &Terminal) -> Result<(), Failure> {
        if self.msgpack {
            if value["value"].is_null() && !is_nil(value) {
                return Err(Failure::new(Exit::Refused, "the value is no MessagePack")
                    .try_this("print its bytes: the same without --msgpack"));
            }
            return terminal.document(&value["value"]);
        }
        let bytes = decoded(value)?;
        match value["text"].as_str() {
            Some(text) if terminal.is_read_by_people() => terminal.data(sanitised(text)),
            None if terminal.is_read_by_people() => Err(Failure::new(
                Exit::Refused,
                format!("the value is {} that are no text", count(bytes.len(), "byte")),
            )
            .try_this("send them to a file: positron-net dht get KEY > FILE; or --json")),
            _ => terminal.bytes(&bytes),
        }
    }
}

fn decoded(value: &Value) -> Result<Vec<u8>, Failure> {
    let base64 = value["base64"].as_str().unwrap_or_default();
    Base64::decode_vec(base64)
        .map_err(|why| Failure::new(Exit::Unreachable, "the node answers nonsense").because(why))
}

/// MessagePack's own nothing, which is a value.
fn is_nil(value: &Value) -> bool {
    value["base64"] == "wA=="
}

/// Who published it, and when.
fn of_whom(value: &Value) -> String {
    let seconds = |name: &str| duration(Duration::from_secs(value[name].as_u64().unwrap_or(0)));
    let id = |name: &str| sanitised(value[name].as_str().unwrap_or_default());
    format!(
        "{} published it {} ago; {} had it, and keeps it for {} if nobody renews it",
        id("publisher"),
        seconds("age_s"),
        id("from"),
        seconds("remaining_s"),
    )
}

/// How it was found.
fn how(found: &Value) -> String {
    let number = |name: &str| found[name].as_u64().unwrap_or(0);
    let asked = match number("asked") {
        0 => "nobody had to be asked".to_owned(),
        asked => format!("{} of {} asked had it", number("holders"), count(asked, "node")),
    };
    format!("{asked}, {}", short_ms(found["took_ms"].as_f64().unwrap_or(0.0)))
}

fn listed(found: &Value, width: Option<usize>) -> String {
    let rows = found["values"].as_array().into_iter().flatten().map(|value| {
        let seconds = |name: &str| duration(Duration::from_secs(value[name].as_u64().unwrap_or(0)));
        let publisher = sanitised(value["publisher"].as_str().unwrap_or_default());
        let shown = match value["text"].as_str() {
            Some(text) => sanitised(text),
            None => "(no text)".to_owned(),
        };
        let size = bytes(value["bytes"].as_u64().unwrap_or(0));
        [publisher, seconds("age_s"), seconds("remaining_s"), size, shown]
    });
    let fit = Fit { expendable: &[3, 1], words: Some(4) };
    fitted(["publisher", "age", "for", "size", "value"], rows.collect(), width, fit).to_string()
}
