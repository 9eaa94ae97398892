//! The driver of a UDP transport.

use std::{io, pin::pin, sync::Arc, time::Instant};

use tokio::time::{sleep, sleep_until};

use super::{
    super::{
        machine::ProtocolMachine as _,
        send_turn::{Sleep, send_blocked},
        shared::Shared,
    },
    machine::Udp,
};
use crate::{
    driver::{
        complaint::Complaint,
        datagrams::{Arrived, Batch, DatagramSocket, Datagrams},
    },
    limits::{READ_BACK_OFF, SEND_ROUNDS},
};

/// Receives, keeps the time, and sends what the callers left to it. Each round is bounded, and
/// others have their turn between two rounds.
pub(super) async fn drive(shared: Arc<Shared<Udp>>, socket: Arc<DatagramSocket>) {
    let mut complaint = Complaint::new();
    let mut timer = pin!(sleep(READ_BACK_OFF));
    loop {
        let arrived = match shared.receive(&socket) {
            Ok(arrived) => arrived,
            Err(error) => {
                if let Some(withheld) = complaint.due(Instant::now()) {
                    tracing::warn!("cannot read the UDP socket, trying again: {error}{withheld}");
                }
                sleep(READ_BACK_OFF).await;
                Arrived::All
            }
        };
        shared.handle_timeout();
        shared.send_blocked(&socket);
        let all_sent = shared.transmit(shared.lock(), SEND_ROUNDS);
        let Some(sleep_for) = shared.next_wake() else { return };
        if let (Sleep::Until(at) | Sleep::BlockedUntil(at), Arrived::All, true) =
            (sleep_for, arrived, all_sent)
        {
            let at = shared.clock.timer(at);
            if at != timer.deadline() {
                timer.set(sleep_until(at));
            }
            tokio::select! {
                // An error shows again when the socket is read.
                _ = socket.readable() => {}
                _ = socket.writable(), if matches!(sleep_for, Sleep::BlockedUntil(_)) => {}
                () = shared.wake_driver.notified() => {}
                () = &mut timer => {}
            }
        } else {
            tokio::task::yield_now().await;
        }
        shared.lock().turn.woke();
    }
}

impl Shared<Udp> {
    /// Reads and hears what is there, at most one batch.
    fn receive(&self, socket: &DatagramSocket) -> io::Result<Arrived> {
        Batch::lend(|batch| {
            let arrived = socket.try_recv(batch)?;
            batch.datagrams().for_each(|some| self.handle_datagrams(some));
            Ok(arrived)
        })
    }

    /// Hears what arrived from one address.
    fn handle_datagrams(&self, some: Datagrams<'_>) {
        self.update(|machine, now| {
            machine.endpoint.handle_datagrams(now, some.from, some.segment_size, some.bytes);
        });
    }

    /// Does what is due.
    fn handle_timeout(&self) {
        let mut locked = self.lock();
        let now = self.clock.now();
        if locked.machine.poll_timeout().is_some_and(|at| at <= now.mono) {
            locked.machine.endpoint.handle_timeout(now);
            self.settle(&mut locked.machine, now);
            drop(locked);
            self.received.wake();
        }
    }

    /// Sends what the kernel did not take before.
    fn send_blocked(&self, socket: &DatagramSocket) {
        let mut blocked = self.lock().turn.take_blocked();
        send_blocked(&mut blocked, socket);
        self.lock().turn.put_back(blocked);
    }

    /// How long the driver may sleep; `None` when the transport is closed.
    fn next_wake(&self) -> Option<Sleep> {
        let mut locked = self.lock();
        let (now, due) = (self.clock.now().mono, locked.machine.poll_timeout());
        locked.machine.socket.is_some().then(|| locked.turn.next_wake(now, due))
    }
}
