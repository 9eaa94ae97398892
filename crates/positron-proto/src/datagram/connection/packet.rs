//! A packet that arrived, before and after it was opened.

use std::net::SocketAddr;

use crate::{datagram::protection::Unopened, wire::packet::Header};

/// A sealed packet, where the socket put it.
#[derive(Clone, Copy)]
pub(in crate::datagram) struct SealedPacket<'a> {
    pub(in crate::datagram) from: SocketAddr,
    pub(in crate::datagram) header: &'a Header,
    pub(in crate::datagram) datagram: &'a [u8],
}

/// A packet that opened. Its frames are borrowed: whoever keeps something of them copies it to the
/// place where it stays, once, and nothing that is kept holds a whole packet.
#[derive(Clone, Copy)]
pub(in crate::datagram) struct OpenedPacket<'a> {
    pub(in crate::datagram) from: SocketAddr,
    pub(in crate::datagram) header: &'a Header,
    pub(in crate::datagram) number: u64,
    pub(in crate::datagram) frames: &'a [u8],
    /// Bytes of its datagram.
    pub(in crate::datagram) len: usize,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datagram) enum Handled {
    /// It opened; what was in it was heard.
    Opened,
    /// It did not.
    NotOpened(Unopened),
}
