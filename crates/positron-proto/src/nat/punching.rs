//! Direct paths to peers that are reached through a relay.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use super::{
    DialOver, NatCounters, NatEffect, NatMessage, Offer, OwnPlaces,
    probes::{AskedFor, Probes},
    round::{FreshPort, Plan, Probing, Relayed, RoundStage, SearchPart, SoughtPath},
    searches::Searches,
};
use crate::{
    allowance::Allowance,
    datagram::contract::{ExtraSocket, StunAnswered},
    deadlines::Deadlines,
    id::NodeId,
    limits::{
        HOPS_GRACE, HOPS_LIFE, HOPS_WAIT, MAPPING_ASKS, MAX_CANDIDATES, MAX_OPENER_HOPS,
        MAX_PUNCHED, PUNCH_AGAIN, PUNCH_FOUND_AGAIN, PUNCH_OPENERS, PUNCH_PROBES,
        PUNCH_ROUNDS_BURST, PUNCH_ROUNDS_PACE, PUNCH_STEP, SEARCH_GUESSES_A_STEP, SEARCH_SOCKETS,
        SEARCHES_FOR_OTHERS, SEARCHES_FOR_OTHERS_PACE,
    },
    lru::LruMap,
    rng::Rng,
    scope::{Scope, is_plausible},
    stun::TransactionId,
    time::{Duration, Instant, Now},
    wire::Address,
};

/// Searches for direct paths: "hole punching", with openers (`nat` has the picture).
///
/// **Contract.** Tell it of each session that goes over a relay
/// ([`peer_relayed`](Self::peer_relayed)) and of each that does not any more, of what peers say and
/// of every STUN answer. What it wants done is appended to `out`.
///
/// **Guarantees.** Nothing is sent to an address on another's word but in a round in which both
/// ends take part, and within the bounds of `Probes`. A path that was found is only ever dialled:
/// who is there has to prove it like anybody else.
///
/// **Bounds**: [`MAX_PUNCHED`] peers.
#[derive(Debug)]
pub struct Punching {
    wanted: BTreeMap<NodeId, SoughtPath>,
    /// To whom there was a direct path: one that is lost may come again.
    found: LruMap<NodeId, ()>,
    /// What each peer may ask for, as long as it is linked.
    asking: BTreeMap<NodeId, Allowance>,
    probes: Probes,
    searches: Searches,
    /// Searches that others may ask for.
    favours: Allowance,
    deadlines: Deadlines<NodeId>,
    /// How far an opener goes, and since when that is believed.
    reach: Option<(u8, Instant)>,
    rng: Rng,
    counters: NatCounters,
}

impl Punching {
    /// Nobody is reached through a relay.
    pub fn new(rng: Rng) -> Self {
        Self {
            wanted: BTreeMap::new(),
            found: LruMap::new(MAX_PUNCHED),
            asking: BTreeMap::new(),
            probes: Probes::default(),
            searches: Searches::default(),
            favours: Allowance::default(),
            deadlines: Deadlines::new(),
            reach: None,
            rng,
            counters: NatCounters::default(),
        }
    }

    /// A session goes over a relay, or over another one than before.
    pub fn peer_relayed(&mut self, now: Now, peer: NodeId, over: Relayed) {
        if let Some(wanted) = self.wanted.get_mut(&peer) {
            let before = core::mem::replace(&mut wanted.over, over);
            if before.begins != over.begins {
                (wanted.stage, wanted.offered) = (RoundStage::Idle, None);
                self.deadlines.set_or_clear(peer, over.begins.then_some(now.mono));
            }
            return;
        }
        if self.wanted.len() >= MAX_PUNCHED {
            return;
        }
        self.wanted.insert(peer, SoughtPath::new(over));
        self.deadlines.set(peer, now.mono);
    }

    /// So many bytes went over a relay, from or to a peer.
    pub fn handle_traffic(&mut self, now: Now, peer: &NodeId, bytes: usize) {
        if let Some(wanted) = self.wanted.get_mut(peer)
            && wanted.worth.count(now.mono, bytes)
        {
            self.hurry(now, peer);
        }
    }

    /// The application asked for a path to a peer.
    pub fn handle_asked(&mut self, now: Now, peer: &NodeId) {
        if let Some(wanted) = self.wanted.get_mut(peer)
            && wanted.worth.wish(now.mono)
        {
            self.hurry(now, peer);
        }
    }

