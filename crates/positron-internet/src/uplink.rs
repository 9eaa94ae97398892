//! The way from a host to the internet: its own address, and the boxes before it.

use std::net::IpAddr;

use crate::{
    Time,
    middlebox::{Header, Middlebox, Verdict},
    path::Loss,
};

/// A host's own address and the boxes on its way out, the innermost first.
#[derive(Debug)]
pub(crate) struct Uplink {
    ip: IpAddr,
    boxes: Vec<Box<dyn Middlebox>>,
}

impl Uplink {
    pub(crate) const fn new(ip: IpAddr) -> Self {
        Self { ip, boxes: Vec::new() }
    }

    pub(crate) const fn ip(&self) -> IpAddr {
        self.ip
    }

    pub(crate) const fn renumber(&mut self, ip: IpAddr) {
        self.ip = ip;
    }

    /// One box more, before the internet and behind all that are there.
    pub(crate) fn install(&mut self, middlebox: Box<dyn Middlebox>) {
        self.boxes.push(middlebox);
    }

    /// A packet leaves the host: as it reads on the internet.
    pub(crate) fn outbound(&mut self, now: Time, mut header: Header) -> Result<Header, Loss> {
        for middlebox in &mut self.boxes {
            header.ttl = header.ttl.checked_sub(1).filter(|ttl| *ttl > 0).ok_or(Loss::Expired)?;
            match middlebox.outbound(now, header) {
                Verdict::Forward(changed) => header = changed,
                Verdict::Drop => return Err(Loss::Filtered),
            }
        }
        Ok(header)
    }

    /// A packet arrives from the internet: as it reads at the host.
    pub(crate) fn inbound(&mut self, now: Time, mut header: Header) -> Option<Header> {
        for middlebox in self.boxes.iter_mut().rev() {
            header.ttl = header.ttl.checked_sub(1).filter(|ttl| *ttl > 0)?;
            match middlebox.inbound(now, header) {
                Verdict::Forward(changed) => header = changed,
                Verdict::Drop => return None,
            }
        }
        Some(header)
    }
}
