//! Boxes that filter and leave addresses as they are.

use core::time::Duration;
use std::net::IpAddr;

use crate::{
    Time,
    middlebox::{Header, Middlebox, Protocol, Verdict},
    nat::flows::{Flows, Holder, Tuple},
};

/// A stateful firewall: no datagram comes in from whom none went out to, in the last
/// [`timeout`](Self::new), and no stream at all. Addresses stay as they are (what homes with IPv6
/// have).
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
        if self.0.refresh(now, header).is_none() {
            let Header { protocol, from, to: remote, .. } = header;
            let tuple = Tuple { protocol, port: from.port(), remote };
            self.0.open(now, tuple, Holder::Inside(from));
        }
        Verdict::Forward(header)
    }

    fn inbound(&mut self, now: Time, header: Header) -> Verdict {
        let Header { protocol, from: remote, to, .. } = header;
        let flow = self.0.find(now, Tuple { protocol, port: to.port(), remote });
        if protocol == Protocol::Udp && flow == Some(Holder::Inside(to)) {
            Verdict::Forward(header)
        } else {
            Verdict::Drop
        }
    }

    fn reboot(&mut self) {
        self.0.clear();
    }

    fn outside(&self) -> Option<IpAddr> {
        None
    }

    fn renumber(&mut self, _ip: IpAddr) {
        self.0.clear();
    }
}

/// Streams go out, and nothing else goes anywhere: what some companies and hotels have.
#[derive(Debug)]
pub struct StreamsOnly;

impl Middlebox for StreamsOnly {
    fn outbound(&mut self, _now: Time, header: Header) -> Verdict {
        match header.protocol {
            Protocol::Udp => Verdict::Drop,
            Protocol::Tcp => Verdict::Forward(header),
        }
    }

    fn inbound(&mut self, _now: Time, _header: Header) -> Verdict {
        Verdict::Drop
    }

    fn reboot(&mut self) {}

    fn outside(&self) -> Option<IpAddr> {
        None
    }

    fn renumber(&mut self, _ip: IpAddr) {}
}
