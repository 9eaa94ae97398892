//! The driver of a UDP transport.

use std::{pin::pin, sync::Arc};

use positron_proto::time::Instant;
use tokio::time::{sleep, sleep_until};

use super::{
    super::{protocol::ProtocolDriver as _, shared::Shared},
    machine::Udp,
};
use crate::{
    driver::datagrams::{Arrived, Batch, DatagramSocket, Datagrams},
    limits::{READ_BACK_OFF, SEND_ROUNDS},
};

/// Receives, keeps the time, and sends what the callers left to it. Each round is bounded, and
/// others have their turn between two rounds.
pub(super) async fn drive(shared: Arc<Shared<Udp>>, socket: Arc<DatagramSocket>) {
    let mut batch = Batch::new();
    let mut timer = pin!(sleep(READ_BACK_OFF));
    loop {
        let arrived = match socket.try_recv(&mut batch) {
            Ok(arrived) => arrived,
            Err(error) => {
                tracing::warn!(%error, "cannot read the socket, trying again");
                sleep(READ_BACK_OFF).await;
                Arrived::All
            }
        };
        batch.datagrams().for_each(|some| shared.arrive(some));
        shared.handle_timeout();
        shared.send_blocked(&socket);
        let all_sent = Udp::transmit(&shared, SEND_ROUNDS);
        let rest = shared.rest();
        if rest == Rest::Over {
            return;
        }
        if let (Rest::Until(at) | Rest::BlockedUntil(at), Arrived::All, true) =
            (rest, arrived, all_sent)
        {
            let at = shared.clock.timer(at);
            if at != timer.deadline() {
                timer.set(sleep_until(at));
            }
            tokio::select! {
                // An error shows again when the socket is read.
                _ = socket.readable() => {}
                _ = socket.writable(), if matches!(rest, Rest::BlockedUntil(_)) => {}
                () = shared.kick.notified() => {}
                () = &mut timer => {}
            }
        } else {
            tokio::task::yield_now().await;
        }
        shared.woke();
    }
}

/// Why the driver should not sleep, or until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// There is something to do.
    No,
    /// Nothing before that.
    Until(Instant),
    /// Nothing before that, and the kernel takes no more datagrams now.
    BlockedUntil(Instant),
    /// The transport is closed.
    Over,
}

impl Shared<Udp> {
    /// What arrived from one address.
    fn arrive(&self, some: Datagrams<'_>) {
        self.tell(|machine, now| {
            machine.endpoint.handle_datagrams(now, some.from, some.segment_size, some.bytes);
        });
    }

    /// Does what is due.
    fn handle_timeout(&self) {
        let mut machine = self.look();
        let now = self.clock.now();
        if machine.endpoint.poll_timeout().is_some_and(|at| at <= now.mono) {
            machine.endpoint.handle_timeout(now);
            machine.settle(now, self);
            drop(machine);
            self.inbox.wake();
        }
    }

    /// The driver looks for a reason not to sleep.
    fn rest(&self) -> Rest {
        let mut machine = self.look();
        if machine.socket.is_none() {
            return Rest::Over;
        }
        let until = machine.endpoint.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        if std::mem::take(&mut machine.sending.queued) || until <= self.clock.now().mono {
            return Rest::No;
        }
        machine.sending.asleep = Some(until);
        machine.sending.direct = machine.sending.blocked.is_empty();
        if machine.sending.direct { Rest::Until(until) } else { Rest::BlockedUntil(until) }
    }

    /// The driver does not sleep any more.
    fn woke(&self) {
        self.look().sending.asleep = None;
    }
}
