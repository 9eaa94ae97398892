//! How long a UDP transport lives: as long as anybody holds a handle of it, of one of its
//! connections, or of a stream.

use std::{
    ops::Deref,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    task::JoinHandle,
    time::{sleep, sleep_until},
};

use super::machine::{Rest, Shared};
use crate::{
    driver::datagrams::{Arrived, Batch, DatagramSocket},
    limits::{READ_BACK_OFF, SEND_ROUNDS},
};

/// The last of these to go ends the transport.
#[derive(Debug)]
pub(super) struct Life {
    shared: Arc<Shared>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Life {
    /// Starts the driver.
    pub(super) fn start(shared: Shared, socket: Arc<DatagramSocket>) -> Self {
        let shared = Arc::new(shared);
        let driver = tokio::spawn(drive(Driving(shared.clone()), socket));
        Self { shared, driver: Mutex::new(Some(driver)) }
    }

    /// Ends what is left, and waits until the port is free.
    pub(super) async fn end(&self) {
        self.shared.abandon();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver {
            // It has nothing to say; a panic of it was reported by the runtime.
            let _ = driver.await;
        }
    }
}

impl Deref for Life {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// The driver's hold: if its task ends for whatever reason, everybody who waits hears of it.
struct Driving(Arc<Shared>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Receives, keeps the time, and sends what the callers left to it. Each round is bounded, and
/// others have their turn between two rounds.
async fn drive(driving: Driving, socket: Arc<DatagramSocket>) {
    let shared = &driving.0;
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
        let all_sent = shared.transmit(SEND_ROUNDS);
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
