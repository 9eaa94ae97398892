//! Who is here and whom to dial `[PROTOCOL 7]`.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use crate::{
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    misbehavior::Observation,
    rng::Rng,
    session::sessions::{Dial, DialFailure, DialOutcome, DownReason, Peer},
    standings::Standings,
    time::{Duration, Instant, Now, WallTime},
    wire::{frame::CloseReason, message::Message, record::PeerRecord},
};

/// The founding document's knobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `host:port` of nodes to begin with; host may be a name.
    pub bootstrap: Vec<String>,
    /// Peers below which new ones are dialled eagerly; also the number of outbound links aimed at.
    pub min_peers: usize,
    /// Peers, in all, above which newcomers are refused.
    pub max_peers: usize,
    /// Time between two questions for more peers.
    pub discovery_interval: Duration,
    /// Time between two heartbeats on each link.
    pub heartbeat_interval: Duration,
    /// Name and version, for our record.
    pub software: String,
}

/// A peer as the address book knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownPeer {
    /// Its newest record.
    pub record: Verified<PeerRecord>,
    /// The address at which it last answered a dial of ours; `None`: hearsay.
    pub dialled: Option<SocketAddr>,
    /// When it was last linked to us or answered; the epoch: never.
    pub last_seen: WallTime,
    /// Dials since then that failed.
    pub failures: u32,
}

/// What a peer said that concerns peers.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// First message of a session, or its answer.
    Hello {
        /// Whether it is the answer.
        answer: bool,
        /// Its own record.
        record: Signed<PeerRecord>,
        /// Where it sees us.
        observed: SocketAddr,
        /// Whom it knows.
        peers: Vec<Signed<PeerRecord>>,
    },
    /// It is there, with so many peers.
    Heartbeat(u32),
    /// It wants so many records.
    Discovery(u8),
    /// Whom it knows.
    Announcement(Vec<Signed<PeerRecord>>),
}

/// What peers want done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Dial; report [`Peers::dial_ended`].
    Dial(Dial),
    /// Look up `host:port`; report [`Peers::resolved`].
    Resolve(String),
    /// Let in who knocked ([`Peers::knock`]).
    Admit(Peer),
    /// Do not let in who knocked; addresses of others go first.
    Refuse {
        /// Whom.
        peer: Peer,
        /// Why.
        reason: CloseReason,
        /// What to say before.
        parting: Option<Message>,
    },
    /// End a session.
    Disconnect {
        /// With whom.
        peer: NodeId,
        /// Why.
        reason: CloseReason,
    },
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Check the signature of a record; report [`Peers::verified`] or [`Peers::refuted`].
    Verify {
        /// Who brought it.
        from: NodeId,
        /// The claim.
        record: Signed<PeerRecord>,
    },
    /// Keep it across restarts.
    Remember(KnownPeer),
    /// Drop it from the address book.
    Forget(NodeId),
    /// Something was seen of a peer.
    Observed {
        /// Of whom.
        peer: NodeId,
        /// What.
        what: Observation,
    },
    /// Our own addresses changed, as far as others can see them.
    OwnAddresses(Vec<SocketAddr>),
}

/// How it goes with one bootstrap address: in words for `start` and `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// As configured.
    pub address: String,
    /// What happened last.
    pub state: BootstrapState,
    /// Dials so far.
    pub attempts: u32,
}

/// See [`Bootstrap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapState {
    /// Not tried yet, or being tried for the first time.
    Trying,
    /// Linked, or it answered before.
    Reached(NodeId),
    /// The address does not read as `host:port`.
    Unusable(String),
    /// The name has no address, and why.
    Unresolved(String),
    /// The last dial failed, and why.
    Failed(DialFailure),
}

/// What happened and what was dropped, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Dials wished.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Addresses probed.
    pub probes: u64,
    /// Newcomers refused because every slot was taken.
    pub refused_full: u64,
    /// Newcomers refused because they are banned.
    pub refused_banned: u64,
    /// Records that were new or newer.
    pub records_learned: u64,
    /// Records dropped because the book, or its source's share of it, is full.
    pub records_dropped: u64,
    /// Records whose signature was forged.
    pub records_forged: u64,
}

/// The address book, and who is linked.
#[derive(Debug)]
pub struct Peers {}

#[allow(unused_variables, missing_docs, clippy::needless_pass_by_value)]
impl Peers {
    /// `me` signs our own record, and nothing else.
    pub fn new(
        config: Config,
        me: Arc<Identity>,
        network: NetworkId,
        remembered: Vec<KnownPeer>,
        rng: Rng,
        now: Now,
    ) -> Self {
        Self {}
    }
    /// Where we listen; an unspecified IP address stands for whatever others observe.
    pub fn listening(&mut self, now: Now, addresses: &[SocketAddr], out: &mut VecDeque<Out>) {}
    /// Somebody dialled us and is authenticated: in or out?
    pub fn knock(&mut self, now: Now, peer: Peer, standings: &Standings, out: &mut VecDeque<Out>) {}
    pub fn peer_up(
        &mut self,
        now: Now,
        peer: Peer,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn peer_down(
        &mut self,
        now: Now,
        peer: NodeId,
        reason: &DownReason,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn dial_ended(
        &mut self,
        now: Now,
        dial: Dial,
        outcome: DialOutcome,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn resolved(
        &mut self,
        now: Now,
        name: &str,
        outcome: Result<Vec<SocketAddr>, String>,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        incoming: Incoming,
        standings: &Standings,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn verified(
        &mut self,
        now: Now,
        from: NodeId,
        record: Verified<PeerRecord>,
        out: &mut VecDeque<Out>,
    ) {
    }
    pub fn refuted(&mut self, now: Now, from: NodeId, node: NodeId, out: &mut VecDeque<Out>) {}
    /// A link to this node is wanted now (a direct message waits): dials it if an address is known.
    pub fn connect(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {}
    /// A person wants a link to this address; kept like a bootstrap address.
    pub fn add_bootstrap(&mut self, now: Now, address: String, out: &mut VecDeque<Out>) {}
    /// Trust banned somebody.
    pub fn banned(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<Out>) {}
    pub fn handle_timeout(&mut self, now: Now, standings: &Standings, out: &mut VecDeque<Out>) {}
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
    pub fn bootstrap(&self) -> impl Iterator<Item = &Bootstrap> {
        core::iter::empty()
    }
    /// Peers in the address book.
    pub fn known(&self) -> impl Iterator<Item = &KnownPeer> {
        core::iter::empty()
    }
    /// Whether this node is in the address book.
    pub fn knows(&self, peer: &NodeId) -> bool {
        false
    }
    /// Where we say that we listen.
    pub fn own_addresses(&self) -> &[SocketAddr] {
        &[]
    }
}
