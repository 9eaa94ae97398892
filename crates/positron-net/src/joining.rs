//! Joining another node: whom, where, and why it did not work.

use std::{
    fmt,
    net::SocketAddr,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use positron_networking::{
    CloseReason, DialFailure, Events, HandshakeFailure, JoinError, Node, NodeEvent, NodeId,
};
use tokio::task::JoinSet;

use crate::{
    failure::{Exit, Failure},
    invite::{Invite, is_address},
    terminal::sanitised,
};

/// How long the other node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(12);
/// Wait before an address is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// Whom to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// One certain node.
    Invite(Invite),
    /// Whoever answers at `host:port`.
    Address(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with("positron:") {
            return text.parse().map(Self::Invite).map_err(|error| format!("{error}"));
        }
        let text = text.trim();
        is_address(text).map(|()| Self::Address(text.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invite(invite) => invite.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Target {
    fn addresses(&self) -> Vec<String> {
        match self {
            Self::Invite(invite) => invite.addresses.clone(),
            Self::Address(address) => vec![address.clone()],
        }
    }

    /// Whether a dial to `dialled` was on our behalf: names are looked up by the node.
    fn may_be(&self, dialled: SocketAddr) -> bool {
        self.addresses()
            .iter()
            .all(|address| address.parse::<SocketAddr>().map_or(true, |address| address == dialled))
    }

    fn is_met_by(&self, node: NodeId) -> bool {
        match self {
            Self::Invite(invite) => invite.node == node,
            Self::Address(_) => true,
        }
    }
}

/// Why nobody was joined.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct NotJoined {
    /// How far it came.
    pub end: JoinEnd,
    /// In words.
    pub reason: String,
}

/// How far an attempt to join came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JoinEnd {
    /// Nobody answered.
    Unreached,
    /// Somebody answered and refused.
    Refused,
    /// The target is the node that was to join it.
    Ourselves,
}

impl NotJoined {
    fn unreached(reason: impl Into<String>) -> Self {
        Self { end: JoinEnd::Unreached, reason: reason.into() }
    }

    /// As the end of the command.
    pub(crate) fn failure(&self, target: &Target) -> Failure {
        let place = sanitised(&target.addresses().join(", "));
        let (exit, what, fix) = match self.end {
            JoinEnd::Refused => {
                let fix = "ask whoever runs that node, or join another one of the network";
                (Exit::Refused, format!("the node at {place} refuses this one"), fix)
            }
            JoinEnd::Unreached => {
                let fix = "is it running, reachable from here, and is the address right?";
                (Exit::Unreachable, format!("no node to join answers at {place}"), fix)
            }
            JoinEnd::Ourselves => {
                let fix = "take the invite of another node; a second node on this machine has a \
                           folder of its own: --data-dir FOLDER";
                (Exit::Unreachable, format!("the node at {place} is this one itself"), fix)
            }
        };
        Failure::new(exit, what).because(sanitised(&self.reason)).try_this(fix)
    }
}

/// Connects `node` with the target, and tells who it is. All its addresses are tried at once, and
/// again until the time is over, unless trying again is in vain.
pub(crate) async fn join(node: &Arc<Node>, target: &Target) -> Result<NodeId, NotJoined> {
    if let Target::Invite(invite) = target {
        if invite.node == node.id() {
            let reason = format!("the invite is that of the node {}", node.id().short());
            return Err(NotJoined { end: JoinEnd::Ourselves, reason });
        }
        let ours = node.stats().network;
        if invite.network != ours {
            let reason =
                format!("it is in the network '{}', this node in '{ours}'", invite.network);
            return Err(NotJoined { end: JoinEnd::Refused, reason });
        }
    }
    let mut events = node.events();
    let mut attempts = JoinSet::new();
    for address in target.addresses() {
        attempts.spawn(attempt(Arc::clone(node), address, target.clone()));
    }
    let outcome = tokio::time::timeout(TIMEOUT, first_answer(&mut attempts, &mut events, target));
    let outcome = outcome.await;
    // Nobody holds the node any more when this returns.
    attempts.shutdown().await;
    outcome.unwrap_or_else(|_| Err(NotJoined::unreached(unanswered(node, target))))
}

/// How far the node came with each address of the target.
fn unanswered(node: &Node, target: &Target) -> String {
    let addresses = target.addresses();
    let states = node.stats().bootstrap.into_iter().filter(|one| addresses.contains(&one.address));
    let states: Vec<String> = states.map(|one| format!("{}: {}", one.address, one.state)).collect();
    format!("no answer within {} s ({})", TIMEOUT.as_secs(), states.join("; "))
}

/// Tries one address until it works, or cannot.
async fn attempt(node: Arc<Node>, address: String, target: Target) -> Result<NodeId, String> {
    let begin = Instant::now();
    loop {
        let reason = match node.join(&address).await {
            Ok(id) if target.is_met_by(id) => return Ok(id),
            Ok(id) => return Err(format!("another node answers at {address}: {id}")),
            Err(JoinError::Unreached { reason, .. }) => format!("{address}: {reason}"),
            Err(error) => return Err(error.to_string()),
        };
        if begin.elapsed() + PAUSE * 2 > TIMEOUT {
            return Err(reason);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The first success, or the failures of all addresses, or one that ends everything.
async fn first_answer(
    attempts: &mut JoinSet<Result<NodeId, String>>,
    events: &mut Events,
    target: &Target,
) -> Result<NodeId, NotJoined> {
    let mut reasons: Vec<String> = Vec::new();
    let mut end = JoinEnd::Unreached;
    loop {
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(id))) => return Ok(id),
                Some(Ok(Err(reason))) => reasons.push(reason),
                Some(Err(panic)) => reasons.push(panic.to_string()),
                None => return Err(NotJoined { end, reason: reasons.join("; ") }),
            },
            event = events.recv() => match event {
                Some(NodeEvent::DialFailed { address, reason }) if target.may_be(address) => {
                    end = if reason.is_for_want_of_room() {
                        JoinEnd::Refused
                    } else {
                        JoinEnd::Unreached
                    };
                    if let Some(end) = verdict(&reason) {
                        return Err(NotJoined { end, reason: format!("{address}: {reason}") });
                    }
                }
                Some(_) => {}
                None => return Err(NotJoined::unreached("the node stopped")),
            },
        }
    }
}

/// Whether trying again is in vain; if so, how it ended.
const fn verdict(reason: &DialFailure) -> Option<JoinEnd> {
    match reason {
        DialFailure::Handshake(HandshakeFailure::Refused(
            CloseReason::WrongNetwork
            | CloseReason::WrongVersion
            | CloseReason::WrongFeatures
            | CloseReason::Banned,
        )) => Some(JoinEnd::Refused),
        DialFailure::Handshake(HandshakeFailure::NotPositron(_)) => Some(JoinEnd::Unreached),
        DialFailure::Handshake(HandshakeFailure::Ourselves) => Some(JoinEnd::Ourselves),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_invite_or_an_address() {
        assert_eq!(
            "node.example.org:8888".parse(),
            Ok(Target::Address("node.example.org:8888".into()))
        );
        let invite = format!("positron:{}@192.0.2.1:8888?network=x", "07".repeat(32));
        let target: Target = invite.parse().unwrap();
        assert_eq!(target.to_string(), invite);
        assert!("positron:nonsense".parse::<Target>().is_err());
        assert!("nonsense".parse::<Target>().unwrap_err().contains("no port"));
    }

    #[test]
    fn another_network_ends_the_attempt_and_a_silent_address_does_not() {
        assert_eq!(
            verdict(&DialFailure::refused(CloseReason::WrongNetwork)),
            Some(JoinEnd::Refused)
        );
        assert_eq!(verdict(&HandshakeFailure::Ourselves.into()), Some(JoinEnd::Ourselves));
        assert_eq!(verdict(&DialFailure::Timeout), None);
        assert_eq!(verdict(&DialFailure::refused(CloseReason::SlotsFull)), None);
    }
}
