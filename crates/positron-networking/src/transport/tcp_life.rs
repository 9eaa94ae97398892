//! How long a TCP transport lives, and its driver.

use std::{
    ops::Deref,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{sleep_until, timeout},
};

use super::{tcp_machine::TcpShared, wait::until};
use crate::{
    driver::{Arrival, Links, listen},
    limits::{BATCH, FLUSH_TIMEOUT, MAX_ACCEPTED},
};

/// The last of these to go ends the transport.
#[derive(Debug)]
pub(super) struct TcpLife {
    shared: Arc<TcpShared>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl TcpLife {
    pub(super) fn start(
        shared: TcpShared,
        listener: TcpListener,
        arriving: mpsc::UnboundedReceiver<Arrival>,
    ) -> Self {
        let shared = Arc::new(shared);
        let driver = tokio::spawn(drive(Driving(shared.clone()), listener, arriving));
        Self { shared, driver: Mutex::new(Some(driver)) }
    }

    /// Says goodbye to who is left, lets the links flush, and waits until the port is free.
    pub(super) async fn end(&self) {
        self.shared.say_goodbye();
        let flushed = until(&self.shared.ended, || {
            self.shared.look().links.as_ref().is_none_or(Links::is_empty).then_some(())
        });
        // Whoever does not take the goodbye goes without.
        let _ = timeout(FLUSH_TIMEOUT, flushed).await;
        self.shared.abandon();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver {
            let _ = driver.await;
        }
    }
}

impl Deref for TcpLife {
    type Target = TcpShared;

    fn deref(&self) -> &TcpShared {
        &self.shared
    }
}

impl Drop for TcpLife {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// The driver's hold: if its task ends for whatever reason, everybody who waits hears of it.
struct Driving(Arc<TcpShared>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Brings the machine what arrives, and keeps the time.
async fn drive(
    driving: Driving,
    listener: TcpListener,
    mut arriving: mpsc::UnboundedReceiver<Arrival>,
) {
    let shared = &driving.0;
    let (accepted, mut newcomers) = mpsc::channel(MAX_ACCEPTED);
    let mut accepting = JoinSet::new();
    accepting.spawn(listen::accept_all(listener, accepted));
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let timer = pin!(sleep_until(shared.clock.timer(shared.rest())));
        tokio::select! {
            count = arriving.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break; // the links are gone: the transport is closed
                }
                batch.drain(..).for_each(|arrival| shared.arrive(arrival));
            }
            Some((stream, from)) = newcomers.recv(), if shared.has_room() => {
                shared.accept(stream, from);
            }
            () = shared.kick.notified() => {}
            () = timer => {}
        }
        shared.woke();
        if shared.look().closing {
            accepting.abort_all();
        }
    }
    // The port is free when its task is gone.
    accepting.shutdown().await;
}
