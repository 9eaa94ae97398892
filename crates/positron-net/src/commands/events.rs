//! `positron-net events`: what happens to the running node.

use std::{sync::Arc, time::SystemTime};

use clap::Args;
use positron_admin::rfc3339;
use serde::{Serialize, Serializer};
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
/// then what happened, to whom and where, and what else there is to it. With --json each line is
/// the event as JSON, in the same order.
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
        while let Some((name, event)) =
            events.next_event().map_err(|error| running.failure(error))?
        {
            let at = match &event["at"] {
                // A node of an earlier version does not say when: it is told as it happens.
                Value::Null => rfc3339(SystemTime::now()).into(),
                at => at.clone(),
            };
            if global.json {
                let line = json_line(&Line(in_order(&at, &event))).map_err(|error| {
                    Failure::new(Exit::Internal, "cannot write the event").because(error)
                })?;
                terminal.data(line)?;
            } else {
                terminal.data(in_words(&name, &at, &event))?;
            }
        }
        terminal.message("the node stopped");
        Ok(Exit::Ok)
    }
}

/// The fields of an event in the order in which they are told: the time first, then what it is, who
/// and where, and whatever else there is by its name.
fn in_order<'a>(at: &'a Value, event: &'a Value) -> Vec<(&'a str, &'a Value)> {
    const FIRST: [&str; 9] =
        ["at", "event", "type", "peer", "node", "address", "addresses", "direction", "by"];
    let fields = || event.as_object().into_iter().flatten().filter(|(key, _)| *key != "at");
    let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let mut all: Vec<(&str, &Value)> = fields().map(|(key, value)| (key.as_str(), value)).collect();
    all.push(("at", at));
    all.sort_by_key(|(key, _)| (place(key), *key));
    all
}

/// An event as JSON, in its order.
struct Line<'a>(Vec<(&'a str, &'a Value)>);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().copied())
    }
}

/// The time, the name of the event, and what else there is to it.
fn in_words(name: &str, at: &Value, event: &Value) -> String {
    let mut words = format!("{}  {}", sanitised(at.as_str().unwrap_or("-")), sanitised(name));
    let told = ["at", "event", "type", "id", "age_s"];
    for (key, value) in in_order(at, event).into_iter().filter(|(key, _)| !told.contains(key)) {
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
            in_words("address_banned", &json!("then"), &event),
            "then  address_banned  others: 7  reason: \\u{1b}[2J"
        );
    }

    #[test]
    fn the_time_is_first_and_the_fields_keep_their_order() {
        let at = json!("2026-11-27T15:50:57.100Z");
        let event = json!({
            "event": "peer_joined", "direction": "outbound", "address": "192.0.2.1:1",
            "at": "2026-11-27T15:50:57.100Z", "id": 7, "peer": "ab", "addresses": [],
        });
        assert_eq!(
            in_words("peer_joined", &at, &event),
            "2026-11-27T15:50:57.100Z  peer_joined  peer: ab  address: 192.0.2.1:1  \
             addresses: []  direction: outbound"
        );
        let line = json_line(&Line(in_order(&at, &event))).unwrap();
        let start =
            r#"{"at":"2026-11-27T15:50:57.100Z","event":"peer_joined","peer":"ab","address""#;
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with(r#""direction":"outbound","id":7}"#), "{line}");
    }
}
