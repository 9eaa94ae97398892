//! What stands between a host and the internet: firewalls and translators.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::Time;

/// How something travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// A datagram.
    Udp,
    /// The question for a stream. What follows it belongs to the answer and is not shown to boxes.
    Tcp,
}

/// What a box can read, and may write anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How it travels.
    pub protocol: Protocol,
    /// Whom it comes from, as it reads here.
    pub from: SocketAddr,
    /// Whom it is for, as it reads here.
    pub to: SocketAddr,
    /// How many boxes and routers it may pass yet.
    pub ttl: u8,
}

/// What a box does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on under this header.
    Forward(Header),
    /// It goes no further, and nobody is told.
    Drop,
}

/// A box on a host's uplink. Several in a row are a home router behind a carrier's.
///
/// The box is told each packet that reaches it, with times that do not go back; before that, one
/// was taken from the hop limit, and a packet at 0 does not reach it at all. What it answers
/// depends on nothing but these calls. A translator writes `from` anew on the way out and `to` on
/// the way in; it forgets mappings by the times that it is told.
pub trait Middlebox: Send + core::fmt::Debug {
    /// From the host to the internet.
    fn outbound(&mut self, now: Time, header: Header) -> Verdict;

    /// From the internet to the host.
    fn inbound(&mut self, now: Time, header: Header) -> Verdict;
}

/// A stateful firewall: nothing comes in from whom nothing went out to, in the last
/// [`timeout`](Self::new). Addresses stay as they are (what homes with IPv6 have).
#[derive(Debug)]
pub struct Firewall(Flows);

impl Firewall {
    /// A firewall that forgets a flow after `timeout` without a packet from inside.
    pub const fn new(timeout: Duration) -> Self {
        Self(Flows::new(timeout))
    }
}

impl Middlebox for Firewall {
    fn outbound(&mut self, now: Time, header: Header) -> Verdict {
        self.0.note(now, header);
        Verdict::Forward(header)
    }

    fn inbound(&mut self, now: Time, header: Header) -> Verdict {
        let is_answer = |ours, theirs| ours == header.to && theirs == header.from;
        match self.0.find(now, header.protocol, is_answer) {
            Some(_) => Verdict::Forward(header),
            None => Verdict::Drop,
        }
    }
}

/// From whom a [`Translator`] lets in what comes to a port that it mapped (RFC 4787, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// From everybody.
    EndpointIndependent,
    /// From the IP addresses to which something went out from there.
    AddressDependent,
    /// From the addresses and ports to which something went out from there.
    AddressAndPortDependent,
}

/// A home router: it shows the host behind it at its own address. A port is mapped to the same
/// one, whoever it is used for (RFC 4787, 4.1: endpoint-independent, preserving), while packets go
/// out from it.
#[derive(Debug)]
pub struct Translator {
    outside: IpAddr,
    filtering: Filtering,
    flows: Flows,
}

impl Translator {
    /// A translator at `outside` that forgets a flow after `timeout` without a packet from inside.
    pub const fn new(outside: IpAddr, filtering: Filtering, timeout: Duration) -> Self {
        Self { outside, filtering, flows: Flows::new(timeout) }
    }
}

impl Middlebox for Translator {
    fn outbound(&mut self, now: Time, header: Header) -> Verdict {
        self.flows.note(now, header);
        let from = SocketAddr::new(self.outside, header.from.port());
        Verdict::Forward(Header { from, ..header })
    }

    fn inbound(&mut self, now: Time, header: Header) -> Verdict {
        let lets_in = |inside: SocketAddr, remote: SocketAddr| {
            let allowed = match self.filtering {
                Filtering::EndpointIndependent => true,
                Filtering::AddressDependent => remote.ip() == header.from.ip(),
                Filtering::AddressAndPortDependent => remote == header.from,
            };
            inside.port() == header.to.port() && allowed
        };
        match self.flows.find(now, header.protocol, lets_in) {
            Some(to) if header.to.ip() == self.outside => Verdict::Forward(Header { to, ..header }),
            _ => Verdict::Drop,
        }
    }
}

/// Who inside sent something to whom outside, in the last `timeout`.
#[derive(Debug)]
struct Flows {
    timeout: Duration,
    /// Ours and theirs, and when something last went out.
    last: BTreeMap<(Protocol, SocketAddr, SocketAddr), Time>,
}

impl Flows {
    const fn new(timeout: Duration) -> Self {
        Self { timeout, last: BTreeMap::new() }
    }

    fn note(&mut self, now: Time, header: Header) {
        let flow = (header.protocol, header.from, header.to);
        if self.last.len() >= MAX_FLOWS && !self.last.contains_key(&flow) {
            let oldest = self.last.iter().min_by_key(|(_, at)| **at).map(|(flow, _)| *flow);
            oldest.map(|flow| self.last.remove(&flow));
        }
        self.last.insert(flow, now);
    }

    /// The inner end of a flow that is remembered and for which `fits` (ours, theirs) holds.
    fn find(
        &self,
        now: Time,
        protocol: Protocol,
        fits: impl Fn(SocketAddr, SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let live = |at: &Time| now.saturating_sub(*at) < self.timeout;
        let mut flows = self.last.iter().filter(|(_, at)| live(at)).map(|(flow, _)| *flow);
        flows.find(|(by, ours, theirs)| *by == protocol && fits(*ours, *theirs)).map(|flow| flow.1)
    }
}

/// Flows that a box remembers; beyond them it forgets what is silent for longest.
const MAX_FLOWS: usize = 4_096;
