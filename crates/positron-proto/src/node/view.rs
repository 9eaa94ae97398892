//! What a node looks like from outside at one moment: for `stats`, `status` and the simulator's
//! checkers.

use std::net::SocketAddr;

use super::{AllCounters, AllLevels, SubscriptionView, Wake};
use crate::{
    id::NodeId,
    metric::Level,
    nat::NatInfo,
    peers::{Bootstrap, BootstrapState, Given, Reservation},
    reason::Reason,
    relay::PeerPlace,
    session::sessions,
    standings::TrustTable,
    time::{Duration, Instant},
};

/// One linked peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// The session.
    pub session: sessions::SessionView,
    /// Where it is.
    pub place: PeerPlace,
    /// What we make of it.
    pub score: f64,
    /// How long it is linked.
    pub connected_for: Duration,
}

impl PeerView {
    pub(super) fn new(
        session: sessions::SessionView,
        place: PeerPlace,
        standings: &TrustTable,
        now: Instant,
    ) -> Self {
        Self {
            score: standings.of(&session.peer.id).score,
            connected_for: now.since(session.since),
            place,
            session,
        }
    }
}

/// How near one linked peer is to each of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PeerBounds {
    /// What waits for it, and what of it is not complete.
    #[serde(flatten)]
    pub session: sessions::SessionBounds,
    /// Work that it made, in bytes to be read: beyond the limit its link is not read for a moment.
    pub work: Level,
    /// Requests of it that wait for an answer.
    pub requests: Level,
    /// Their bytes.
    pub request_bytes: Level,
    /// Streams with it.
    pub streams: Level,
}

/// What is on its way to the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageView {
    /// What the disk waits for, in words, if it takes nothing for now.
    pub waits_for: Option<String>,
    /// Why it failed for good, if it did.
    pub failed: Option<String>,
    /// The one word for either.
    pub reason: Option<Reason>,
    /// Changes that were made.
    pub changes: u64,
    /// Changes that are not on disk.
    pub waiting_changes: usize,
    /// Their memory in bytes, about.
    pub waiting_bytes: usize,
    /// Our own broadcasts that are not.
    pub waiting_broadcasts: usize,
}

/// A key that is used in two places at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedTwice {
    /// Whose: ours, or that of a peer.
    pub node: NodeId,
    /// Where: for our key the other place, as a peer told it; for that of a peer both.
    pub addresses: Vec<SocketAddr>,
}

/// The node at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Who it is.
    pub id: NodeId,
    /// Where others can reach it, as far as it knows.
    pub external_addresses: Vec<SocketAddr>,
    /// What stands between it and the internet.
    pub nat: NatInfo,
    /// Where it would have itself looked for by who wants a direct path, if it takes part in that.
    pub candidates: Vec<SocketAddr>,
    /// Its peers, in order of their ids.
    pub peers: Vec<PeerView>,
    /// How many it should have at least.
    pub min_peers: usize,
    /// How many peers its address book has.
    pub known_peers: usize,
    /// How it goes with the bootstrap addresses.
    pub bootstrap: Vec<Bootstrap>,
    /// Peers that it keeps a slot for, in order of their ids.
    pub reserved: Vec<Reservation>,
    /// Broadcasts that it keeps, and their bytes.
    pub kept: (usize, usize),
    /// How its durable subscriptions stand.
    pub subscriptions: Vec<SubscriptionView>,
    /// How its disk is.
    pub storage: StorageView,
    /// How long until it acts, if nothing happens, and why.
    pub next_wake: Option<(Duration, Wake)>,
    /// Peers that it bans.
    pub banned: usize,
    /// Bans of addresses.
    pub banned_addresses: usize,
    /// Sessions that went on over a link of each kind instead of one of another.
    pub moves: sessions::PerKind<u64>,
    /// Keys that are used in two places at once: ours may be among them.
    pub used_twice: Vec<UsedTwice>,
    /// What is there, beside the most that there can be.
    pub levels: AllLevels,
    /// Whether it was told to stop.
    pub is_stopping: bool,
    /// What happened.
    pub counters: AllCounters,
}

impl NodeView {
    /// Why the node has no peers, in words; `None` when it has some.
    pub fn isolation_reason(&self) -> Option<String> {
        if !self.peers.is_empty() {
            return None;
        }
        // That a join failed later is no reason of a node that was given nobody to begin with.
        let is_configured = self.bootstrap.iter().any(|one| one.given == Given::Configured);
        let begins = (!is_configured).then(|| match self.known_peers {
            0 => "no bootstrap address was given and no peer is known: \
                  waiting for others to connect"
                .into(),
            known => format!("no known peer is connected: trying {known} of the address book"),
        });
        let addresses = self.bootstrap.iter().map(how_it_goes);
        Some(begins.into_iter().chain(addresses).collect::<Vec<_>>().join("; "))
    }

    /// What is missing in words, when there are fewer peers than there should be.
    pub fn few_peers(&self) -> Option<String> {
        let (linked, wanted) = (self.peers.len(), self.min_peers);
        (linked < wanted).then(|| few_peers_in_words(linked, wanted))
    }
}

/// The same words wherever it is said that there are too few.
pub fn few_peers_in_words(linked: usize, wanted: usize) -> String {
    format!("{linked} of at least {wanted} (`min_peers`): whoever is known is dialled")
}

/// How it goes with an address whose node is not linked.
fn how_it_goes(of: &Bootstrap) -> String {
    let Bootstrap { address, given, state, attempts } = of;
    let address = match given {
        Given::Configured => address.clone(),
        Given::Joined => format!("asked to join {address}"),
    };
    match state {
        BootstrapState::Reached(_) => format!("{address}: was reached, and is not connected now"),
        BootstrapState::Unusable(_) => format!("{address}: {state}"),
        // A name that is not resolved has not been dialled.
        _ if *attempts == 0 => format!("{address}: {state}"),
        _ => format!("{address}: {state} (tried {})", times(*attempts)),
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        n => format!("{n} times"),
    }
}
