//! The way from a host to the internet: its own address, and the boxes before it.

use std::net::{IpAddr, SocketAddr};

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

    /// The address by which the internet knows the host.
    pub(crate) fn outside(&self) -> IpAddr {
        let shown = self.boxes.iter().rev().find_map(|middlebox| middlebox.outside());
        shown.unwrap_or(self.ip)
    }

    /// The internet knows the host by another address from now on: the outermost translator shows
    /// it, and the host has it if there is none.
    pub(crate) fn renumber(&mut self, ip: IpAddr) {
        for middlebox in self.boxes.iter_mut().rev() {
            middlebox.renumber(ip);
            if middlebox.outside().is_some() {
                return;
            }
        }
        self.ip = ip;
    }

    /// The box next to the host forwards this port to it.
    pub(crate) fn forward(&mut self, port: u16) {
        if let Some(middlebox) = self.boxes.first_mut() {
            middlebox.forward(SocketAddr::new(self.ip, port));
        }
    }

    /// The boxes forget everything.
    pub(crate) fn reboot(&mut self) {
        self.boxes.iter_mut().for_each(|middlebox| middlebox.reboot());
    }

    /// Puts the host behind these boxes, the innermost first, at an address that only they know.
    pub(crate) fn put_behind(&mut self, boxes: Vec<Box<dyn Middlebox>>, inside: IpAddr) {
        self.boxes = boxes;
        self.ip = inside;
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
            header.ttl = header.ttl.checked_sub(1)?;
            match middlebox.inbound(now, header) {
                Verdict::Forward(changed) if changed.ttl > 0 => header = changed,
                Verdict::Forward(_) | Verdict::Drop => return None,
            }
        }
        Some(header)
    }
}
