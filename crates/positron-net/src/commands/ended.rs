//! What ended, for people: peers that left, and what came of dials.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use comfy_table::Table;
use positron_networking::{NodeId, PeerPlace};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    failure::{Exit, Failure},
    table::{Fit, count, duration, fitted},
    terminal::{Terminal, sanitised},
};

/// What people are shown of a peer that left.
#[derive(Debug, Deserialize)]
struct Lost {
    node_id: NodeId,
    address: Option<SocketAddr>,
    relay: Option<NodeId>,
    age_s: f64,
    connected_s: f64,
    by: String,
    reason: String,
    remedy: String,
}

/// What people are shown of a dial.
#[derive(Debug, Deserialize)]
struct Dial {
    outcome: String,
    reason: Option<String>,
    sentence: Option<String>,
    remedy: Option<String>,
}

/// The table of peers that left; `None` if nobody did.
pub(super) fn lost(lost: Value, terminal: &Terminal) -> Result<Option<Table>, Failure> {
    let lost: Vec<Lost> = read(lost)?;
    if lost.is_empty() {
        return Ok(None);
    }
    let head = ["left", "address", "ago", "after", "ended by", "reason", "what to do"];
    let rows = lost.iter().map(|one| {
        [
            one.node_id.short(),
            PeerPlace { address: one.address, relay: one.relay }.to_string(),
            duration(seconds(one.age_s)),
            duration(seconds(one.connected_s)),
            sanitised(&one.by),
            sanitised(&one.reason),
            sanitised(&one.remedy),
        ]
    });
    let fit = Fit { expendable: &[3, 6, 1, 4, 2], words: Some(6) };
    Ok(Some(fitted(head, rows.collect(), terminal.width(), fit)))
}

/// What came of dials, in lines: how many for which reason, and of each reason what it means and
/// what to do.
pub(super) fn walk(dials: Value) -> Result<Vec<String>, Failure> {
    let dials: Vec<Dial> = read(dials)?;
    if dials.is_empty() {
        return Ok(vec!["none so far".to_owned()]);
    }
    let mut reasons = BTreeMap::<&str, (u32, &Dial)>::new();
    let mut others = BTreeMap::<&str, u32>::new();
    for dial in &dials {
        match &dial.reason {
            Some(reason) => reasons.entry(reason).or_insert((0, dial)).0 += 1,
            None => *others.entry(&dial.outcome).or_default() += 1,
        }
    }
    let mut summary = vec![count(dials.len(), "dial")];
    summary.extend(reasons.iter().map(|(reason, (times, _))| format!("{times} x {reason}")));
    summary.extend(others.iter().map(|(outcome, times)| format!("{times} x {outcome}")));
    let mut lines = vec![sanitised(&summary.join(", "))];
    for (reason, (_, dial)) in &reasons {
        let said = [&dial.sentence, &dial.remedy].map(|text| text.as_deref().unwrap_or_default());
        lines.push(sanitised(&format!("{reason}: {}", said.join(" "))));
    }
    Ok(lines)
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::new(Exit::Unreachable, "the running node tells it in a way of its own")
            .because(error)
            .try_this("it is of another version: ask with that one, or with --json")
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dials_are_told_by_reason_with_what_to_do() {
        let refused = json!({
            "outcome": "failed", "reason": "connection_refused",
            "sentence": "Nobody listens at this address.", "remedy": "See whether a node runs.",
        });
        let ours = json!({
            "outcome": "failed", "reason": "self_dial",
            "sentence": "The address is that of this node itself.", "remedy": "Take it out.",
        });
        let dials = json!([refused, { "outcome": "under_way" }, ours, refused]);
        let lines = walk(dials).unwrap();
        assert_eq!(
            lines,
            [
                "4 dials, 2 x connection_refused, 1 x self_dial, 1 x under_way",
                "connection_refused: Nobody listens at this address. See whether a node runs.",
                "self_dial: The address is that of this node itself. Take it out.",
            ]
        );
        assert_eq!(walk(json!([])).unwrap(), ["none so far"]);
    }

    #[test]
    fn words_of_another_node_cannot_move_the_cursor() {
        let hostile = json!([{ "outcome": "failed", "reason": "\u{1b}[2J", "remedy": "\u{9b}1m" }]);
        for line in walk(hostile).unwrap() {
            assert!(line.chars().all(|char| matches!(char, ' '..='~')), "{line:?}");
        }
    }
}