    /// A pair is worth more than it was: a round begins anew that was begun without a search.
    fn hurry(&mut self, now: Now, peer: &NodeId) {
        let may_begin = self.searches.may_begin(now.mono, peer);
        let Some(wanted) = self.wanted.get_mut(peer).filter(|it| it.over.begins && may_begin)
        else {
            return;
        };
        match &wanted.stage {
            RoundStage::Offered(offer) => wanted.anew = !offer.searches,
            RoundStage::Probing(Probing { plan, .. }) if plan.is_hard && plan.search.is_none() => {
                wanted.stage = RoundStage::Idle;
                self.deadlines.set(*peer, now.mono);
            }
            RoundStage::Idle => self.deadlines.set_earliest(*peer, now.mono),
            _ => {}
        }
    }

    /// A session goes over a path of its own.
    pub fn peer_direct(&mut self, peer: &NodeId) {
        if self.forget(peer).is_some() {
            self.counters.direct += 1;
            self.found.insert(*peer, ());
        }
    }

    /// A session is over.
    pub fn peer_down(&mut self, peer: &NodeId) {
        self.forget(peer);
        self.asking.remove(peer);
    }

    fn forget(&mut self, peer: &NodeId) -> Option<SoughtPath> {
        self.deadlines.clear(*peer);
        self.probes.forget(peer);
        self.wanted.remove(peer)
    }

    /// This machine is somewhere else: everything is tried anew, now.
    pub fn handle_network_changed(&mut self, now: Now) {
        self.reach = None;
        for (peer, wanted) in self.wanted.iter_mut().filter(|(_, wanted)| wanted.over.begins) {
            wanted.failed = 0;
            wanted.stage = RoundStage::Idle;
            self.deadlines.set(*peer, now.mono);
        }
    }

