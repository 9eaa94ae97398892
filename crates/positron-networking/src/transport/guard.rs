//! How long a transport lives: as long as anybody holds a handle of it, of one of its connections,
//! or of a stream.

use std::{
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex},
};

use tokio::{task::JoinHandle, time::timeout};

use super::{
    protocol::ProtocolMachine,
    shared::Shared,
    wait::{lock, until},
};
use crate::limits::SOCKET_FLUSH_TIMEOUT;

/// The last of these to go ends the transport.
#[derive(Debug)]
pub(super) struct TransportGuard<M: ProtocolMachine> {
    shared: Arc<Shared<M>>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl<M: ProtocolMachine> TransportGuard<M> {
    /// Starts the driver.
    pub(super) fn start<D>(shared: Shared<M>, drive: impl FnOnce(Arc<Shared<M>>) -> D) -> Self
    where
        D: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::new(shared);
        let (driving, drive) = (Driving(shared.clone()), drive(shared.clone()));
        let driver = tokio::spawn(async move {
            let _driving = driving;
            drive.await;
        });
        Self { shared, driver: Mutex::new(Some(driver)) }
    }

    /// Ends what is left, and waits until the port is free.
    pub(super) async fn end(&self) {
        self.act(M::reset_all);
        let flushed = until(&self.ended, || self.lock().machine.is_flushed().then_some(()));
        // Whoever does not take the goodbye goes without.
        let _ = timeout(SOCKET_FLUSH_TIMEOUT, flushed).await;
        self.abandon();
        let driver = lock(&self.driver).take();
        if let Some(driver) = driver {
            // It has nothing to say; a panic of it was reported by the runtime.
            let _ = driver.await;
        }
    }
}

impl<M: ProtocolMachine> Deref for TransportGuard<M> {
    type Target = Shared<M>;

    fn deref(&self) -> &Shared<M> {
        &self.shared
    }
}

impl<M: ProtocolMachine> Drop for TransportGuard<M> {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The driver's hold: if its task ends for whatever reason, everybody who waits hears of it.
struct Driving<M: ProtocolMachine>(Arc<Shared<M>>);

impl<M: ProtocolMachine> Drop for Driving<M> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
