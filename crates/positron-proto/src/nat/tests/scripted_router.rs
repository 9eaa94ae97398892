//! A router that answers as RFC 6886 and RFC 6887 say, byte for byte, by a script.

use std::net::{Ipv4Addr, SocketAddr};

use crate::time::Instant;

/// A router, its clock and its two mappings.
pub(super) struct ScriptedRouter {
    pub(super) speaks_pcp: bool,
    pub(super) speaks_nat_pmp: bool,
    pub(super) ip: Ipv4Addr,
    /// Since when it has kept its mappings.
    pub(super) started: Instant,
    /// Which external port it gives, whatever is wished for; `None`: the one that is wished for.
    pub(super) gives: Option<u16>,
    /// The same for TCP.
    pub(super) gives_tcp: Option<u16>,
    /// What it answers instead of a mapping.
    pub(super) refuses: Option<u8>,
    /// For how many seconds it maps at the most.
    pub(super) most: u32,
    /// Mapped ports of UDP and of TCP.
    pub(super) mapped: [Option<u16>; 2],
    /// All that it was asked, in order.
    pub(super) asked: Vec<Vec<u8>>,
}

impl ScriptedRouter {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            speaks_pcp: true,
            speaks_nat_pmp: true,
            ip: Ipv4Addr::new(20, 1, 1, 1),
            started,
            gives: None,
            gives_tcp: None,
            refuses: None,
            most: u32::MAX,
            mapped: [None, None],
            asked: Vec::new(),
        }
    }

    pub(super) fn address() -> SocketAddr {
        "192.168.1.1:5351".parse().unwrap()
    }

    /// It has forgotten everything.
    pub(super) fn restart(&mut self, now: Instant) {
        self.started = now;
        self.mapped = [None, None];
    }

    /// What it says to this.
    pub(super) fn hear(&mut self, now: Instant, bytes: &[u8]) -> Option<Vec<u8>> {
        self.asked.push(bytes.to_vec());
        let epoch = u32::try_from(now.since(self.started).as_secs()).unwrap().to_be_bytes();
        match bytes[0] {
            2 if self.speaks_pcp => Some(self.hear_pcp(epoch, bytes)),
            // RFC 6886, 3.5.
            2 if self.speaks_nat_pmp => Some([&[0, 128 + bytes[1], 0, 1], &epoch[..]].concat()),
            0 if self.speaks_nat_pmp => Some(self.hear_nat_pmp(epoch, bytes)),
            _ => None,
        }
    }

    fn hear_pcp(&mut self, epoch: [u8; 4], bytes: &[u8]) -> Vec<u8> {
        let head = |code: u8, seconds: u32| {
            let mut head = vec![2, 128 + bytes[1], 0, code];
            head.extend(seconds.to_be_bytes());
            head.extend(epoch);
            head.extend([0; 12]);
            head
        };
        assert_eq!(&bytes[8..24], Ipv4Addr::new(192, 168, 1, 7).to_ipv6_mapped().octets());
        if bytes[1] == 0 {
            assert_eq!(bytes.len(), 24);
            return head(0, 0);
        }
        assert_eq!(bytes.len(), 60);
        let is_tcp = bytes[36] == 6;
        let seconds = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
        let wished = u16::from_be_bytes([bytes[42], bytes[43]]);
        match self.refuses {
            Some(code) => [&head(code, 30), &bytes[24..]].concat(),
            None => {
                let (port, seconds) = self.map(is_tcp, wished, seconds);
                let mut answer = [&head(0, seconds), &bytes[24..42], &port.to_be_bytes()].concat();
                answer.extend(self.ip.to_ipv6_mapped().octets());
                answer
            }
        }
    }

    fn hear_nat_pmp(&mut self, epoch: [u8; 4], bytes: &[u8]) -> Vec<u8> {
        let head = [&[0, 128 + bytes[1], 0, self.refuses.unwrap_or(0)], &epoch[..]].concat();
        if bytes.len() == 2 {
            return [&head[..], &self.ip.octets()].concat();
        }
        assert_eq!(bytes.len(), 12);
        if self.refuses.is_some() {
            return head;
        }
        let seconds = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
        let wished = u16::from_be_bytes([bytes[6], bytes[7]]);
        let (port, seconds) = self.map(bytes[1] == 2, wished, seconds);
        [&head[..], &bytes[4..6], &port.to_be_bytes(), &seconds.to_be_bytes()].concat()
    }

    fn map(&mut self, is_tcp: bool, wished: u16, seconds: u32) -> (u16, u32) {
        if seconds == 0 {
            self.mapped[usize::from(is_tcp)] = None;
            return (0, 0);
        }
        let gives = if is_tcp { self.gives_tcp } else { self.gives };
        let port = gives.unwrap_or(wished);
        self.mapped[usize::from(is_tcp)] = Some(port);
        (port, seconds.min(self.most))
    }
}
