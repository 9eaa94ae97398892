//! `positron-net events`: what happens to the running node.

use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::{
    commands::until_signalled,
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    terminal::{Terminal, json_line, sanitised},
};

/// Tells what happens to the running node, a line each, until it stops or Ctrl-C: the time first,
/// then what happened, and what else there is to it. With --json each line is the event as JSON.
#[derive(Args, Debug)]
pub(crate) struct EventsOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl EventsOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let out = Arc::clone(terminal);
        until_signalled(terminal, global, move || self.follow(&out, global))
    }

    fn follow(&self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let mut events = running.events()?;
        while let Some(event) = events.next_event().map_err(|error| running.failure(error))? {
            let unwritable =
                |error| Failure::new(Exit::Internal, "cannot write the event").because(error);
            if global.json {
                terminal.data(json_line(&event).map_err(unwritable)?)?;
            } else {
                let event = serde_json::from_str(event.get()).map_err(unwritable)?;
                terminal.data(in_words(&event))?;
            }
        }
        terminal.message("the node stopped");
        Ok(Exit::Ok)
    }
}

/// When, what, and what else there is to it.
fn in_words(event: &Value) -> String {
    let text = |key: &str| sanitised(event[key].as_str().unwrap_or_default());
    let mut words = format!("{}  {}", text("at"), text("type"));
    let rest = event.as_object().into_iter().flatten();
    for (key, value) in rest.filter(|(key, _)| !SAID_BEFORE.contains(&key.as_str())) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        words += &format!("  {}: {}", sanitised(key), sanitised(&value));
    }
    words
}

/// What every event has. People who read along need no id, and see how old it is.
const SAID_BEFORE: [&str; 4] = ["id", "type", "at", "age_s"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        let event = json!({
            "id": 9, "type": "address_banned", "at": "2026-11-27T15:50:57.1Z", "age_s": 0.25,
            "reason": "\u{1b}[2J", "others": 7,
        });
        assert_eq!(
            in_words(&event),
            "2026-11-27T15:50:57.1Z  address_banned  others: 7  reason: \\u{1b}[2J"
        );
    }
}
