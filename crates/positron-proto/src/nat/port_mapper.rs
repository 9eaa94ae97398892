//! Asks the router of this network to let strangers in at a port.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use super::{
    NatCounters, NatEffect,
    mapped_port::{Gateway, MappedPort, MappedState, RouterFailure},
    router_message::{
        Grant, MappingNonce, PortOf, RouterAnswer, RouterProtocol, RouterQuestion, RouterWord,
    },
};
use crate::{
    limits::{
        ROUTER_AGAIN, ROUTER_LEAST_LIFETIME, ROUTER_LIFETIME, ROUTER_LOOK, ROUTER_TRIES,
        ROUTER_WAIT,
    },
    scope::Scope,
    time::{Duration, Instant},
};

/// What a router is to map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortWish {
    /// Whether the port is one of TCP, too; it is one of UDP.
    pub with_tcp: bool,
    /// Tells our mappings from those of others (RFC 6887, 11.1): the same in each process of a
    /// node, so that it may change what one before it left.
    pub nonce: [u8; 12],
}

/// Has one port mapped by the router of this network, by PCP (RFC 6887) or else by NAT-PMP (RFC
/// 6886), and keeps it mapped.
///
/// **Contract.** Tell it of the router ([`handle_gateway`](Self::handle_gateway)), of what comes
/// from it and of the time. What is to be sent is appended to `out`. What it says of a mapping is
/// the router's word and nothing more.
///
/// One question is under way at a time. PCP is asked first; a router that says nothing to it, or
/// refuses, is asked by NAT-PMP, and one that does neither is left alone for [`ROUTER_AGAIN`]. A
/// mapping is renewed after half of its time, wherever the router puts it. Each [`ROUTER_LOOK`] the
/// router says for how long it has kept its mappings: if it has lost them, all is asked for anew.
/// TCP is mapped only to the port that UDP has, because an address in a record stands for both.
///
/// **Bounds**: two mappings; [`ROUTER_TRIES`] packets for each question. What answers no question,
/// or does not come from the router, is counted and dropped.
#[derive(Debug)]
pub(crate) struct PortMapper {
    wish: PortWish,
    gateway: Option<Gateway>,
    /// At which we listen.
    port: u16,
    speaks: RouterProtocol,
    /// Whether this router has answered in it.
    has_answered: bool,
    asked: Option<Asked>,
    /// Nothing is asked before.
    rests_until: Instant,
    /// Where the router is, as it says.
    router_ip: Option<Ipv4Addr>,
    udp: Option<Lease>,
    tcp: Option<Lease>,
    /// When TCP is asked for next.
    tcp_at: Instant,
    /// When it is looked next whether the router has lost what it had.
    look_at: Instant,
    /// What the router's clock showed, and when.
    epoch: Option<(u32, Instant)>,
    /// When all was last asked for anew.
    anew_at: Option<Instant>,
    failure: Option<RouterFailure>,
    counters: NatCounters,
}

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    question: RouterQuestion,
    times: u32,
    again: Instant,
}

/// A port that is mapped.
#[derive(Clone, Copy, Debug)]
struct Lease {
    external: u16,
    renew_at: Instant,
    until: Instant,
}

impl PortMapper {
    pub(crate) fn new(wish: PortWish) -> Self {
        Self {
            wish,
            gateway: None,
            port: 0,
            speaks: RouterProtocol::Pcp,
            has_answered: false,
            asked: None,
            rests_until: Instant::ORIGIN,
            router_ip: None,
            udp: None,
            tcp: None,
            anew_at: None,
            tcp_at: Instant::ORIGIN,
            look_at: Instant::ORIGIN,
            epoch: None,
            failure: Some(RouterFailure::NoGateway),
            counters: NatCounters::default(),
        }
    }

    /// The router of this network, and the port at which we listen: at first, and whenever either
    /// may have changed. With another router, or another address of ours, all begins anew: what was
    /// mapped before is out of our reach, and ends by itself.
    pub(crate) fn handle_gateway(
        &mut self,
        now: Instant,
        gateway: Option<Gateway>,
        port: u16,
        out: &mut VecDeque<NatEffect>,
    ) {
        if (self.gateway, self.port) == (gateway, port) {
            return;
        }
        let counters = self.counters;
        *self = Self { gateway, port, counters, ..Self::new(self.wish) };
        self.failure = gateway.is_none().then_some(RouterFailure::NoGateway);
        if gateway.is_some_and(|it| Scope::of(it.own.into()) == Some(Scope::Public)) {
            self.failure = Some(RouterFailure::Untranslated);
        }
        self.go_on(now, out);
    }

