//! Which flows a box remembers: connection tracking.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use crate::{
    Time,
    middlebox::{Header, Protocol},
};

/// How long a box remembers a flow after the last packet from inside: the least that 34 home
/// gateways did after one outbound packet (Hätönen and others 2010), and Linux as long as nobody
/// answered (`nf_conntrack_udp_timeout`). RFC 4787, 4.3, asks for two minutes.
pub const FLOW_TIMEOUT: Duration = Duration::from_secs(30);

/// Flows that a box remembers; beyond them it forgets what is silent for longest.
pub const MAX_FLOWS: usize = 4_096;

/// A flow as it reads on the outer side of the box: no two flows read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tuple {
    pub(super) protocol: Protocol,
    /// The port of the box.
    pub(super) port: u16,
    pub(super) remote: SocketAddr,
}

/// Whose a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This address inside.
    Inside(SocketAddr),
    /// The box itself: nobody inside asked for it.
    Router,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    holder: Holder,
    refreshed: Time,
}

/// The flows of a box. At most [`MAX_FLOWS`]; one that was not refreshed for the timeout is as good
/// as forgotten.
#[derive(Debug)]
pub(super) struct Flows {
    timeout: Duration,
    by_tuple: BTreeMap<Tuple, Flow>,
    /// The port of each flow from inside: by which protocol, whose, to whom.
    ports: BTreeMap<(Protocol, SocketAddr, SocketAddr), u16>,
}

impl Flows {
    pub(super) const fn new(timeout: Duration) -> Self {
        Self { timeout, by_tuple: BTreeMap::new(), ports: BTreeMap::new() }
    }

    pub(super) fn clear(&mut self) {
        self.by_tuple.clear();
        self.ports.clear();
    }

    /// A packet from inside goes on in its flow, if there is one: from which port.
    pub(super) fn refresh(&mut self, now: Time, header: Header) -> Option<u16> {
        let Header { protocol, from, to: remote, .. } = header;
        let port = *self.ports.get(&(protocol, from, remote))?;
        let (timeout, tuple) = (self.timeout, Tuple { protocol, port, remote });
        let flow = self.by_tuple.get_mut(&tuple).filter(|flow| is_live(now, timeout, flow))?;
        flow.refreshed = now;
        Some(port)
    }

    /// The port of any flow of this address inside.
    pub(super) fn port_of(&self, now: Time, protocol: Protocol, inside: SocketAddr) -> Option<u16> {
        let flows = self.ports.range((protocol, inside, LOWEST)..);
        let mut own = flows.take_while(|((by, whose, _), _)| (*by, *whose) == (protocol, inside));
        let live = |remote, port| self.find(now, Tuple { protocol, port, remote }).is_some();
        own.find(|((.., remote), port)| live(*remote, **port)).map(|(_, port)| *port)
    }

    /// Whose the flow is that reads so.
    pub(super) fn find(&self, now: Time, tuple: Tuple) -> Option<Holder> {
        let flow = self.by_tuple.get(&tuple).filter(|flow| is_live(now, self.timeout, flow))?;
        Some(flow.holder)
    }

    /// The flows over this port: with whom, and whose.
    pub(super) fn over(
        &self,
        now: Time,
        protocol: Protocol,
        port: u16,
    ) -> impl Iterator<Item = (SocketAddr, Holder)> {
        let first = Tuple { protocol, port, remote: LOWEST };
        self.by_tuple
            .range(first..)
            .take_while(move |(tuple, _)| (tuple.protocol, tuple.port) == (protocol, port))
            .filter(move |(_, flow)| is_live(now, self.timeout, flow))
            .map(|(tuple, flow)| (tuple.remote, flow.holder))
    }

    /// A flow begins, or is refreshed. What read like it is forgotten.
    pub(super) fn open(&mut self, now: Time, tuple: Tuple, holder: Holder) {
        let Tuple { protocol, port, remote } = tuple;
        self.forget(tuple);
        if let Holder::Inside(inside) = holder
            && let Some(port) = self.ports.get(&(protocol, inside, remote)).copied()
        {
            self.forget(Tuple { protocol, port, remote });
        }
        self.make_room(now);
        self.by_tuple.insert(tuple, Flow { holder, refreshed: now });
        if let Holder::Inside(inside) = holder {
            self.ports.insert((protocol, inside, remote), port);
        }
    }

    fn make_room(&mut self, now: Time) {
        if self.by_tuple.len() < MAX_FLOWS {
            return;
        }
        let dead = self.by_tuple.iter().filter(|(_, flow)| !is_live(now, self.timeout, flow));
        for tuple in dead.map(|(tuple, _)| *tuple).collect::<Vec<_>>() {
            self.forget(tuple);
        }
        if self.by_tuple.len() >= MAX_FLOWS
            && let Some((oldest, _)) = self.by_tuple.iter().min_by_key(|(_, flow)| flow.refreshed)
        {
            self.forget(*oldest);
        }
    }

    fn forget(&mut self, tuple: Tuple) {
        let Some(flow) = self.by_tuple.remove(&tuple) else { return };
        if let Holder::Inside(inside) = flow.holder {
            self.ports.remove(&(tuple.protocol, inside, tuple.remote));
        }
    }
}

fn is_live(now: Time, timeout: Duration, flow: &Flow) -> bool {
    now.saturating_sub(flow.refreshed) < timeout
}

/// Before every other address, in the order of addresses.
const LOWEST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(n: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 1], n))
    }

    #[test]
    fn a_box_that_is_full_forgets_what_is_silent_for_longest_and_nothing_else() {
        let inside = SocketAddr::from(([192, 168, 0, 2], 8888));
        let mut flows = Flows::new(FLOW_TIMEOUT);
        let tuple = |n| Tuple { protocol: Protocol::Udp, port: 8888, remote: remote(n) };
        let last = u16::try_from(MAX_FLOWS).unwrap();
        for n in 0..last {
            flows.open(Time::from_millis(n.into()), tuple(n), Holder::Inside(inside));
        }
        let now = Time::from_millis(last.into());
        let header = Header { protocol: Protocol::Udp, from: inside, to: remote(0), ttl: 9 };
        assert_eq!(flows.refresh(now, header), Some(8888));
        flows.open(now, tuple(last), Holder::Router);
        let forgotten = (0..=last).filter(|n| flows.find(now, tuple(*n)).is_none());
        assert_eq!(forgotten.collect::<Vec<_>>(), [1]);
        assert_eq!((flows.by_tuple.len(), flows.ports.len()), (MAX_FLOWS, MAX_FLOWS - 1));
    }
}