    /// A linked peer said something.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: NatMessage,
        own: &OwnPlaces,
        out: &mut VecDeque<NatEffect>,
    ) {
        match message {
            NatMessage::Connect(offer) => self.handle_connect(now, from, &offer, own, out),
            NatMessage::Answer(offer) => self.handle_answer(now, from, &offer, own, out),
            NatMessage::Sync(nonce) => self.handle_sync(now, from, nonce, out),
            NatMessage::Probe(_) => {}
        }
    }

    fn handle_connect(
        &mut self,
        now: Now,
        from: NodeId,
        offer: &Offer,
        own: &OwnPlaces,
        out: &mut VecDeque<NatEffect>,
    ) {
        let Some(wanted) = self.wanted.get_mut(&from) else { return };
        let allowance = self.asking.entry(from).or_default();
        if wanted.over.begins || !allowance.pay(now.mono, PUNCH_ROUNDS_PACE, PUNCH_ROUNDS_BURST) {
            self.counters.refused += 1;
            return;
        }
        self.counters.rounds += 1;
        wanted.offered = Some(offer.clone());
        self.prepare(now, from, own, out);
    }

    /// Says where we may be, as soon as all is known that is to be known before: how far openers go
    /// only by who opens its translator with its word.
    fn prepare(&mut self, now: Now, peer: NodeId, own: &OwnPlaces, out: &mut VecDeque<NatEffect>) {
        let mapped_at = self.freshen(now, peer, own, out);
        let measured_at = self.measure(now, peer, out);
        let begins = self.wanted.get(&peer).is_some_and(|wanted| wanted.over.begins);
        match mapped_at.max(measured_at.filter(|_| !begins)) {
            Some(at) => {
                self.set_stage(peer, RoundStage::Measuring);
                self.deadlines.set(peer, at);
            }
            None => self.speak(now, peer, own, out),
        }
    }

    fn speak(&mut self, now: Now, peer: NodeId, own: &OwnPlaces, out: &mut VecDeque<NatEffect>) {
        let Some(wanted) = self.wanted.get_mut(&peer) else { return };
        if let Some(fresh) = &mut wanted.fresh {
            // Of what the relay says only the port is news.
            let is_ours = |at: &SocketAddr| own.public.iter().any(|known| known.ip() == at.ip());
            fresh.mapped = fresh.mapped.filter(is_ours);
        }
        if wanted.over.begins {
            self.offer(now, peer, own, out);
        } else {
            self.answer(now, peer, own, out);
        }
    }

    /// Opens our translator, then says so.
    fn answer(&mut self, now: Now, peer: NodeId, own: &OwnPlaces, out: &mut VecDeque<NatEffect>) {
        let Some(wanted) = self.wanted.get_mut(&peer) else { return };
        let (Some(theirs), over) = (wanted.offered.take(), wanted.over) else { return };
        self.probes.forget_paths(&peer);
        // Who guesses is asked for more than who opens ports of its own.
        let is_wished = wanted.worth.is_wished(now.mono);
        let is_favour = own.port_varies && theirs.searches && !theirs.port_varies;
        let (pace, burst) = (SEARCHES_FOR_OTHERS_PACE, SEARCHES_FOR_OTHERS);
        let is_willing = is_wished || is_favour && self.favours.pay(now.mono, pace, burst);
        let ours = self.offer_of(now, &peer, theirs.nonce, is_willing, own);
        let mut plan = Plan::of(&ours, &theirs, own, &over);
        self.open(now, peer, &mut plan, out);
        self.set_stage(peer, RoundStage::Answered { nonce: ours.nonce, plan });
        self.deadlines.set(peer, now.mono + PUNCH_STEP);
        let message = NatMessage::Answer(ours);
        out.push_back(NatEffect::Send { to: peer, message });
    }

    fn handle_answer(
        &mut self,
        now: Now,
        from: NodeId,
        offer: &Offer,
        own: &OwnPlaces,
        out: &mut VecDeque<NatEffect>,
    ) {
        let Some(wanted) = self.wanted.get_mut(&from) else { return };
        let mut plan = match &wanted.stage {
            RoundStage::Offered(ours) if ours.nonce == offer.nonce => {
                Plan::of(ours, offer, own, &wanted.over)
            }
            _ => return,
        };
        if core::mem::take(&mut wanted.anew) && plan.is_hard {
            wanted.stage = RoundStage::Idle;
            return self.deadlines.set(from, now.mono);
        }
        self.open(now, from, &mut plan, out);
        let message = NatMessage::Sync(offer.nonce);
        out.push_back(NatEffect::Send { to: from, message });
        self.begin_probing(now, from, plan, out);
    }

    fn handle_sync(&mut self, now: Now, from: NodeId, nonce: u64, out: &mut VecDeque<NatEffect>) {
        let Some(wanted) = self.wanted.get_mut(&from) else { return };
        if let RoundStage::Answered { nonce: answered, plan } = &wanted.stage
            && *answered == nonce
        {
            let plan = plan.clone();
            self.begin_probing(now, from, plan, out);
        }
    }

    /// Sends what makes our translator let the peer in, and gets no further.
    fn open(&mut self, now: Now, peer: NodeId, plan: &mut Plan, out: &mut VecDeque<NatEffect>) {
        let hops = self.reach.map_or(MAX_OPENER_HOPS, |(hops, _)| hops);
        if let Some(SearchPart::Guess(guesses)) = &plan.search
            && !self.searches.may_guess(now.mono, guesses.of())
        {
            plan.search = None;
        }
        if plan.search.is_some() {
            self.counters.searches += 1;
            self.searches.begin(now.mono, peer);
        }
        let mut paths = match plan.search {
            Some(SearchPart::Open(to)) => self.searches.open(now.mono, to, SEARCH_SOCKETS, out),
            _ => Vec::new(),
        };
        let fresh = self.wanted.get(&peer).and_then(|wanted| wanted.fresh);
        if let Some(FreshPort { socket, mapped: Some(_) }) = fresh {
            paths.extend(plan.to.iter().filter_map(|to| socket.path(*to)));
        }
        for to in paths {
            self.counters.packets += 1;
            let id = TransactionId::draw(&mut self.rng);
            out.push_back(NatEffect::Ask { to, id, hops: Some(hops) });
        }
        for _ in 0..PUNCH_OPENERS {
            for &addr in &plan.to {
                self.ask(now, (AskedFor::Path(peer), addr), Some(hops), out);
            }
        }
    }

    fn begin_probing(&mut self, now: Now, peer: NodeId, plan: Plan, out: &mut VecDeque<NatEffect>) {
        self.set_stage(peer, RoundStage::Probing(Probing { plan, since: now.mono, probes: 0 }));
        self.probe(now, peer, out);
    }

    fn set_stage(&mut self, peer: NodeId, stage: RoundStage) {
        if let Some(wanted) = self.wanted.get_mut(&peer) {
            wanted.stage = stage;
        }
    }

    /// Does what is due of a round, or gives up for this time.
    fn probe(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<NatEffect>) {
        let Some(wanted) = self.wanted.get_mut(&peer) else { return };
        let RoundStage::Probing(probing) = &mut wanted.stage else { return };
        if now.mono.since(probing.since) >= probing.lasts() {
            return self.fail(now, peer, out);
        }
        if let Some(SearchPart::Guess(guesses)) = &mut probing.plan.search {
            // The peer's ports are open to the first address that we named.
            let over = wanted.fresh.filter(|fresh| fresh.mapped.is_some());
            for _ in 0..SEARCH_GUESSES_A_STEP {
                let Some(at) = guesses.next(&mut self.rng) else { break };
                let at = over.and_then(|fresh| fresh.socket.path(at)).unwrap_or(at);
                let means = (&mut self.rng, &mut self.counters);
                self.probes.guess((AskedFor::Path(peer), at), means, out);
            }
        }
        let next = PUNCH_PROBES.get(probing.probes).map(|after| probing.since + *after);
        let mut to = Vec::new();
        if next.is_some_and(|at| at <= now.mono) {
            probing.probes += 1;
            to.clone_from(&probing.plan.to);
        }
        self.deadlines.set(peer, probing.next(now.mono));
        for addr in to {
            self.ask(now, (AskedFor::Path(peer), addr), None, out);
        }
    }

    /// Nothing came of it: who began tries again, later each time.
    fn fail(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<NatEffect>) {
        self.probes.forget(&peer);
        self.reach = None;
        let Some(wanted) = self.wanted.get_mut(&peer) else { return };
        // Where no datagram gets through, a stream may.
        if let RoundStage::Probing(probing) = &wanted.stage
            && wanted.failed == 0
            && let Some(&to) = probing.plan.to.iter().find(|to| is_plausible(**to, Scope::Public))
        {
            out.push_back(NatEffect::Dial { peer, to, over: DialOver::Anything });
        }
        (wanted.stage, wanted.fresh) = (RoundStage::Idle, None);
        let again = PUNCH_AGAIN[wanted.failed.min(PUNCH_AGAIN.len() - 1)];
        let again = if self.found.contains(&peer) { again.min(PUNCH_FOUND_AGAIN) } else { again };
        wanted.failed += 1;
        let again = if wanted.over.begins { again } else { Duration::ZERO };
        self.deadlines.set(peer, now.mono + again);
    }

    /// A STUN request was answered: perhaps one of ours.
    pub fn handle_stun_answer(
        &mut self,
        now: Now,
        answered: &StunAnswered,
        out: &mut VecDeque<NatEffect>,
    ) {
        let StunAnswered { from, ref id, mapped } = *answered;
        match self.probes.handle_answer(from, id) {
            Some(AskedFor::Path(peer)) => {
                let Some(wanted) = self.wanted.get_mut(&peer) else { return };
                if wanted.stage == RoundStage::Dialling || wanted.stage == RoundStage::Idle {
                    return;
                }
                wanted.stage = RoundStage::Dialling;
                self.counters.answered += 1;
                self.deadlines.set(peer, now.mono + PUNCH_STEP);
                out.push_back(NatEffect::Dial { peer, to: from, over: DialOver::Datagrams });
            }
            Some(AskedFor::Hops(peer, hops)) => {
                // What gets there is one too many.
                let opener = hops.saturating_sub(1).max(1);
                if self.reach.is_none_or(|(reach, _)| opener < reach) {
                    self.reach = Some((opener, now.mono));
                }
                self.end_measuring(now, peer);
            }
            Some(AskedFor::Mapping(peer)) => {
                let fresh = self.wanted.get_mut(&peer).and_then(|wanted| wanted.fresh.as_mut());
                if let Some(fresh) = fresh {
                    fresh.mapped = mapped;
                    self.end_measuring(now, peer);
                }
            }
            None => {}
        }
    }

    /// The relay answered: what else was asked left at the same moment.
    fn end_measuring(&mut self, now: Now, peer: NodeId) {
        let is_measuring = |wanted: &SoughtPath| wanted.stage == RoundStage::Measuring;
        if self.wanted.get(&peer).is_some_and(is_measuring) {
            self.deadlines.set_earliest(peer, now.mono + HOPS_GRACE);
        }
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.deadlines.next().map(|(at, _)| at);
        next.into_iter().chain(self.searches.poll_timeout()).min()
    }

    /// Does what is due; `used` are the extra sockets over which a connection goes.
    pub fn handle_timeout(
        &mut self,
        now: Now,
        own: &OwnPlaces,
        used: impl FnOnce() -> BTreeSet<ExtraSocket>,
        out: &mut VecDeque<NatEffect>,
    ) {
        self.searches.close_unused(now.mono, used, out);
        let mut due = Vec::new();
        while let Some(peer) = self.deadlines.pop_due(now.mono) {
            due.push(peer);
        }
        for peer in due {
            let Some(SoughtPath { stage, over, .. }) = self.wanted.get(&peer) else {
                continue;
            };
            match stage {
                RoundStage::Idle if over.begins => self.prepare(now, peer, own, out),
                // What is known when the peer asks for a round is not waited for then.
                RoundStage::Idle => {
                    self.measure(now, peer, out);
                }
                RoundStage::Measuring => {
                    self.reach.get_or_insert((MAX_OPENER_HOPS, now.mono));
                    self.speak(now, peer, own, out);
                }
                RoundStage::Probing(_) => self.probe(now, peer, out),
                RoundStage::Offered(_) | RoundStage::Answered { .. } | RoundStage::Dialling => {
                    self.fail(now, peer, out);
                }
            }
        }
    }

    fn offer(&mut self, now: Now, peer: NodeId, own: &OwnPlaces, out: &mut VecDeque<NatEffect>) {
        let Some(wanted) = self.wanted.get(&peer) else { return };
        let (nonce, is_willing) = (self.rng.next_u64(), wanted.worth.is_wished(now.mono));
        let ours = self.offer_of(now, &peer, nonce, is_willing, own);
        self.set_stage(peer, RoundStage::Offered(ours.clone()));
        self.counters.rounds += 1;
        self.deadlines.set(peer, now.mono + PUNCH_STEP);
        out.push_back(NatEffect::Send { to: peer, message: NatMessage::Connect(ours) });
    }

    /// Opens a new socket for a round that is not the first, and asks the relay where it is: what
    /// went from the other one, or came to it, may have closed a translator to the peer. Until when
    /// that is waited for.
    fn freshen(
        &mut self,
        now: Now,
        peer: NodeId,
        own: &OwnPlaces,
        out: &mut VecDeque<NatEffect>,
    ) -> Option<Instant> {
        let wanted = self.wanted.get_mut(&peer)?;
        let relay = wanted.over.relay.filter(|_| wanted.failed > 0 && !own.port_varies)?;
        let &path = self.searches.open(now.mono, relay, 1, out).first()?;
        wanted.fresh = ExtraSocket::split(path).0.map(|socket| FreshPort { socket, mapped: None });
        for _ in 0..MAPPING_ASKS {
            self.ask(now, (AskedFor::Mapping(peer), path), None, out);
        }
        Some(now.mono + HOPS_WAIT)
    }

    fn offer_of(
        &self,
        now: Now,
        peer: &NodeId,
        nonce: u64,
        is_willing: bool,
        own: &OwnPlaces,
    ) -> Offer {
        let fresh = self.wanted.get(peer).and_then(|wanted| wanted.fresh?.mapped);
        let places = fresh.into_iter().chain(own.candidates());
        Offer {
            nonce,
            port_varies: own.port_varies,
            searches: is_willing && self.searches.may_begin(now.mono, peer),
            candidates: places.take(MAX_CANDIDATES).map(Address::from).collect(),
        }
    }

    /// Finds out how many hops away the relay is, unless that is known: an opener goes one less, so
    /// that it passes our translators and not the peer's. Until when that is waited for.
    fn measure(
        &mut self,
        now: Now,
        peer: NodeId,
        out: &mut VecDeque<NatEffect>,
    ) -> Option<Instant> {
        let known = self.reach.filter(|(_, since)| now.mono.since(*since) < HOPS_LIFE);
        let wanted = self.wanted.get_mut(&peer)?;
        let Some(relay) = wanted.over.relay else {
            // No datagram goes to the relay; a guess is as good as any.
            self.reach = known.or(Some((MAX_OPENER_HOPS, now.mono)));
            return None;
        };
        if let Some((_, since)) = known {
            // The others that left with the first one are about to come.
            return Some(since + HOPS_GRACE).filter(|at| *at > now.mono);
        }
        let asked = wanted.hops_asked.filter(|asked| now.mono.since(*asked) < HOPS_WAIT);
        if asked.is_none() {
            (wanted.hops_asked, self.reach) = (Some(now.mono), None);
            // Each twice: one that is lost would have the openers go too far.
            for hops in (2..=MAX_OPENER_HOPS).flat_map(|hops| [hops; 2]) {
                self.ask(now, (AskedFor::Hops(peer, hops), relay), Some(hops), out);
            }
        }
        Some(asked.unwrap_or(now.mono) + HOPS_WAIT)
    }

    fn ask(
        &mut self,
        now: Now,
        what: (AskedFor, SocketAddr),
        hops: Option<u8>,
        out: &mut VecDeque<NatEffect>,
    ) {
        let means = (&mut self.rng, &mut self.counters);
        self.probes.ask(now.mono, what, hops, means, out);
    }

    /// Requests whose answers are waited for.
    #[cfg(test)]
    pub(super) fn waits_for(&self) -> usize {
        self.probes.waits_for()
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> NatCounters {
        self.counters
    }
}
