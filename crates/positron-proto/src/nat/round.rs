//! One search for a direct path.

use std::net::SocketAddr;

use super::{Offer, OwnPlaces, searches::Guesses};
use crate::{
    datagram::contract::ExtraSocket,
    limits::{
        PUNCH_PROBES, PUNCH_WAIT, SEARCH_STEP, SEARCH_TRAFFIC, SEARCH_TRAFFIC_TIME, SEARCH_WAIT,
        SEARCH_WISH,
    },
    time::{Duration, Instant},
};

/// How far the search for a direct path to one peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoundStage {
    /// It is to begin again.
    Idle,
    /// Where we are, or how far our own translators reach, is being found out before it is said.
    Measuring,
    /// CONNECT was said.
    Offered(Offer),
    /// ANSWER was said, and our translator is open.
    Answered { nonce: u64, plan: Plan },
    /// Both translators are open.
    Probing(Probing),
    /// The peer answered at one address, which is being dialled.
    Dialling,
}

/// What both ends do when both have said where they may be. They know the same, so that they choose
/// alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where the peer may be.
    pub(super) to: Vec<SocketAddr>,
    /// Whether one port is another one for everybody, and the other is not: then a search may help.
    pub(super) is_hard: bool,
    pub(super) search: Option<SearchPart>,
}

/// Which part we have in a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SearchPart {
    /// Our port is another one for everybody: we open many towards this address.
    Open(SocketAddr),
    /// That of the peer is: we guess.
    Guess(Guesses),
}

/// Requests that go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probing {
    pub(super) plan: Plan,
    pub(super) since: Instant,
    /// How often each address was asked.
    pub(super) probes: usize,
}

/// How a peer is reached through a relay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relayed {
    /// Whether we dialled it: then we begin.
    pub begins: bool,
    /// Where the relay is, if datagrams go there.
    pub relay: Option<SocketAddr>,
    /// Whether the relay sees both of us at one address.
    pub is_one_site: bool,
}

/// A port that no packet of the peer's came to, and none to the peer from: no translator on the way
/// takes what goes from it for a flow of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FreshPort {
    pub(super) socket: ExtraSocket,
    /// Where the relay sees it, once it said so.
    pub(super) mapped: Option<SocketAddr>,
}

/// A peer that is reached through a relay.
#[derive(Debug)]
pub(super) struct SoughtPath {
    pub(super) over: Relayed,
    pub(super) stage: RoundStage,
    /// Searches that came to nothing.
    pub(super) failed: usize,
    /// What the peer offered and is answered when it is known how far our translators reach.
    pub(super) offered: Option<Offer>,
    pub(super) worth: Worth,
    /// A socket that nobody heard of before, for this round.
    pub(super) fresh: Option<FreshPort>,
    /// When it was last asked how many hops away the relay is.
    pub(super) hops_asked: Option<Instant>,
    /// Whether the round that was offered is to be offered again, with a search.
    pub(super) anew: bool,
}

/// Whether a pair is worth a search.
#[derive(Debug, Default)]
pub(super) struct Worth {
    /// Bytes since then.
    counted: Option<(Instant, usize)>,
    /// Since when it is.
    wished: Option<Instant>,
}

impl SoughtPath {
    /// Nothing was done yet.
    pub(super) fn new(over: Relayed) -> Self {
        Self {
            over,
            stage: RoundStage::Idle,
            failed: 0,
            offered: None,
            worth: Worth::default(),
            fresh: None,
            hops_asked: None,
            anew: false,
        }
    }
}

impl Plan {
    /// What follows from two offers.
    pub(super) fn of(ours: &Offer, theirs: &Offer, own: &OwnPlaces, over: &Relayed) -> Self {
        let to = own.usable(&theirs.addresses(), over.is_one_site);
        let is_hard = ours.port_varies != theirs.port_varies;
        let is_search = is_hard && ours.searches && theirs.searches;
        let mut far = to.iter().filter_map(|addr| match addr {
            SocketAddr::V4(v4) if is_search && own.is_elsewhere(*addr) => Some(*v4),
            _ => None,
        });
        let search = far.next().map(|addr| match ours.port_varies {
            true => SearchPart::Open(addr.into()),
            false => SearchPart::Guess(Guesses::new(*addr.ip())),
        });
        Self { to, is_hard, search }
    }
}

impl Probing {
    /// When something is to be done next.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let wait = if self.plan.search.is_some() { SEARCH_WAIT } else { PUNCH_WAIT };
        let probe = self.since + PUNCH_PROBES.get(self.probes).copied().unwrap_or(wait);
        match self.plan.search {
            Some(SearchPart::Guess(_)) => probe.min(now + SEARCH_STEP),
            _ => probe,
        }
    }

    /// How long it goes on.
    pub(super) fn lasts(&self) -> Duration {
        if self.plan.search.is_some() { SEARCH_WAIT } else { PUNCH_WAIT }
    }
}

impl Worth {
    /// So much went over the relay; whether the pair is worth a search since now.
    pub(super) fn count(&mut self, now: Instant, bytes: usize) -> bool {
        let is_old = |(since, _): &(Instant, usize)| now.since(*since) >= SEARCH_TRAFFIC_TIME;
        let (since, before) = self.counted.filter(|it| !is_old(it)).unwrap_or((now, 0));
        let sum = before.saturating_add(bytes);
        self.counted = Some((since, sum));
        sum >= SEARCH_TRAFFIC && self.wish(now)
    }

    /// It is; whether it was not before.
    pub(super) fn wish(&mut self, now: Instant) -> bool {
        let is_news = !self.is_wished(now);
        self.wished = Some(now);
        is_news
    }

    pub(super) fn is_wished(&self, now: Instant) -> bool {
        self.wished.is_some_and(|since| now.since(since) < SEARCH_WISH)
    }
}
