//! Datagrams into the core and out of it.
//!
//! The core's own task reads and writes the socket: a packet is sealed at the moment it is sent,
//! and what arrived is handled where it was read. So nothing waits between the core and the kernel
//! but one batch in each direction, and both of these stop the flow at its source: a kernel that
//! takes no more stops the core from sealing more, and what a peer says that is not read stays in
//! its window.

use std::{collections::BTreeSet, net::SocketAddr};

use positron_proto::node::NodeCore;
use tokio::time::{Instant, sleep_until};

use super::{
    Clock,
    complaint::Complaint,
    datagrams::{Arrived, Batch, DatagramSocket, Datagrams, Sent},
};
use crate::limits::{READ_BACK_OFF, READ_ROUNDS, SEND_ROUNDS};

/// The socket, and what is half read or half sent.
#[derive(Debug)]
pub(super) struct Packets {
    socket: DatagramSocket,
    batch: Batch,
    /// How much of the batch the core has had.
    handled: usize,
    /// Reads left in this wake-up.
    rounds: usize,
    /// Whether nothing is left to read, as far as is known.
    dry: bool,
    /// When to read again after reading failed.
    back_off: Option<Instant>,
    complaint: Complaint,
    /// What is being sent, used again and again.
    buffer: Vec<u8>,
    /// What of it the kernel has not taken.
    blocked: Option<Blocked>,
    /// Whether the core had more to send when its turn was over.
    unfinished: bool,
}

#[derive(Clone, Copy, Debug)]
struct Blocked {
    to: SocketAddr,
    segment_size: usize,
    from: usize,
    until: usize,
}

impl Packets {
    pub(super) fn new(socket: DatagramSocket) -> Self {
        Self {
            socket,
            batch: Batch::new(),
            handled: 0,
            rounds: 0,
            dry: false,
            back_off: None,
            complaint: Complaint::new(),
            buffer: Vec::new(),
            blocked: None,
            unfinished: false,
        }
    }

    /// To where the kernel said that there is no way, since the last call.
    pub(super) fn take_no_way(&self) -> BTreeSet<SocketAddr> {
        self.socket.take_no_way()
    }

    /// Waits until there is something to read that may be read, or to send that can be sent, or to
    /// tell of what was sent.
    pub(super) async fn ready(&self) {
        if self.unfinished || self.socket.has_no_way() || self.has_more() {
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
            _ = self.socket.writable(), if self.blocked.is_some() => {}
            () = until_later => {}
        }
    }

    /// A wake-up begins: so much may be read in it.
    pub(super) fn begin(&mut self) {
        self.rounds = READ_ROUNDS;
        self.back_off = None;
    }

    /// The next datagrams of this wake-up, where the kernel put them; `None`: it is the others'
    /// turn.
    pub(super) fn next(&mut self) -> Option<Datagrams<'_>> {
        if !self.read() {
            return None;
        }
        self.handled += 1;
        self.batch.datagrams().nth(self.handled - 1)
    }

    /// Whether there are datagrams that the core has not had, after reading if need be.
    fn read(&mut self) -> bool {
        while self.batch.datagrams().nth(self.handled).is_none() {
            if self.rounds == 0 {
                return false;
            }
            self.rounds -= 1;
            self.handled = 0;
            self.dry = match self.socket.try_recv(&mut self.batch) {
                Ok(arrived) => arrived == Arrived::All,
                Err(error) => {
                    let now = Instant::now();
                    if let Some(withheld) = self.complaint.due(now.into_std()) {
                        tracing::warn!(
                            "cannot read the UDP socket, trying again: {error}{withheld}"
                        );
                    }
                    self.back_off = Some(now + READ_BACK_OFF);
                    true
                }
            };
            if self.dry {
                self.rounds = 0;
            }
        }
        true
    }

    /// Sends what the core has to send, until it is all, the kernel takes no more, or others have
    /// to have their turn.
    pub(super) fn send(&mut self, core: &mut NodeCore, clock: &Clock) {
        self.unfinished = false;
        if !self.send_blocked() {
            return;
        }
        for _ in 0..SEND_ROUNDS {
            let segments = self.socket.max_segments();
            let Some(batch) = core.poll_transmit(clock.now(), segments, &mut self.buffer) else {
                return;
            };
            let (to, segment_size) = (batch.to, batch.segment_size);
            let until = batch.len.min(self.buffer.len());
            self.blocked = Some(Blocked { to, segment_size, from: 0, until });
            if !self.send_blocked() {
                return;
            }
        }
        self.unfinished = true;
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
        let Some(Blocked { to, segment_size, from, until }) = self.blocked else { return true };
        self.blocked = match self.socket.try_send(to, segment_size, &self.buffer[from..until]) {
            Sent::All => None,
            Sent::Until(at) => Some(Blocked { to, segment_size, from: from + at, until }),
        };
        self.blocked.is_none()
    }

    /// Whether something was read and not handled, or may be there to be read.
    fn has_more(&self) -> bool {
        !self.dry || self.batch.datagrams().nth(self.handled).is_some()
    }
}
