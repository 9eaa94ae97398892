//! From whom packets are let in: the verdict, and the evidence for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
};

use super::{NatCounters, NatEffect, NatMessage, Probe, contacted::Contacted, message::ProbeStep};
use crate::{
    id::NodeId,
    limits::{
        CONTACT_LIFE, FILTERING_AGAIN, FILTERING_ASKS, FILTERING_HELPERS, FILTERING_LIFE,
        FILTERING_PAUSE, FILTERING_SETTLE, FILTERING_WAIT, MAX_FILTERING_EVIDENCE,
    },
    netgroup::Owner,
    rng::Rng,
    scope::canonical,
    stun::TransactionId,
    time::{Duration, Instant},
};

/// From whom packets are let in that come to our listening UDP socket (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filtering {
    /// From everybody: "endpoint-independent".
    EndpointIndependent,
    /// From those only that we sent to before: "address-dependent" or "address and
    /// port-dependent", which takes a second socket of somebody else to tell apart.
    Dependent,
    /// Nobody knows: too few strangers tried.
    #[default]
    Unknown,
}

/// How one stranger fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StrangerSent {
    /// Who asked the stranger to send.
    pub asked: NodeId,
    /// From where it came, or would have come.
    pub from: SocketAddr,
    /// Whether it came.
    pub arrived: bool,
    /// How long ago.
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
}

/// A peer that is linked directly over datagrams, so that it sees our listening socket and we its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramPeer {
    /// Who.
    pub peer: NodeId,
    /// Where we see it.
    pub addr: SocketAddr,
    /// Whether we dialled it, so that it lets in strangers.
    pub is_dialled: bool,
}

/// Finds out who is let in: asks peers to have strangers send (RFC 5780, section 4.4, where the
/// stranger is the server's other address).
///
/// **Contract.** Tell it of everything that leaves the listening socket
/// ([`handle_sent`](Self::handle_sent)), of each new peer, of what peers say and of every STUN
/// answer. What it wants done is appended to `out`.
///
/// **Verdict.** *Endpoint-independent* is proven by one packet from an address that we sent nothing
/// to for [`CONTACT_LIFE`]. *Dependent* takes [`FILTERING_HELPERS`]
/// silent strangers of as many owners, asked by peers of as many owners, because silence proves
/// little: a peer may lie, and a packet may be lost. All else is *unknown*, never a guess. A verdict
/// is looked into again every [`FILTERING_AGAIN`], and stands for [`FILTERING_LIFE`] without that.
///
/// **Bounds**: one question under way in each family, [`FILTERING_ASKS`] of each peer in a round,
/// [`MAX_FILTERING_EVIDENCE`] pieces of evidence.
#[derive(Debug)]
pub struct FilteringTests {
    contacted: Contacted,
    ipv4: FamilyTest,
    ipv6: FamilyTest,
    rng: Rng,
    counters: NatCounters,
}

