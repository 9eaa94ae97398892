//! What can live on a host: anything that keeps the contract of a node.

use std::net::SocketAddr;

use positron_proto::{
    datagram::contract::Transmit,
    id::Ticket,
    node::{Command, Effect, Input, NodeCore, Refused},
    substream::{SubstreamId, SubstreamOrder},
    time::{Instant, Now},
};

/// The contract of [`NodeCore`], for the shipped node and for those who mean it harm.
pub(crate) trait Machine: Send {
    fn handle(&mut self, now: Now, input: Input);
    /// Datagrams from one address, if it speaks by datagrams.
    fn handle_datagrams(&mut self, _: Now, _: SocketAddr, _: usize, _: &[u8]) {}
    fn command(&mut self, now: Now, command: Command) -> Result<Ticket, Refused>;
    /// What its application wants of a stream, if it has any.
    fn stream_order(&mut self, _: Now, _: SubstreamId, _: SubstreamOrder) {}
    fn poll_effect(&mut self) -> Option<Effect>;
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next datagrams, if it speaks by datagrams.
    fn poll_transmit(&mut self, _: Now, _: usize, _: &mut Vec<u8>) -> Option<Transmit> {
        None
    }
    /// The shipped node, if it is one.
    fn node(&self) -> Option<&NodeCore> {
        None
    }
}

impl Machine for NodeCore {
    fn handle(&mut self, now: Now, input: Input) {
        Self::handle(self, now, input);
    }

    fn handle_datagrams(&mut self, now: Now, from: SocketAddr, size: usize, bytes: &[u8]) {
        Self::handle_datagrams(self, now, from, size, bytes);
    }

    fn command(&mut self, now: Now, command: Command) -> Result<Ticket, Refused> {
        Self::command(self, now, command)
    }

    fn stream_order(&mut self, now: Now, id: SubstreamId, order: SubstreamOrder) {
        self.handle_stream_order(now, id, order);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        Self::poll_effect(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self).map(|(when, _why)| when)
    }

    fn poll_transmit(&mut self, now: Now, most: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        Self::poll_transmit(self, now, most, buf)
    }

    fn node(&self) -> Option<&NodeCore> {
        Some(self)
    }
}
