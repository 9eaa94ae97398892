//! `positron-net trace`: where a message went.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use positron_networking::MessageId;
use serde_json::{Value, json};
use tokio::{runtime::Builder, time::sleep};

use crate::{
    commands::until_signalled,
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fields, count, short_ms},
    terminal::{Terminal, sanitised},
};

/// Tells where a message of the last 4,096 went: from whom it came, how, and to whom it was passed
/// on, or why it was dropped.
#[derive(Args, Debug)]
pub(crate) struct TraceOptions {
    /// The id of the message, as the answer to a broadcast by the library or the API names it
    message: MessageId,
    /// Ask the network too, once a minute at most, if the message is a broadcast of this node: whom
    /// it reached, how fast
    #[arg(long)]
    network: bool,
    #[command(flatten)]
    selector: NodeSelector,
}

impl TraceOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let out = Arc::clone(terminal);
        until_signalled(terminal, global, move || self.tell(&out, global))
    }

    fn tell(&self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let path = format!("/v1/trace/{}", self.message);
        let mut trace: Value = running.get(&path)?;
        if self.network {
            let _: Value = running.post(&path, &json!({}))?;
            trace = reported(&running, &path)?;
        }
        if global.json {
            terminal.document(&trace)?;
        } else {
            terminal.data(in_words(&trace))?;
        }
        Ok(Exit::Ok)
    }
}

/// What others reported, when all have or as much as came in time.
fn reported(running: &Running, path: &str) -> Result<Value, Failure> {
    let longest = Instant::now() + LONGEST;
    let pauses = Builder::new_current_thread().enable_time().build().map_err(|error| {
        Failure::new(Exit::Internal, "the operating system gives no timer").because(error)
    })?;
    loop {
        let trace: Value = running.get(path)?;
        if trace["network"]["state"] == "done" || Instant::now() > longest {
            return Ok(trace);
        }
        pauses.block_on(async { sleep(LOOK).await });
    }
}

/// A trace waits 10 s for those who do not answer, and a little for the way.
const LONGEST: Duration = Duration::from_secs(15);
/// How often the answers are looked at.
const LOOK: Duration = Duration::from_millis(200);

fn in_words(trace: &Value) -> Fields {
    let mut fields = Fields::default();
    let text = |value: &Value| sanitised(value.as_str().unwrap_or_default());
    let after = |value: &Value| value.as_f64().map(short_ms);
    fields
        .line("message", text(&trace["message"]))
        .line("kind", format_args!("{}, number {}", text(&trace["kind"]), trace["sequence"]))
        .line("sender", text(&trace["sender"]));
    let local = &trace["local"];
    if local.is_object() {
        let came = match local["from"].as_str() {
            Some(from) => format!("{} from {}", text(&local["how"]), sanitised(from)),
            None => "written here".to_owned(),
        };
        fields.line("came", format_args!("{came}, at {}", text(&local["at"])));
        for (name, key) in [("verified", "verified_ms"), ("delivered", "delivered_ms")] {
            if let Some(after) = after(&local[key]) {
                fields.line(name, format_args!("{after} later"));
            }
        }
        fields.line("came again", count(&local["duplicates"], "time"));
        let passed = local["forwarded"].as_array().into_iter().flatten().map(|step| {
            let had_it = if step["had_it"] == true { ", which had it" } else { "" };
            let later = after(&step["after_ms"]).unwrap_or_default();
            format!("{} to {}{had_it}, {later} later", text(&step["how"]), text(&step["peer"]))
        });
        fields.list("passed on", passed);
    }
    let dropped = &trace["dropped"];
    if dropped.is_object() {
        let (why, from) = (text(&dropped["sentence"]), text(&dropped["from"]));
        fields.line(
            "dropped",
            format_args!("{why} (from {from}, {})", count(&dropped["times"], "time")),
        );
    }
    let network = &trace["network"];
    if network.is_object() {
        fields.line("reported", text(&network["sentence"]));
        let depths = network["by_depth"].as_array().into_iter().flatten().enumerate();
        fields.list(
            "by hops",
            depths.map(|(hops, nodes)| format!("{hops}: {}", count(nodes, "node"))),
        );
        if network["implausible"] == true {
            fields.line("beware", "somebody claimed more nodes than there can be; it was cut");
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_message_is_told_in_words_and_nothing_of_others_unescaped() {
        let trace = json!({
            "message": "ab", "kind": "broadcast", "sender": "cd", "sequence": 7,
            "local": {
                "own": false, "from": "ef", "how": "push", "at": "2026-11-27T15:50:57.1Z",
                "verified_ms": 0.5, "delivered_ms": 0.75, "duplicates": 1,
                "forwarded": [{ "peer": "01", "how": "announce", "after_ms": 2.0, "had_it": true }],
            },
            "dropped": null,
            "network": {
                "sentence": "3 of about 4\u{1b}[2J", "by_depth": [1, 2], "implausible": true,
            },
        });
        let told = in_words(&trace).to_string();
        for line in [
            "came        push from ef, at 2026-11-27T15:50:57.1Z",
            "delivered   0.8 ms later",
            "came again  1 time",
            "passed on   announce to 01, which had it, 2.0 ms later",
            "by hops     0: 1 node",
            "            1: 2 nodes",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}