/// What is known and under way in one family.
#[derive(Debug, Default)]
struct FamilyTest {
    verdict: Option<(Filtering, Instant)>,
    evidence: VecDeque<Evidence>,
    /// Who was asked in this round, and how often.
    asked: BTreeMap<NodeId, u32>,
    /// Owners of peers and of strangers whose silence counts in this round.
    silent: [BTreeSet<Owner>; 2],
    under_way: Option<Question>,
    round_began: Option<Instant>,
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Evidence {
    asked: NodeId,
    from: SocketAddr,
    arrived: bool,
    at: Instant,
}

/// A peer was asked to have somebody send.
#[derive(Clone, Copy, Debug)]
struct Question {
    id: TransactionId,
    of: DatagramPeer,
    /// Whom it asked, as it says.
    stranger: Option<SocketAddr>,
}

impl FilteringTests {
    /// Nothing is known.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            contacted: Contacted::default(),
            ipv4: FamilyTest::default(),
            ipv6: FamilyTest::default(),
            rng,
            counters: NatCounters::default(),
        }
    }

    /// Datagrams leave our listening socket.
    pub fn handle_sent(&mut self, now: Instant, to: SocketAddr) {
        self.contacted.handle_sent(now, to);
    }

    /// A peer is linked over datagrams, or has become so.
    pub fn peer_up(&mut self, now: Instant, addr: SocketAddr) {
        if matches!(Owner::of(addr), Owner::Network(_)) {
            self.family(addr.ip()).peer_up(now);
        }
    }

    /// This machine is somewhere else: nothing that was found is of use.
    pub(super) fn handle_network_changed(&mut self) {
        (self.ipv4, self.ipv6) = (FamilyTest::default(), FamilyTest::default());
    }

    /// A linked peer answers what it was asked.
    pub fn handle_answer(&mut self, now: Instant, from: NodeId, probe: &Probe) {
        let Probe { id, step } = probe;
        let contacted = &self.contacted;
        let families = [&mut self.ipv4, &mut self.ipv6];
        let is_it = |asked: &Question| asked.id == *id && asked.of.peer == from;
        let Some(family) =
            families.into_iter().find(|family| family.under_way.as_ref().is_some_and(is_it))
        else {
            return;
        };
        match step {
            ProbeStep::Asked(stranger) => {
                let stranger = stranger.socket_addr().map(canonical);
                let tells = |it: &SocketAddr| !contacted.has(now, it.ip());
                match (stranger.filter(tells), &mut family.under_way) {
                    (Some(stranger), Some(asked)) => asked.stranger = Some(stranger),
                    _ => family.go_on(now),
                }
            }
            ProbeStep::Nobody => family.go_on(now),
            ProbeStep::Ask | ProbeStep::Send(_) => {}
        }
    }

    /// A STUN answer came; whether it was one that a stranger was asked for.
    pub fn handle_stun_answer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        id: &TransactionId,
    ) -> bool {
        let from = canonical(from);
        let is_contacted = self.contacted.has(now, from.ip());
        let family = self.family(from.ip());
        let Some(asked) = family.under_way.filter(|asked| asked.id == *id) else { return false };
        if is_contacted {
            // Whoever is at an address that we sent to may be let in for that reason.
            family.go_on(now);
        } else {
            family.learn(now, asked.of.peer, (from, true));
            family.conclude(now, Filtering::EndpointIndependent);
        }
        true
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.ipv4.due, self.ipv6.due].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        peers: &[DatagramPeer],
        out: &mut VecDeque<NatEffect>,
    ) {
        for is_ipv6 in [false, true] {
            let family = if is_ipv6 { &mut self.ipv6 } else { &mut self.ipv4 };
            if family.due.is_none_or(|at| at > now) {
                continue;
            }
            family.due = None;
            family.count_silence(now);
            let fits = |peer: &&DatagramPeer| {
                peer.addr.is_ipv6() == is_ipv6 && matches!(Owner::of(peer.addr), Owner::Network(_))
            };
            let askable: Vec<DatagramPeer> = peers.iter().filter(fits).copied().collect();
            if let Some(question) = family.ask(now, &askable, &mut self.rng) {
                self.counters.filtering_asked += 1;
                let message = NatMessage::Probe(Probe { id: question.id, step: ProbeStep::Ask });
                out.push_back(NatEffect::Send { to: question.of.peer, message });
            }
        }
    }

    /// What was found in one family.
    pub(super) fn verdict(&self, now: Instant, is_ipv6: bool) -> (Filtering, Vec<StrangerSent>) {
        let family = if is_ipv6 { &self.ipv6 } else { &self.ipv4 };
        let is_fresh = |at: Instant| now.since(at) < FILTERING_LIFE;
        let verdict = family.verdict.filter(|(_, at)| is_fresh(*at));
        let fresh = family.evidence.iter().filter(|evidence| is_fresh(evidence.at));
        let shown = fresh.map(|&Evidence { asked, from, arrived, at }| StrangerSent {
            asked,
            from,
            arrived,
            age: now.since(at),
        });
        (verdict.map_or(Filtering::Unknown, |(verdict, _)| verdict), shown.collect())
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> NatCounters {
        self.counters
    }

    fn family(&mut self, ip: IpAddr) -> &mut FamilyTest {
        if ip.to_canonical().is_ipv6() { &mut self.ipv6 } else { &mut self.ipv4 }
    }
}

