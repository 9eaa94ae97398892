//! A box that shows what is behind it at its own address.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::{
    Time,
    dice::Dice,
    middlebox::{Header, Middlebox, Protocol, Verdict},
    nat::flows::{FLOW_TIMEOUT, Flows, Holder, Tuple},
};

/// Whether one address inside is seen at one port by everybody (RFC 4787, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// At one, whomever it speaks to.
    EndpointIndependent,
    /// At another one by each address and port that it speaks to.
    AddressAndPortDependent,
}

/// From whom a box lets in datagrams for a port that it mapped (RFC 4787, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// From everybody.
    EndpointIndependent,
    /// From the IP addresses to which something went out from there.
    AddressDependent,
    /// From the addresses and ports to which something went out from there.
    AddressAndPortDependent,
}

/// Which port a flow is mapped to (RFC 4787, 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortAssignment {
    /// The one that it has inside, and another one only if a flow to the same remote address has
    /// that already: Linux's `masquerade`.
    Preserving,
    /// One of 20,000 to 29,999 that is not the one inside, for all flows of an address inside while
    /// one of them lasts: Linux's `masquerade to :20000-29999`.
    Other,
    /// Any one, drawn for each flow: Linux's `masquerade fully-random`.
    Random,
}

impl PortAssignment {
    /// What that makes of one address inside.
    pub const fn mapping(self) -> Mapping {
        match self {
            Self::Preserving | Self::Other => Mapping::EndpointIndependent,
            Self::Random => Mapping::AddressAndPortDependent,
        }
    }
}

/// What becomes of a datagram for the box's address that no flow lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsolicited {
    /// It leaves no trace.
    Dropped,
    /// It reaches the router's own stack, where nobody listens. Connection tracking keeps it as a
    /// flow of the router's: what the inside then sends to the same remote address cannot read like
    /// it, and is mapped to another port.
    Tracked,
}

/// How a [`Translator`] does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatBehavior {
    /// Where the inside is seen.
    pub ports: PortAssignment,
    /// Whom it lets in.
    pub filtering: Filtering,
    /// What it does with what it does not let in.
    pub unsolicited: Unsolicited,
}

/// A network address translator: it shows the host behind it at its own address (RFC 4787).
///
/// Datagrams come in as its [`NatBehavior`] says; streams go out only, whatever it says. Both come
/// in at a port that is [forwarded](Middlebox::forward).
#[derive(Debug)]
pub struct Translator {
    outside: IpAddr,
    behavior: NatBehavior,
    hairpins: bool,
    flows: Flows,
    /// Port mappings: to whom inside.
    forwarded: BTreeMap<u16, SocketAddr>,
    dice: Dice,
}

impl Translator {
    /// A translator at `outside` that draws ports from `dice`. It forgets a flow after
    /// [`FLOW_TIMEOUT`] without a packet from inside, and drops what the inside sends to `outside`.
    pub fn new(outside: IpAddr, behavior: NatBehavior, dice: Dice) -> Self {
        let (flows, forwarded) = (Flows::new(FLOW_TIMEOUT), BTreeMap::new());
        Self { outside, behavior, hairpins: false, flows, forwarded, dice }
    }

