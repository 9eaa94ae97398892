//! The node that runs with the data folder: whether it answers, and whether it has peers.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use positron_admin::{Client, ClientError};
use serde_json::Value;

use super::finding::Finding;
use crate::{running, table::count};

/// How long the node may take to answer; a sound one takes milliseconds (guess).
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after its start in which a node without peers may still be looking for them (guess).
const YOUNG: f64 = 10.0;
/// Different remedies for dials that are told.
const MAX_REMEDIES: usize = 3;

/// What is known of the node with the data folder.
#[derive(Clone, Debug)]
pub(super) enum NodeState {
    /// None runs.
    Absent,
    /// One runs and does not answer as it should.
    Silent,
    /// One runs and tells how it is.
    Tells(NodeAnswer),
}

/// What a node tells.
#[derive(Clone, Debug)]
pub(super) struct NodeAnswer {
    /// How it is.
    pub status: Value,
    /// What to do about dials that failed, if it is alone.
    pub remedies: Vec<String>,
}

/// Whether a node runs with this data folder, and what it says.
pub(super) fn look(folder: &Path) -> (Finding, NodeState) {
    let place = folder.display();
    match asked_within(folder.to_owned(), PATIENCE) {
        Ok(told) => {
            let says = format!("runs with the data folder {place}");
            (Finding::right("node", says), NodeState::Tells(told))
        }
        // Where no socket can be, no node runs.
        Err(error) if folder.is_dir() && !matches!(error, ClientError::NotRunning) => {
            let advice = match &error {
                ClientError::Unusable(error) => match error.kind() {
                    ErrorKind::TimedOut => {
                        "see whether its process is stopped or has no CPU, and its log; restart it"
                    }
                    ErrorKind::PermissionDenied => "ask as the user who runs it",
                    _ => "restart it",
                },
                _ => "is it of another version? restart it with this one",
            };
            let says = running::failure(folder, error).in_one_line();
            (Finding::wrong("node", says).advise(advice), NodeState::Silent)
        }
        Err(_) => {
            let says = format!("none runs with the data folder {place}");
            (Finding::unknown("node", says), NodeState::Absent)
        }
    }
}

/// Asks in a thread of its own, which is left alone if there is no answer in time.
fn asked_within(folder: PathBuf, patience: Duration) -> Result<NodeAnswer, ClientError> {
    let (answer, answered) = channel();
    thread::spawn(move || answer.send(ask(&folder)));
    let late = |_| Err(ClientError::Unusable(io::Error::from(ErrorKind::TimedOut)));
    answered.recv_timeout(patience).unwrap_or_else(late)
}

fn ask(folder: &Path) -> Result<NodeAnswer, ClientError> {
    let client = Client::new(folder)?;
    let status: Value = client.get("/v1/status")?;
    let mut remedies = Vec::new();
    if status["active_peers"] == 0 {
        let dials: Value = client.get("/v1/dials")?;
        let dials = dials["dials"].as_array().into_iter().flatten();
        for remedy in dials.filter_map(|dial| dial["remedy"].as_str()) {
            if remedies.len() < MAX_REMEDIES && !remedies.iter().any(|known| known == remedy) {
                remedies.push(remedy.to_owned());
            }
        }
    }
    Ok(NodeAnswer { status, remedies })
}

impl NodeState {
    /// How it is, if it tells.
    pub(super) const fn status(&self) -> Option<&Value> {
        match self {
            Self::Tells(told) => Some(&told.status),
            Self::Absent | Self::Silent => None,
        }
    }
}

impl NodeAnswer {
    /// Whether it has peers, and why not.
    pub(super) fn peers(&self) -> Finding {
        let (about, status) = ("peers", &self.status);
        let said = |key: &str| status[key].as_str().map(ToOwned::to_owned);
        match (status["active_peers"].as_u64().unwrap_or(0), said("few_peers")) {
            (0, _) => self.alone(&said("isolation_reason").unwrap_or_default()),
            (_, Some(few)) => Finding::note(about, few),
            (some, None) => Finding::right(about, format!("{some} connected")),
        }
    }

    fn alone(&self, why: &str) -> Finding {
        let (about, status) = ("peers", &self.status);
        let says = format!("none is connected: {why}");
        let has_bootstrap = status["bootstrap"].as_array().is_some_and(|all| !all.is_empty());
        if !has_bootstrap && status["known_peers"] == 0 {
            let advice = "give its invite to other nodes, or have it join one: `positron-net join`";
            return Finding::note(about, says).advise(advice);
        }
        let age = status["uptime_s"].as_f64().unwrap_or(0.0);
        if age < YOUNG {
            let age = count(format_args!("{age:.0}"), "second");
            let says = format!("{says}; it began {age} ago");
            return Finding::unknown(about, says).advise("look again in a moment");
        }
        let advice = match &self.remedies[..] {
            [] => "see whether those nodes run, and whether a firewall is in the way".to_owned(),
            some => some.join(" "),
        };
        Finding::wrong(about, says).advise(advice)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use serde_json::json;

    use super::*;
    use crate::doctor::finding::Verdict;

    fn peers(status: Value) -> Finding {
        NodeAnswer { status, remedies: vec!["Start it.".to_owned(), "Wait.".to_owned()] }.peers()
    }

    #[test]
    fn a_node_that_stays_alone_is_wrong_and_it_is_said_what_to_do() {
        let alone = |bootstrap: Value, age: f64| {
            peers(json!({
                "active_peers": 0, "known_peers": 0, "uptime_s": age, "bootstrap": bootstrap,
                "few_peers": "few", "isolation_reason": "192.0.2.1:1: nobody listens there",
            }))
        };
        let found = alone(json!([{}]), 30.0);
        assert_eq!(found.verdict, Verdict::Wrong);
        assert!(found.says.contains("nobody listens there"), "{}", found.says);
        assert_eq!(found.advice.unwrap(), "Start it. Wait.");
        assert_eq!(alone(json!([{}]), 1.0).verdict, Verdict::Unknown, "it has just begun");
        assert_eq!(alone(json!([]), 30.0).verdict, Verdict::Note, "it is the first of its network");
    }

    #[test]
    fn a_node_with_peers_is_right_and_too_few_are_noted() {
        let linked = |few: Value| peers(json!({ "active_peers": 2, "few_peers": few }));
        assert_eq!(linked(Value::Null).verdict, Verdict::Right);
        let few = linked("2 of at least 4".into());
        assert_eq!((few.verdict, few.says.as_str()), (Verdict::Note, "2 of at least 4"));
    }

    #[test]
    fn a_node_that_does_not_answer_in_time_is_no_node_that_does_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let none = asked_within(folder.path().to_owned(), PATIENCE);
        assert!(matches!(none, Err(ClientError::NotRunning)));
        let _frozen = UnixListener::bind(folder.path().join("control.sock")).unwrap();
        let late = asked_within(folder.path().to_owned(), Duration::from_millis(1));
        let Err(ClientError::Unusable(error)) = late else { panic!("{late:?}") };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let says = running::failure(folder.path(), ClientError::Unusable(error)).in_one_line();
        assert!(says.ends_with("no answer in time"), "{says}");
    }
}
