//! How long a transport lives: as long as anybody holds a handle of it or of one of its
//! connections.

use std::{
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex},
};

use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use super::{
    machine::ProtocolMachine,
    shared::Shared,
    wait::{lock, until},
};
use crate::limits::{CLOSE_TIMEOUT, SOCKET_FLUSH_TIMEOUT};

/// The last of these to go ends the transport.
#[derive(Debug)]
pub struct TransportGuard<M: ProtocolMachine> {
    shared: Arc<Shared<M>>,
    /// The task, and where it runs; none when the transport was ended.
    driver: Mutex<Option<(JoinHandle<()>, Handle)>>,
}

impl<M: ProtocolMachine> TransportGuard<M> {
    /// Starts the driver.
    pub(super) fn start<D>(shared: Shared<M>, drive: impl FnOnce(Arc<Shared<M>>) -> D) -> Self
    where
        D: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::new(shared);
        let (driving, drive) = (Living(shared.clone()), drive(shared.clone()));
        let driver = tokio::spawn(async move {
            let _driving = driving;
            drive.await;
        });
        Self { shared, driver: Mutex::new(Some((driver, Handle::current()))) }
    }

    /// Of a transport that is over, for what still names one of its connections.
    pub(super) const fn ended(shared: Arc<Shared<M>>) -> Self {
        Self { shared, driver: Mutex::new(None) }
    }

    /// What does not keep the transport alive.
    pub(super) const fn shared(&self) -> &Arc<Shared<M>> {
        &self.shared
    }

    /// Waits for what is being closed, ends what is left, and waits until the port is free.
    pub(super) async fn end(&self) {
        end(&self.shared).await;
        let driver = lock(&self.driver).take();
        if let Some((driver, _)) = driver {
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
        let Some((_, runtime)) = lock(&self.driver).take() else { return };
        self.let_go();
        let living = Living(self.shared.clone());
        let is_over = {
            let machine = &self.lock().machine;
            machine.connections().next().is_none() && machine.is_flushed()
        };
        if !is_over {
            runtime.spawn(async move { end(&living.0).await });
        }
    }
}

/// Ends what does not end by itself, once everything was told to close.
async fn end<M: ProtocolMachine>(shared: &Shared<M>) {
    let all_ended =
        until(&shared.ended, || shared.lock().machine.connections().next().is_none().then_some(()));
    let _ = timeout(CLOSE_TIMEOUT, all_ended).await;
    shared.act(M::reset_all);
    let flushed = until(&shared.ended, || shared.lock().machine.is_flushed().then_some(()));
    // Whoever does not take the goodbye goes without.
    let _ = timeout(SOCKET_FLUSH_TIMEOUT, flushed).await;
    shared.abandon();
}

/// The hold of a task that the transport needs: if it ends for whatever reason, everybody who waits
/// hears of it.
struct Living<M: ProtocolMachine>(Arc<Shared<M>>);

impl<M: ProtocolMachine> Drop for Living<M> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
