//! From whom packets are let in: the verdict, and the evidence for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
};

use super::{
    NatCounters, NatEffect, NatMessage, StrangerProbe, contacted::Contacted, message::ProbeStep,
};
use crate::{
    id::NodeId,
    limits::{
        CONTACT_LIFE, FILTERING_AGAIN, FILTERING_ASKS, FILTERING_HELPERS, FILTERING_LIFE,
        FILTERING_WAIT, MAX_FILTERING_EVIDENCE,
    },
    netgroup::Owner,
    rng::Rng,
    scope::{canonical, is_own_name},
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
    /// Whether a dial of ours reached it, now or before, so that it lets in strangers.
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
/// to for [`CONTACT_LIFE`]. *Dependent* takes [`FILTERING_HELPERS`] silent strangers of as many
/// owners, asked by peers of as many owners, because silence proves little: a peer may lie, and a
/// packet may be lost. All else is *unknown*, never a guess. A verdict is looked into again every
/// [`FILTERING_AGAIN`], and stands for [`FILTERING_LIFE`] without that.
///
/// **Bounds**: [`FILTERING_HELPERS`] questions under way in each family, [`FILTERING_ASKS`] of each
/// peer in a round, [`MAX_FILTERING_EVIDENCE`] pieces of evidence.
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
    /// At most [`FILTERING_HELPERS`], of as many owners.
    under_way: Vec<Question>,
    round_ends: Option<Instant>,
    /// When peers are asked next, if there are any to ask.
    ask_at: Option<Instant>,
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
    until: Instant,
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
        if !is_own_name(to.ip()) {
            self.contacted.handle_sent(now, to);
        }
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
    pub fn handle_answer(&mut self, now: Instant, from: NodeId, probe: &StrangerProbe) {
        let StrangerProbe { id, step } = probe;
        let contacted = &self.contacted;
        let is_it = |asked: &Question| asked.id == *id && asked.of.peer == from;
        let families = [&mut self.ipv4, &mut self.ipv6].into_iter();
        for family in families.filter(|family| family.under_way.iter().any(is_it)) {
            let tells = |stranger: &SocketAddr| !contacted.has(now, stranger.ip());
            let stranger = match step {
                ProbeStep::Asked(stranger) => stranger.socket_addr().map(canonical).filter(tells),
                ProbeStep::Nobody => None,
                ProbeStep::Ask | ProbeStep::Send(_) => return,
            };
            match family.under_way.iter_mut().find(|asked| is_it(asked)) {
                Some(asked) if stranger.is_some() => asked.stranger = stranger,
                _ => family.go_on(now, *id),
            }
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
        // Somebody near, or at another of our sockets, says nothing of what stands before this one.
        if is_own_name(from.ip()) || !matches!(Owner::of(from), Owner::Network(_)) {
            return false;
        }
        let is_contacted = self.contacted.has(now, from.ip());
        let family = self.family(from.ip());
        let asked = family.under_way.iter().find(|asked| asked.id == *id).copied();
        let Some(asked) = asked else { return false };
        if is_contacted {
            // Whoever is at an address that we sent to may be let in for that reason.
            family.go_on(now, *id);
        } else {
            family.learn(now, asked.of.peer, (from, true));
            family.conclude(now, Filtering::EndpointIndependent);
        }
        true
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [&self.ipv4, &self.ipv6].into_iter().filter_map(FamilyTest::due).min()
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
            if family.due().is_none_or(|at| at > now) {
                continue;
            }
            family.count_silence(now);
            let fits = |peer: &&DatagramPeer| {
                peer.addr.is_ipv6() == is_ipv6 && matches!(Owner::of(peer.addr), Owner::Network(_))
            };
            let askable: Vec<DatagramPeer> = peers.iter().filter(fits).copied().collect();
            while let Some(question) = family.ask(now, &askable, &mut self.rng) {
                self.counters.filtering_asked += 1;
                let message =
                    NatMessage::Probe(StrangerProbe { id: question.id, step: ProbeStep::Ask });
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
    fn due(&self) -> Option<Instant> {
        self.under_way.iter().map(|asked| asked.until).chain(self.ask_at).min()
    }

    fn peer_up(&mut self, now: Instant) {
        if self.verdict.is_none() {
            self.ask_at = Some(now);
        }
    }

    /// A question tells nothing: the next peer is asked.
    fn go_on(&mut self, now: Instant, id: TransactionId) {
        self.under_way.retain(|asked| asked.id != id);
        self.ask_at = Some(now);
    }

    /// What was waited for long enough is silent.
    fn count_silence(&mut self, now: Instant) {
        let over: Vec<Question> =
            self.under_way.extract_if(.., |asked| asked.until <= now).collect();
        for Question { of, stranger, .. } in over {
            self.ask_at = Some(now);
            let Some(stranger) = stranger else { continue };
            let [peers, strangers] = &mut self.silent;
            let (peer, owner) = (Owner::of(of.addr), Owner::of(stranger));
            let tells = matches!(owner, Owner::Network(_)) && peer != owner;
            if !tells || peers.contains(&peer) || strangers.contains(&owner) {
                continue;
            }
            peers.insert(peer);
            strangers.insert(owner);
            let enough = strangers.len() >= FILTERING_HELPERS;
            self.learn(now, of.peer, (stranger, false));
            if enough {
                return self.conclude(now, Filtering::Dependent);
            }
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
        self.under_way.clear();
        self.round_ends = Some(now + FILTERING_AGAIN);
        self.ask_at = self.round_ends;
    }

    /// Asks the peer that was asked least in this round, if it is of use.
    fn ask(&mut self, now: Instant, peers: &[DatagramPeer], rng: &mut Rng) -> Option<Question> {
        if self.ask_at.is_none_or(|at| at > now) {
            return None;
        }
        if self.under_way.len() >= FILTERING_HELPERS {
            // The next is asked when one of them has told something, or nothing.
            self.ask_at = None;
            return None;
        }
        if self.round_ends.is_none_or(|at| at <= now) {
            self.asked.clear();
            self.silent = Default::default();
            // Who was sent to may be a stranger again by then.
            self.round_ends = Some(now + CONTACT_LIFE);
        }
        let asked = |peer: &DatagramPeer| self.asked.get(&peer.peer).copied().unwrap_or(0);
        // Who was silent already would only be silent again.
        let under_way = self.under_way.iter().map(|asked| Owner::of(asked.of.addr));
        let known: BTreeSet<Owner> = under_way.chain(self.silent[0].iter().copied()).collect();
        let of_use = peers.iter().filter(|peer| !known.contains(&Owner::of(peer.addr)));
        let of_use: Vec<_> = of_use.filter(|peer| asked(peer) < FILTERING_ASKS).collect();
        let Some(least) = of_use.iter().map(|peer| asked(peer)).min() else {
            self.ask_at = self.round_ends.filter(|_| !peers.is_empty());
            return None;
        };
        let next: Vec<_> = of_use.into_iter().filter(|peer| asked(peer) == least).collect();
        let of = **rng.choose(&next)?;
        let (id, until) = (TransactionId::draw(rng), now + FILTERING_WAIT);
        let question = Question { id, of, stranger: None, until };
        *self.asked.entry(of.peer).or_default() += 1;
        self.under_way.push(question);
        Some(question)
    }
}

fn seconds<S: serde::Serializer>(age: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(age.as_secs())
}
