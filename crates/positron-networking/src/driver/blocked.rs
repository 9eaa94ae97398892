//! What is being sent, and what of it the kernel does not take.

use std::{cell::Cell, net::SocketAddr};

use super::datagrams::{DatagramSocket, Sent};

/// What the kernel has not taken of a batch of datagrams.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) to: SocketAddr,
    pub(crate) segment_size: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Blocked {
    /// Sends datagrams of `segment_size` bytes that follow one another in `bytes`; what is left of
    /// them, if the kernel takes no more.
    pub(crate) fn send(
        socket: &DatagramSocket,
        to: SocketAddr,
        segment_size: usize,
        bytes: &[u8],
    ) -> Option<Self> {
        match socket.try_send(to, segment_size, bytes) {
            Sent::All => None,
            Sent::Until(at) => Some(Self { to, segment_size, bytes: bytes[at..].to_vec() }),
        }
    }

    /// Tries again; whether the kernel has all of it now.
    pub(crate) fn send_on(&mut self, socket: &DatagramSocket) -> bool {
        match socket.try_send(self.to, self.segment_size, &self.bytes) {
            Sent::All => true,
            Sent::Until(at) => {
                self.bytes.drain(..at);
                false
            }
        }
    }
}

thread_local! {
    /// What is being sent, from one thread at a time one batch: between two of them it holds
    /// nothing.
    pub(crate) static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
