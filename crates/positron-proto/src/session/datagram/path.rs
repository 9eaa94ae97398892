//! Where the other end is, and whether that is proven (RFC 9000, 8.2 and 9).

#![allow(dead_code)]

use std::net::SocketAddr;

use crate::{
    rng::Rng,
    time::{Duration, Instant},
};

/// The address in use and the one that may follow it.
#[derive(Debug)]
pub(super) struct Paths {
    addr: SocketAddr,
}

impl Paths {
    /// Starts at `addr`; `proven` if the handshake proved it.
    pub(super) fn new(addr: SocketAddr, _proven: bool) -> Self {
        Self { addr }
    }

    /// The address to send to.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Whether the address in use is proven.
    pub(super) fn is_proven(&self) -> bool {
        true
    }

    /// The address in use is proven by the handshake.
    pub(super) fn prove(&mut self) {}

    /// A packet of `bytes` was opened; `is_newest` if its number is the highest so far.
    pub(super) fn arrived(
        &mut self,
        _now: Instant,
        _from: SocketAddr,
        _bytes: usize,
        _is_newest: bool,
        _pto: Duration,
        _rng: &mut Rng,
    ) {
    }

    /// The next challenge to send: where, and its token.
    pub(super) fn poll_challenge(&mut self, _now: Instant) -> Option<(SocketAddr, u64)> {
        None
    }

    /// A PATH_RESPONSE came: where the other end is now, if that is news.
    pub(super) fn response(
        &mut self,
        _now: Instant,
        _from: SocketAddr,
        _token: u64,
    ) -> Option<SocketAddr> {
        None
    }

    /// Bytes that may be sent to this address.
    pub(super) fn allowance(&self, _addr: SocketAddr) -> u64 {
        u64::MAX
    }

    /// So many bytes were sent there.
    pub(super) fn sent(&mut self, _addr: SocketAddr, _bytes: usize) {}

    /// When `handle_timeout` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, _now: Instant) {}
}
