//! An end at work, and what is checked of all that it hears and sends.

use std::net::SocketAddr;

use positron_proto::{
    datagram::{Endpoint, contract::ConnectionView},
    time::{Instant, Now},
};

use super::{
    attacker::Datagram,
    check::{
        Addresses, Amplification, Cookies, Keys, Nonces, Openings, Replay, Seal, Seals, Shown,
        Silence, Wrong,
    },
    header_view::PacketHeaderView,
};

/// An end at work.
pub(super) struct PacketHost {
    /// `None` while it is away.
    pub(super) endpoint: Option<Endpoint>,
    /// How often it started.
    pub(super) life: u64,
    pub(super) addr: SocketAddr,
    pub(super) addresses: Addresses,
    pub(super) paused_until: Instant,
    pub(super) inbox: Vec<Datagram>,
    /// When it wants to wake, and when it does.
    pub(super) due: Option<Instant>,
    pub(super) wakes: Instant,
    /// Whether time woke it, and nobody else.
    pub(super) is_awake: bool,
    checks: Checks,
}

/// What is checked of one life of an end.
#[derive(Default)]
struct Checks {
    amplification: Amplification,
    nonces: Nonces,
    replay: Replay,
    keys: Keys,
    openings: Openings,
    cookies: Cookies,
    silence: Silence,
}

impl PacketHost {
    /// Nobody is there yet.
    pub(super) fn new(addr: SocketAddr) -> Self {
        let mut addresses = Addresses::default();
        addresses.add(addr);
        Self {
            endpoint: None,
            life: 0,
            addr,
            addresses,
            paused_until: Instant::ORIGIN,
            inbox: Vec::new(),
            due: None,
            wakes: Instant::FAR_FUTURE,
            is_awake: false,
            checks: Checks::default(),
        }
    }

    /// A process starts that knows nothing.
    pub(super) fn begin(&mut self, endpoint: Endpoint) {
        self.life += 1;
        self.endpoint = Some(endpoint);
        self.checks = Checks::default();
        (self.due, self.wakes) = (None, Instant::FAR_FUTURE);
        self.paused_until = Instant::ORIGIN;
    }

    /// Datagrams of one sender arrive in one buffer, all but the last of `size` bytes.
    pub(super) fn hears(
        &mut self,
        now: Now,
        size: usize,
        batch: &[Datagram],
        seals: &Seals,
    ) -> Result<(), Wrong> {
        let (Some(endpoint), [Datagram { from, .. }, ..]) = (&mut self.endpoint, batch) else {
            return Ok(());
        };
        let Checks { amplification, replay, keys, openings, cookies, silence, .. } =
            &mut self.checks;
        // What may be the first sealed packet of a stranger takes it out of the door.
        let is_sealed = |datagram: &&Datagram| {
            PacketHeaderView::of(&datagram.bytes).is_some_and(|packet| packet.is_sealed())
        };
        let leaving = batch.iter().filter(is_sealed).count();
        let half_open = endpoint.half_open().saturating_sub(leaving);
        for Datagram { bytes, .. } in batch {
            amplification.handle_received(*from, bytes.len());
            replay.handle_handover(bytes);
            cookies.handle_handover(now.mono, *from, bytes, half_open);
        }
        silence.handle_sign_of_life();
        let before = Shown::by(endpoint);
        let bytes: Vec<u8> = batch.iter().flat_map(|d| d.bytes.iter().copied()).collect();
        endpoint.handle_datagrams(now, *from, size, &bytes);
        let shown = [before, Shown::by(endpoint)];
        let datagrams = batch.iter().map(|datagram| datagram.bytes.as_slice());
        openings.handle_handover(now.mono, datagrams, (seals, keys), shown)?;
        replay.opened(endpoint.counters().packets_opened)
    }

    /// It sends a datagram.
    pub(super) fn sends(
        &mut self,
        now: Instant,
        datagram: &Datagram,
        seals: &mut Seals,
    ) -> Result<(), Wrong> {
        let Datagram { to, bytes, .. } = datagram;
        let Checks { amplification, nonces, keys, cookies, silence, .. } = &mut self.checks;
        nonces.sent(bytes)?;
        cookies.handle_sent(now, *to, bytes)?;
        let mut seal = Seal::default();
        let packet = PacketHeaderView::of(bytes);
        if let Some(packet) = packet.filter(PacketHeaderView::is_sealed) {
            silence.handle_sent(now, &packet, self.is_awake)?;
            let mut views = self.endpoint.iter().flat_map(Endpoint::views);
            let here = views.find(|view| view.id_there == Some(packet.connection));
            seal = keys.sealed(here.map(|view| view.id_here), &packet)?;
        }
        seals.handle_sent(bytes, seal);
        amplification.sent(*to, packet.map_or(0, |packet| packet.kind), bytes.len())
    }

    /// It has sent all that it wants to send now, and shows this of a connection.
    pub(super) fn shows(&mut self, view: &ConnectionView) {
        if let Some(there) = view.id_there.filter(|_| view.in_flight == 0) {
            self.checks.silence.rests(there);
        }
    }

    /// Somebody proved to be at an address, or the end was told to send there.
    pub(super) fn handle_proof(&mut self, addr: SocketAddr) {
        self.checks.amplification.handle_proof(addr);
    }
}