    /// A datagram came.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut VecDeque<NatEffect>,
    ) {
        let is_router = self.gateway.is_some_and(|gateway| gateway.at() == from);
        let answer = RouterAnswer::decode(bytes).ok().filter(|_| is_router);
        let Some((answer, asked)) = answer.zip(self.asked).filter(|it| self.fits(it)) else {
            self.counters.router_ignored += 1;
            return;
        };
        self.asked = None;
        self.has_answered = true;
        if answer.what != RouterWord::OtherVersion && self.has_forgotten(now, answer.epoch) {
            self.map_anew(now);
        }
        match answer.what {
            RouterWord::OtherVersion => self.handle_other_version(now),
            RouterWord::Looked(ip) => self.handle_look(now, ip),
            RouterWord::Mapped(grant) if grant.of == PortOf::Udp => self.handle_udp(now, grant),
            RouterWord::Mapped(grant) => self.handle_tcp(now, grant, out),
            RouterWord::Refused { code, .. } => self.handle_refusal(now, asked.question, code),
        }
        self.go_on(now, out);
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if !self.may_ask() {
            return None;
        }
        let next = match self.asked {
            Some(asked) => asked.again,
            None => self.next_at().max(self.rests_until),
        };
        let ends = [self.udp, self.tcp].into_iter().flatten().map(|lease| lease.until);
        ends.chain([next]).min()
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        self.udp.take_if(|lease| lease.until <= now);
        self.tcp.take_if(|lease| lease.until <= now);
        if let Some(asked) = self.asked.filter(|asked| asked.again <= now) {
            if asked.times < ROUTER_TRIES {
                self.send(now, asked.question, asked.times + 1, out);
            } else {
                self.give_up(now);
            }
        }
        self.go_on(now, out);
    }

    /// The node stops: what is mapped is mapped no more. Nobody waits for the answer; where it is
    /// lost, the router lets go of the mapping when its time is over.
    pub(crate) fn stop(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        let mapped = [(PortOf::Udp, self.udp.take()), (PortOf::Tcp, self.tcp.take())];
        for (of, _) in mapped.into_iter().filter(|(_, lease)| lease.is_some()) {
            self.send(now, self.removal(of), ROUTER_TRIES, out);
        }
        (self.gateway, self.asked) = (None, None);
    }

    /// Where the router says that strangers come in.
    pub(crate) fn external(&self) -> Option<SocketAddrV4> {
        let (ip, lease) = self.router_ip.zip(self.udp)?;
        Some(SocketAddrV4::new(ip, lease.external))
    }

    /// How it goes, by the router's word alone.
    pub(crate) fn told(&self) -> MappedPort {
        let external = self.external().map(SocketAddr::from);
        let state = if external.is_some() { MappedState::Unverified } else { MappedState::None };
        MappedPort {
            gateway: self.gateway.map(|gateway| gateway.address),
            protocol: self.has_answered.then_some(self.speaks),
            external,
            is_for_tcp: self.tcp.is_some(),
            state,
            failure: self.failure,
        }
    }

    pub(crate) const fn counters(&self) -> NatCounters {
        self.counters
    }

    fn may_ask(&self) -> bool {
        self.gateway.is_some() && self.failure != Some(RouterFailure::Untranslated)
    }

    /// Whether an answer is one to what was asked. By NAT-PMP a mapping has no name but its port.
    fn fits(&self, (answer, asked): &(RouterAnswer, Asked)) -> bool {
        let is_nonce = |nonce: Option<MappingNonce>| nonce.is_none_or(|it| it == self.wish.nonce);
        let is_protocol = answer.protocol == self.speaks;
        match (answer.what, asked.question) {
            // Who speaks NAT-PMP alone says so in its own words (RFC 6887, appendix A).
            (RouterWord::OtherVersion, _) => true,
            (RouterWord::Looked(_), RouterQuestion::Look)
            | (RouterWord::Refused { of: None, .. }, RouterQuestion::Look) => is_protocol,
            (
                RouterWord::Refused { of: Some(of), nonce, .. },
                RouterQuestion::Map { of: it, .. },
            ) => is_protocol && of == it && is_nonce(nonce),
            (RouterWord::Mapped(grant), RouterQuestion::Map { of, internal, .. }) => {
                let is_it = (grant.of, grant.internal) == (of, internal);
                is_protocol && is_it && grant.external != 0 && is_nonce(grant.nonce)
            }
            _ => false,
        }
    }

    /// Whether the router has lost its mappings since it answered last, by its clock: it went back,
    /// or not as far as ours (RFC 6887, 8.5, whose rule is stricter than that of RFC 6886, 3.6).
    fn has_forgotten(&mut self, now: Instant, epoch: u32) -> bool {
        let Some((before, at)) = self.epoch.replace((epoch, now)) else { return false };
        if epoch.saturating_add(1) < before {
            return true;
        }
        let router = u64::from(epoch.saturating_sub(before));
        let ours = now.since(at).as_secs();
        let is_behind = |one: u64, other: u64| one + 2 < other - other / 16;
        is_behind(ours, router) || is_behind(router, ours)
    }

    /// What was granted is asked for again at once, and is believed meanwhile.
    fn map_anew(&mut self, now: Instant) {
        if self.anew_at.is_some_and(|before| now.since(before) < ROUTER_LOOK) {
            return; // a router whose clock runs wild
        }
        self.anew_at = Some(now);
        if let Some(lease) = &mut self.udp {
            lease.renew_at = now;
        }
        self.tcp_at = now;
    }

    fn handle_other_version(&mut self, now: Instant) {
        self.has_answered = false;
        match self.speaks {
            RouterProtocol::Pcp => self.speaks = RouterProtocol::NatPmp,
            RouterProtocol::NatPmp => self.fail(now, RouterFailure::Silent, ROUTER_AGAIN),
        }
    }

    fn handle_look(&mut self, now: Instant, ip: Option<Ipv4Addr>) {
        self.look_at = now + ROUTER_LOOK;
        self.failure = None;
        let Some(ip) = ip else { return };
        if ip.is_unspecified() {
            self.router_ip = None;
            return self.fail(now, RouterFailure::NoAddress, ROUTER_LOOK);
        }
        if self.router_ip.replace(ip).is_some_and(|before| before != ip) {
            self.map_anew(now);
        }
    }

    fn handle_udp(&mut self, now: Instant, grant: Grant) {
        if grant.seconds == 0 {
            return self.fail(now, RouterFailure::Refused(0), ROUTER_AGAIN);
        }
        let is_moved = self.udp.is_none_or(|before| before.external != grant.external);
        self.udp = Some(Lease::of(now, grant));
        self.router_ip = grant.ip.filter(|ip| !ip.is_unspecified()).or(self.router_ip);
        // By NAT-PMP that is another question.
        let is_nowhere = self.speaks == RouterProtocol::Pcp && self.router_ip.is_none();
        self.failure = is_nowhere.then_some(RouterFailure::NoAddress);
        self.look_at = self.look_at.max(now + ROUTER_LOOK);
        if is_moved || self.tcp.is_none_or(|lease| lease.renew_at <= now) {
            self.tcp_at = now;
        }
    }

    fn handle_tcp(&mut self, now: Instant, grant: Grant, out: &mut VecDeque<NatEffect>) {
        let lease = Lease::of(now, grant);
        self.tcp = None;
        self.tcp_at = now + ROUTER_AGAIN;
        if self.udp.is_some_and(|udp| udp.external == grant.external) && grant.seconds > 0 {
            self.tcp_at = lease.renew_at;
            self.tcp = Some(lease);
        } else if grant.seconds > 0 {
            // Nobody would look for it there.
            self.send(now, self.removal(PortOf::Tcp), ROUTER_TRIES, out);
            self.asked = None;
        }
    }

    fn handle_refusal(&mut self, now: Instant, question: RouterQuestion, code: u16) {
        match question {
            RouterQuestion::Look if self.speaks == RouterProtocol::Pcp => {
                // It need not know this one.
                self.look_at = now + ROUTER_LOOK;
            }
            RouterQuestion::Map { of: PortOf::Tcp, .. } => self.tcp_at = now + ROUTER_AGAIN,
            _ if self.speaks == RouterProtocol::Pcp && self.udp.is_none() => {
                self.speaks = RouterProtocol::NatPmp;
                self.has_answered = false;
            }
            _ => self.fail(now, RouterFailure::Refused(code), ROUTER_AGAIN),
        }
    }

    /// The router says nothing.
    fn give_up(&mut self, now: Instant) {
        let asked = self.asked.take().map(|asked| asked.question);
        if let Some(RouterQuestion::Map { of: PortOf::Tcp, .. }) = asked {
            self.tcp_at = now + ROUTER_AGAIN;
            return;
        }
        if self.speaks == RouterProtocol::Pcp && !self.has_answered {
            self.speaks = RouterProtocol::NatPmp;
            return;
        }
        // One that has answered may be starting anew.
        let again = if self.has_answered { ROUTER_LOOK } else { ROUTER_AGAIN };
        self.fail(now, RouterFailure::Silent, again);
    }

    /// There will be nothing for a while. Who has nothing mapped begins anew after it.
    fn fail(&mut self, now: Instant, why: RouterFailure, again: Duration) {
        self.failure = Some(why);
        self.rests_until = now + again;
        if self.udp.is_none() {
            (self.speaks, self.has_answered) = (RouterProtocol::Pcp, false);
        }
    }

    /// Asks the next question, if one is due and none is under way.
    fn go_on(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        if !self.may_ask() || self.asked.is_some() || self.rests_until > now {
            return;
        }
        if let Some(question) = self.next_question(now) {
            self.send(now, question, 1, out);
        }
    }

    fn next_question(&self, now: Instant) -> Option<RouterQuestion> {
        let Some(udp) = self.udp.filter(|lease| lease.renew_at > now) else {
            // Where it was before, or else where we listen: strangers may know it.
            return Some(self.wanted(PortOf::Udp, self.udp.map_or(self.port, |it| it.external)));
        };
        if self.is_placeless() || (self.look_at <= now && !self.lacks_tcp(now)) {
            return Some(RouterQuestion::Look);
        }
        self.lacks_tcp(now).then(|| self.wanted(PortOf::Tcp, udp.external))
    }

    /// When there is a question next, if none is under way.
    fn next_at(&self) -> Instant {
        let Some(udp) = self.udp.filter(|_| !self.is_placeless()) else { return self.rests_until };
        let tcp_at = self.wish.with_tcp.then_some(self.tcp_at);
        [udp.renew_at, self.look_at].into_iter().chain(tcp_at).fold(udp.until, Instant::min)
    }

    /// Whether nobody has said where the router is. By NAT-PMP it is asked.
    fn is_placeless(&self) -> bool {
        self.router_ip.is_none() && self.speaks == RouterProtocol::NatPmp
    }

    fn lacks_tcp(&self, now: Instant) -> bool {
        self.wish.with_tcp && self.tcp_at <= now
    }

    fn wanted(&self, of: PortOf, external: u16) -> RouterQuestion {
        let seconds = u32::try_from(ROUTER_LIFETIME.as_secs()).unwrap_or(u32::MAX);
        RouterQuestion::Map { of, internal: self.port, external, seconds }
    }

    /// RFC 6886, 3.4; RFC 6887, 15.1.
    const fn removal(&self, of: PortOf) -> RouterQuestion {
        RouterQuestion::Map { of, internal: self.port, external: 0, seconds: 0 }
    }

    /// Asks for the so-manieth time.
    fn send(
        &mut self,
        now: Instant,
        question: RouterQuestion,
        times: u32,
        out: &mut VecDeque<NatEffect>,
    ) {
        let Some(gateway) = self.gateway else { return };
        self.counters.router_asked += 1;
        let bytes = question.encode(self.speaks, gateway.own, &self.wish.nonce);
        out.push_back(NatEffect::AskRouter { to: gateway.at(), bytes: bytes.into() });
        let again = now + ROUTER_WAIT * (1 << (times - 1));
        self.asked = Some(Asked { question, times, again });
    }
}

impl Lease {
    fn of(now: Instant, grant: Grant) -> Self {
        let granted = Duration::from_secs(grant.seconds.into());
        let lifetime = granted.clamp(ROUTER_LEAST_LIFETIME, ROUTER_LIFETIME);
        let (renew_at, until) = (now + lifetime / 2, now + lifetime);
        Self { external: grant.external, renew_at, until }
    }
}