    /// The same, with another time after which it forgets a flow.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.flows = Flows::new(timeout);
        self
    }

    /// The same, with what the inside sends to `outside` coming back as from there (RFC 4787, 6).
    #[must_use]
    pub const fn with_hairpinning(mut self) -> Self {
        self.hairpins = true;
        self
    }

    /// Begins a flow from inside: from which port. `None`: no port was found.
    fn map(&mut self, now: Time, header: Header) -> Option<u16> {
        let Header { protocol, from: inside, to: remote, .. } = header;
        let port = match self.behavior.ports {
            PortAssignment::Preserving => {
                let kept = Tuple { protocol, port: inside.port(), remote };
                let is_free = self.flows.find(now, kept).is_none();
                is_free.then_some(kept.port).or_else(|| self.draw_for_flow(now, protocol, remote))
            }
            PortAssignment::Other => {
                let has = self.flows.port_of(now, protocol, inside);
                has.or_else(|| self.draw_for_inside(now, protocol, inside))
            }
            PortAssignment::Random => self.draw_for_flow(now, protocol, remote),
        }?;
        self.flows.open(now, Tuple { protocol, port, remote }, Holder::Inside(inside));
        Some(port)
    }

    /// A port at which no flow with this remote address is.
    fn draw_for_flow(&mut self, now: Time, protocol: Protocol, remote: SocketAddr) -> Option<u16> {
        (0..MAX_DRAWS).find_map(|_| {
            let port = self.draw(UNPRIVILEGED);
            let is_free = self.flows.find(now, Tuple { protocol, port, remote }).is_none();
            is_free.then_some(port)
        })
    }

    /// A port that nobody else inside has, and not the one inside.
    fn draw_for_inside(
        &mut self,
        now: Time,
        protocol: Protocol,
        inside: SocketAddr,
    ) -> Option<u16> {
        (0..MAX_DRAWS).find_map(|_| {
            let port = self.draw(OTHER);
            let is_free = self.flows.over(now, protocol, port).next().is_none();
            (is_free && port != inside.port()).then_some(port)
        })
    }

    fn draw(&mut self, (first, last): (u16, u16)) -> u16 {
        let above = self.dice.below(u64::from(last - first) + 1);
        first + u16::try_from(above).unwrap_or(0)
    }

    /// Whom inside a datagram is for, if it is let in.
    fn let_in(&self, now: Time, header: Header) -> Option<SocketAddr> {
        let Header { protocol, from, to, .. } = header;
        let own = Tuple { protocol, port: to.port(), remote: from };
        if let Some(holder) = self.flows.find(now, own) {
            return match holder {
                Holder::Inside(inside) => Some(inside),
                Holder::Router => None,
            };
        }
        let fits = |remote: SocketAddr| match self.behavior.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => remote.ip() == from.ip(),
            Filtering::AddressAndPortDependent => false,
        };
        self.flows.over(now, protocol, to.port()).find_map(|(remote, holder)| match holder {
            Holder::Inside(inside) if fits(remote) => Some(inside),
            Holder::Inside(_) | Holder::Router => None,
        })
    }
}

impl Middlebox for Translator {
    fn outbound(&mut self, now: Time, header: Header) -> Verdict {
        if header.to.ip() == self.outside && !self.hairpins {
            return Verdict::Drop;
        }
        let port = self.flows.refresh(now, header).or_else(|| self.map(now, header));
        port.map_or(Verdict::Drop, |port| {
            Verdict::Forward(Header { from: SocketAddr::new(self.outside, port), ..header })
        })
    }

    fn inbound(&mut self, now: Time, header: Header) -> Verdict {
        let Header { protocol, from: remote, to, .. } = header;
        if to.ip() != self.outside {
            return Verdict::Drop;
        }
        let tuple = Tuple { protocol, port: to.port(), remote };
        let let_in = || self.let_in(now, header).filter(|_| protocol == Protocol::Udp);
        if let Some(to) = let_in() {
            return Verdict::Forward(Header { to, ..header });
        }
        if let Some(to) = self.forwarded.get(&tuple.port).copied() {
            self.flows.open(now, tuple, Holder::Inside(to));
            return Verdict::Forward(Header { to, ..header });
        }
        if self.behavior.unsolicited == Unsolicited::Tracked {
            self.flows.open(now, tuple, Holder::Router);
        }
        Verdict::Drop
    }

    fn forward(&mut self, inside: SocketAddr) {
        self.forwarded.insert(inside.port(), inside);
    }

    fn reboot(&mut self) {
        self.flows.clear();
        self.forwarded.clear();
    }

    fn outside(&self) -> Option<IpAddr> {
        Some(self.outside)
    }

    fn renumber(&mut self, ip: IpAddr) {
        self.outside = ip;
        self.flows.clear();
    }
}

/// Ports from which [`PortAssignment::Other`] draws.
const OTHER: (u16, u16) = (20_000, 29_999);
/// Ports that Linux gives to flows of unprivileged ports.
const UNPRIVILEGED: (u16, u16) = (1_024, u16::MAX);
/// How often a port is drawn for a flow before its packet is dropped (Linux: 128).
const MAX_DRAWS: usize = 128;
