//! Who sends: the task that calls, or the driver.
//!
//! A caller's task seals what is due under the lock and gives it to the kernel without it. While
//! one task after the other sends, the driver is the one who packs: after one batch of its own a
//! caller only queues, until the driver has been there.

use std::{cell::Cell, collections::VecDeque, net::SocketAddr};

use positron_proto::time::Instant;

use super::{
    super::{protocol::ProtocolDriver as _, shared::Shared},
    machine::Udp,
};
use crate::driver::datagrams::{DatagramSocket, Sent};

/// What was not sent yet, and whose turn it is.
#[derive(Debug)]
pub(super) struct Sending {
    /// Batches that the kernel has not taken, and how far it did: one a task that was sending.
    pub(super) blocked: VecDeque<Blocked>,
    /// Whether a caller may send by itself: the driver found nothing to send when it looked last.
    pub(super) direct: bool,
    /// Whether something was queued for the driver.
    pub(super) queued: bool,
    /// Until when the driver sleeps; it does not if this is none.
    pub(super) asleep: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Blocked {
    to: SocketAddr,
    segment_size: usize,
    bytes: Vec<u8>,
}

impl Default for Sending {
    fn default() -> Self {
        Self { blocked: VecDeque::new(), direct: true, queued: false, asleep: None }
    }
}

impl Shared<Udp> {
    /// Sends one batch; whether there was one and the kernel took it.
    pub(super) fn transmit_one(&self, buffer: &mut Vec<u8>) -> bool {
        let mut machine = self.look();
        let idle = machine.sending.blocked.is_empty();
        let Some(socket) = machine.socket.clone().filter(|_| idle) else { return false };
        let now = self.clock.now();
        let Some(batch) = machine.endpoint.poll_transmit(now, socket.max_segments(), buffer) else {
            machine.settle(now, self);
            machine.wake_driver_earlier(self);
            return false;
        };
        drop(machine);
        let bytes = &buffer[..batch.len.min(buffer.len())];
        let Sent::Until(at) = socket.try_send(batch.to, batch.segment_size, bytes) else {
            return true;
        };
        let (to, segment_size, bytes) = (batch.to, batch.segment_size, bytes[at..].to_vec());
        self.look().sending.blocked.push_back(Blocked { to, segment_size, bytes });
        self.kick.notify_one();
        false
    }

    /// Sends what the kernel did not take before.
    pub(super) fn send_blocked(&self, socket: &DatagramSocket) {
        let mut blocked = std::mem::take(&mut self.look().sending.blocked);
        while let Some(first) = blocked.front_mut() {
            match socket.try_send(first.to, first.segment_size, &first.bytes) {
                Sent::All => drop(blocked.pop_front()),
                Sent::Until(at) => {
                    first.bytes.drain(..at);
                    break;
                }
            }
        }
        let mut machine = self.look();
        blocked.append(&mut machine.sending.blocked);
        machine.sending.blocked = blocked;
    }
}

impl Udp {
    pub(super) fn leave_to_driver(&mut self, shared: &Shared<Udp>) {
        self.sending.queued = true;
        if self.sending.asleep.is_some() {
            shared.kick.notify_one();
        }
    }

    fn wake_driver_earlier(&self, shared: &Shared<Udp>) {
        if let (Some(until), Some(at)) = (self.sending.asleep, self.endpoint.poll_timeout())
            && at < until
        {
            shared.kick.notify_one();
        }
    }
}

thread_local! {
    /// What is being sent; sealed under the lock, given to the kernel without it.
    pub(super) static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
