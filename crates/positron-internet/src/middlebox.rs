//! What stands between a host and the internet: firewalls and translators.

use core::time::Duration;
use std::{collections::BTreeMap, net::SocketAddr};

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
pub struct Firewall {
    timeout: Duration,
    /// Ours and theirs, and when something last went out.
    flows: BTreeMap<(Protocol, SocketAddr, SocketAddr), Time>,
}

/// Flows that a firewall remembers; beyond them it forgets what is silent for longest.
const MAX_FLOWS: usize = 4_096;

impl Firewall {
    /// A firewall that forgets a flow after `timeout` without a packet from inside.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, flows: BTreeMap::new() }
    }
}

impl Middlebox for Firewall {
    fn outbound(&mut self, now: Time, header: Header) -> Verdict {
        let flow = (header.protocol, header.from, header.to);
        if self.flows.len() >= MAX_FLOWS && !self.flows.contains_key(&flow) {
            let oldest = self.flows.iter().min_by_key(|(_, at)| **at).map(|(flow, _)| *flow);
            oldest.map(|flow| self.flows.remove(&flow));
        }
        self.flows.insert(flow, now);
        Verdict::Forward(header)
    }

    fn inbound(&mut self, now: Time, header: Header) -> Verdict {
        let flow = (header.protocol, header.to, header.from);
        match self.flows.get(&flow) {
            Some(at) if now.saturating_sub(*at) < self.timeout => Verdict::Forward(header),
            _ => Verdict::Drop,
        }
    }
}
