//! `positron-net events`: what happens to the running node.

use clap::Args;
use serde_json::Value;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    terminal::{Terminal, json_line, sanitised},
};

/// Tells what happens to the running node, a line each, until it stops or Ctrl-C. With --json each
/// line is the event as JSON.
#[derive(Args, Debug)]
pub(crate) struct EventsOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl EventsOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let mut events = running.events()?;
        while let Some((name, event)) =
            events.next_event().map_err(|error| running.failure(error))?
        {
            if global.json {
                let line = json_line(&event).map_err(|error| {
                    Failure::new(Exit::Internal, "cannot write the event").because(error)
                })?;
                terminal.data(line)?;
            } else {
                terminal.data(in_words(&name, &event))?;
            }
        }
        terminal.message("the node stopped");
        Ok(Exit::Ok)
    }
}

/// The name of the event, and what else there is to it.
fn in_words(name: &str, event: &Value) -> String {
    let mut words = sanitised(name);
    for (key, value) in event.as_object().into_iter().flatten().filter(|(key, _)| *key != "event") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        words += &format!("  {}: {}", sanitised(key), sanitised(&value));
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        let event = json!({ "event": "address_banned", "reason": "\u{1b}[2J", "others": 7 });
        assert_eq!(
            in_words("address_banned", &event),
            "address_banned  others: 7  reason: \\u{1b}[2J"
        );
    }
}
