//! Joining another node: whom, where, and why it did not work.

use std::{collections::BTreeMap, fmt, net::SocketAddr, str::FromStr, time::Instant};

use positron_networking::{
    CloseReason, DialFailure, Events, HandshakeFailure, Invite, JoinError, Node, NodeEvent, NodeId,
    is_target,
};
use tokio::task::{AbortHandle, JoinSet};

use crate::limits::{JOIN_PAUSE, JOIN_TIMEOUT};

/// Whom to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One certain node.
    Invite(Invite),
    /// Whoever answers at `host:port`, or a certain node at `id@host:port`.
    Address(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with("positron:") {
            return text.parse().map(Self::Invite).map_err(|error| format!("{error}"));
        }
        let text = text.trim();
        is_target(text).map(|()| Self::Address(text.to_owned()))
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
    /// Where it may be.
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Invite(invite) => invite.addresses.clone(),
            Self::Address(address) => vec![address.clone()],
        }
    }

    fn is_met_by(&self, node: NodeId) -> bool {
        match self {
            Self::Invite(invite) => invite.node == node,
            Self::Address(_) => true,
        }
    }
}

/// Why nobody was joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJoined {
    /// How far it came.
    pub end: JoinEnd,
    /// In words.
    pub reason: String,
}

/// How far an attempt to join came; the later says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JoinEnd {
    /// Nobody answered.
    Unreached,
    /// The target is the node that was to join it.
    Ourselves,
    /// Somebody answered and refused.
    Refused,
}

impl NotJoined {
    fn unreached(reason: impl Into<String>) -> Self {
        Self { end: JoinEnd::Unreached, reason: reason.into() }
    }
}

/// Connects `node` with the target, and tells who it is. All its addresses are tried at once, and
/// again until the time is over, unless trying again is in vain.
pub async fn join(node: &Node, target: &Target) -> Result<NodeId, NotJoined> {
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
    let mut race = Race::begin(node, target);
    let outcome = tokio::time::timeout(JOIN_TIMEOUT, race.first_answer()).await;
    race.attempts.shutdown().await;
    outcome.unwrap_or_else(|_| Err(race.out_of_time(unanswered(node, target))))
}

/// How far the node came with each address of the target.
fn unanswered(node: &Node, target: &Target) -> String {
    let addresses = target.addresses();
    let states = node.stats().bootstrap.into_iter().filter(|one| addresses.contains(&one.address));
    let states: Vec<String> = states.map(|one| format!("{}: {}", one.address, one.state)).collect();
    format!("no answer within {} s ({})", JOIN_TIMEOUT.as_secs(), states.join("; "))
}

/// All addresses of a target, tried at the same time.
#[derive(Debug)]
struct Race {
    attempts: JoinSet<Ended>,
    /// What ends the attempt at an address before it ends by itself.
    aborts: BTreeMap<String, AbortHandle>,
    events: Events,
    /// Why it did not work, where it is certain.
    reasons: Vec<String>,
    /// How far the best of them came.
    end: JoinEnd,
}

/// Who answers at an address, or why nobody does.
type Ended = Result<NodeId, String>;

impl Race {
    fn begin(node: &Node, target: &Target) -> Self {
        let events = node.events();
        let (mut attempts, mut aborts) = (JoinSet::new(), BTreeMap::new());
        for address in target.addresses() {
            let attempt = attempt(node.clone(), address.clone(), target.clone());
            aborts.insert(address, attempts.spawn(attempt));
        }
        Self { attempts, aborts, events, reasons: Vec::new(), end: JoinEnd::Unreached }
    }

    /// The first success, or the failures of all addresses.
    async fn first_answer(&mut self) -> Result<NodeId, NotJoined> {
        loop {
            tokio::select! {
                ended = self.attempts.join_next() => match ended {
                    Some(Ok(Ok(id))) => return Ok(id),
                    Some(Ok(Err(reason))) => self.reasons.push(reason),
                    // What was said there already ended it.
                    Some(Err(error)) if error.is_cancelled() => {}
                    Some(Err(panic)) => self.reasons.push(panic.to_string()),
                    None => return Err(self.not_joined()),
                },
                event = self.events.recv() => match event {
                    Some(NodeEvent::DialFailed { address, reason }) => {
                        self.handle_dial_failed(address, &reason);
                    }
                    Some(_) => {}
                    None => return Err(NotJoined::unreached("the node stopped")),
                },
            }
        }
    }

    /// An attempt that is in vain ends. The others go on: an address of a private network can be
    /// somebody else's here.
    fn handle_dial_failed(&mut self, dialled: SocketAddr, reason: &DialFailure) {
        let Some(address) = self.attempt_at(dialled) else { return };
        if reason.is_for_want_of_room() {
            self.end = self.end.max(JoinEnd::Refused);
        }
        if let Some(end) = verdict(reason) {
            self.end = self.end.max(end);
            self.reasons.push(format!("{dialled}: {reason}"));
            if let Some(attempt) = self.aborts.remove(&address) {
                attempt.abort();
            }
        }
    }

    /// For which attempt that is under way the dial was made. A name is looked up by the node: it
    /// is the name's if there is no other attempt.
    fn attempt_at(&self, dialled: SocketAddr) -> Option<String> {
        let ip = |address: &str| address.parse::<SocketAddr>().ok();
        let exact = self.aborts.keys().find(|address| ip(address) == Some(dialled));
        let mut names = self.aborts.keys().filter(|address| ip(address).is_none());
        let only_name = names.next().filter(|_| self.aborts.len() == 1);
        exact.or(only_name).cloned()
    }

    fn not_joined(&self) -> NotJoined {
        NotJoined { end: self.end, reason: self.reasons.join("; ") }
    }

    /// The time is over; `unanswered` says how far the addresses are of which nothing is certain.
    fn out_of_time(mut self, unanswered: String) -> NotJoined {
        self.reasons.push(unanswered);
        self.not_joined()
    }
}

/// Tries one address until it works, or cannot.
async fn attempt(node: Node, address: String, target: Target) -> Ended {
    let begin = Instant::now();
    loop {
        let reason = match node.join(&address).await {
            Ok(id) if target.is_met_by(id) => return Ok(id),
            Ok(id) => return Err(format!("another node answers at {address}: {id}")),
            Err(JoinError::Unreached { reason, .. }) => format!("{address}: {reason}"),
            Err(error) => return Err(error.to_string()),
        };
        if begin.elapsed() + JOIN_PAUSE * 2 > JOIN_TIMEOUT {
            return Err(reason);
        }
        tokio::time::sleep(JOIN_PAUSE).await;
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
        let certain = format!("{}@node.example.org:8888", "07".repeat(32));
        assert_eq!(certain.parse(), Ok(Target::Address(certain)));
        assert!("7@h:1".parse::<Target>().unwrap_err().contains("64 hexadecimal"));
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
