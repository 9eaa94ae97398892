//! What stands between a host and the internet, as the way past it sees it.

use std::net::{IpAddr, SocketAddr};

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
/// was taken from the hop limit. On the way out a packet at 0 does not reach it; on the way in it
/// does, because it may be for the box itself, and goes no further whatever the verdict is. What
/// the box answers depends on nothing but these calls. A translator writes `from` anew on the way
/// out and `to` on the way in; it forgets mappings by the times that it is told.
pub trait Middlebox: Send + core::fmt::Debug {
    /// From the host to the internet.
    fn outbound(&mut self, now: Time, header: Header) -> Verdict;

    /// From the internet to the host.
    fn inbound(&mut self, now: Time, header: Header) -> Verdict;

    /// It lets in whatever comes for its port of the same number as that of `inside`, for `inside`:
    /// a port mapping. Boxes that cannot do that do nothing.
    fn forward(&mut self, _inside: SocketAddr) {}

    /// It forgets everything that it learned from packets, and port mappings.
    fn reboot(&mut self);

    /// At which address it shows what is behind it; `None` if it leaves addresses as they are.
    fn outside(&self) -> Option<IpAddr>;

    /// What is behind it is at another address: its own, if it shows an address of its own. It
    /// forgets the flows of the former one.
    fn renumber(&mut self, ip: IpAddr);
}