impl FamilyTest {
    fn peer_up(&mut self, now: Instant) {
        if self.under_way.is_none() && self.verdict.is_none() {
            let rested = self.round_began.map_or(now, |began| began + FILTERING_PAUSE);
            let at = rested.max(now + FILTERING_SETTLE);
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// What is under way tells nothing: the next peer is asked.
    fn go_on(&mut self, now: Instant) {
        self.under_way = None;
        self.due = Some(now);
    }

    /// What is under way was waited for long enough.
    fn count_silence(&mut self, now: Instant) {
        let Some(Question { of, stranger: Some(stranger), .. }) = self.under_way.take() else {
            return;
        };
        let [peers, strangers] = &mut self.silent;
        let (peer, owner) = (Owner::of(of.addr), Owner::of(stranger));
        let tells = matches!(owner, Owner::Network(_)) && peer != owner;
        if !tells || peers.contains(&peer) || strangers.contains(&owner) {
            return;
        }
        peers.insert(peer);
        strangers.insert(owner);
        let enough = strangers.len() >= FILTERING_HELPERS;
        self.learn(now, of.peer, (stranger, false));
        if enough {
            self.conclude(now, Filtering::Dependent);
        }
    }

    fn learn(&mut self, now: Instant, asked: NodeId, (from, arrived): (SocketAddr, bool)) {
        self.evidence.retain(|before| before.arrived == arrived && before.asked != asked);
        self.evidence.push_back(Evidence { asked, from, arrived, at: now });
        while self.evidence.len() > MAX_FILTERING_EVIDENCE {
            self.evidence.pop_front();
        }
    }

    fn conclude(&mut self, now: Instant, verdict: Filtering) {
        self.verdict = Some((verdict, now));
        self.end_round(now + FILTERING_AGAIN);
    }

    fn end_round(&mut self, next: Instant) {
        self.under_way = None;
        self.asked.clear();
        self.silent = Default::default();
        self.due = Some(next);
    }

    /// Asks the peer that was asked least, or ends the round.
    fn ask(&mut self, now: Instant, peers: &[DatagramPeer], rng: &mut Rng) -> Option<Question> {
        if self.due.is_some() {
            return None;
        }
        if self.asked.is_empty() {
            self.round_began = Some(now);
        }
        let asked = |peer: &DatagramPeer| self.asked.get(&peer.peer).copied().unwrap_or(0);
        // Who was silent already would only be silent again.
        let is_of_use = |peer: &&DatagramPeer| !self.silent[0].contains(&Owner::of(peer.addr));
        let least = peers.iter().filter(is_of_use).map(asked).min();
        let Some(least) = least.filter(|least| *least < FILTERING_ASKS) else {
            // Who was sent to may be a stranger again by then.
            self.end_round(now + CONTACT_LIFE);
            if peers.is_empty() {
                self.due = None;
            }
            return None;
        };
        let next: Vec<_> =
            peers.iter().filter(is_of_use).filter(|peer| asked(peer) == least).collect();
        let of = **next.get(rng.index(next.len()))?;
        let question = Question { id: TransactionId::draw(rng), of, stranger: None };
        *self.asked.entry(of.peer).or_default() += 1;
        self.under_way = Some(question);
        self.due = Some(now + FILTERING_WAIT);
        Some(question)
    }
}

fn seconds<S: serde::Serializer>(age: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(age.as_secs())
}
