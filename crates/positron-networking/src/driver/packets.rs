//! Datagrams into the core and out of it.
//!
//! The core's own task reads and writes the socket: a packet is sealed at the moment it is sent,
//! and what arrived is handled where it was read. So nothing waits between the core and the kernel
//! but one batch in each direction, and both of these stop the flow at its source: a kernel that
//! takes no more stops the core from sealing more, and what a peer says that is not read stays in
//! its window.

use std::{collections::BTreeSet, net::SocketAddr};

use positron_proto::{datagram::contract::ExtraSocket, node::NodeCore};
use tokio::time::{Instant, sleep_until};

use super::{
    Clock,
    blocked::{BUFFER, Blocked},
    complaint::Complaint,
    datagrams::{Arrived, Batch, DatagramSocket},
    extra_sockets::ExtraSockets,
};
use crate::limits::{READ_BACK_OFF, SEND_ROUNDS};

/// The sockets, and how far reading and sending are. It holds no memory to read into or to send
/// from: that is lent for one turn.
#[derive(Debug)]
pub(super) struct Packets {
    socket: DatagramSocket,
    extra: ExtraSockets,
    /// Whether nothing is left to read, as far as is known.
    dry: bool,
    /// When to read again after reading failed.
    back_off: Option<Instant>,
    complaint: Complaint,
    /// What the kernel has not taken, and of which socket.
    blocked: Option<(Option<ExtraSocket>, Blocked)>,
    /// Whether the core had more to send when its turn was over.
    unfinished: bool,
}

impl Packets {
    pub(super) fn new(socket: DatagramSocket, listening: SocketAddr) -> Self {
        Self {
            socket,
            extra: ExtraSockets::new(listening),
            dry: false,
            back_off: None,
            complaint: Complaint::new(),
            blocked: None,
            unfinished: false,
        }
    }

    /// A search for a direct path begins or ends.
    pub(super) const fn extra_sockets(&mut self) -> &mut ExtraSockets {
        &mut self.extra
    }

    /// To where the kernel said that there is no way, since the last call.
    pub(super) fn take_no_way(&self) -> BTreeSet<SocketAddr> {
        self.socket.take_no_way()
    }

    /// Waits until there is something to read that may be read, or to send that can be sent, or to
    /// tell of what was sent.
    pub(super) async fn ready(&self) {
        if self.unfinished || self.socket.has_no_way() || !self.dry {
            return;
        }
        let until_later = async {
            match self.back_off {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        // An error shows again when the socket is used.
        tokio::select! {
            _ = self.socket.readable(), if self.back_off.is_none() => {}
            () = self.extra.readable(), if !self.extra.is_empty() => {}
            () = self.blocked_is_writable(), if self.blocked.is_some() => {}
            () = until_later => {}
        }
    }

    /// Waits until the kernel takes more of what it has not taken.
    async fn blocked_is_writable(&self) {
        let blocked = self.blocked.as_ref();
        if let Some(socket) = blocked.and_then(|(over, _)| self.socket(*over)) {
            // An error shows again when the socket is used.
            let _ = socket.writable().await;
        }
    }

    /// An extra one while it is open, or that on which we listen.
    fn socket(&self, extra: Option<ExtraSocket>) -> Option<&DatagramSocket> {
        extra.map_or(Some(&self.socket), |extra| self.extra.get(extra))
    }

    /// Reads what is there at an extra socket that has anything, at most one batch.
    pub(super) fn read_extra(&self, batch: &mut Batch) -> Option<ExtraSocket> {
        self.extra.read(batch)
    }

    /// Reads what is there, at most one batch.
    pub(super) fn read(&mut self, batch: &mut Batch) -> Arrived {
        self.back_off = None;
        let arrived = self.socket.try_recv(batch).unwrap_or_else(|error| {
            let now = Instant::now();
            if let Some(withheld) = self.complaint.due(now.into_std()) {
                tracing::warn!("cannot read the UDP socket, trying again: {error}{withheld}");
            }
            self.back_off = Some(now + READ_BACK_OFF);
            Arrived::All
        });
        self.dry = arrived == Arrived::All;
        arrived
    }

    /// Sends what the core has to send, until it is all, the kernel takes no more, or others have
    /// to have their turn.
    pub(super) fn send(&mut self, core: &mut NodeCore, clock: &Clock) {
        let mut buffer = BUFFER.take();
        self.unfinished = self.send_blocked() && self.send_some(core, clock, &mut buffer);
        BUFFER.set(buffer);
    }

    /// Whether the core may have more to send that the kernel takes.
    fn send_some(&mut self, core: &mut NodeCore, clock: &Clock, buffer: &mut Vec<u8>) -> bool {
        for _ in 0..SEND_ROUNDS {
            let segments = self.socket.max_segments();
            let Some(batch) = core.poll_transmit(clock.now(), segments, buffer) else {
                return false;
            };
            let bytes = &buffer[..batch.len.min(buffer.len())];
            let (over, to) = ExtraSocket::split(batch.to);
            let Some(socket) = self.socket(over) else { continue };
            if let Some(hops) = batch.hops {
                socket.send_not_far(to, hops, bytes);
                continue;
            }
            let blocked = Blocked::send(socket, to, batch.segment_size, bytes);
            self.blocked = blocked.map(|blocked| (over, blocked));
            if self.blocked.is_some() {
                return false;
            }
        }
        true
    }

    /// Whether nothing waits for the kernel, nor for the core's turn.
    pub(super) const fn is_all_sent(&self) -> bool {
        self.blocked.is_none() && !self.unfinished
    }

    /// Datagrams, or batches of them, that the kernel refused: because of their size, and for other
    /// reasons.
    pub(super) fn unsent(&self) -> (u64, u64) {
        self.socket.unsent()
    }

    /// Whether the kernel has taken everything now.
    fn send_blocked(&mut self) -> bool {
        let Some((over, mut blocked)) = self.blocked.take() else { return true };
        if self.socket(over).is_some_and(|socket| !blocked.send_on(socket)) {
            self.blocked = Some((over, blocked));
        }
        self.blocked.is_none()
    }
}
