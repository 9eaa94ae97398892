//! How long a transport lives: as long as anybody holds a handle of it, of one of its connections,
//! or of a stream.

use std::{
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex},
};

use tokio::task::JoinHandle;

use super::{protocol::ProtocolDriver, shared::Shared, wait::lock};

/// The last of these to go ends the transport.
#[derive(Debug)]
pub(super) struct Handle<M: ProtocolDriver> {
    shared: Arc<Shared<M>>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl<M: ProtocolDriver> Handle<M> {
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
        M::last_words(self).await;
        self.abandon();
        let driver = lock(&self.driver).take();
        if let Some(driver) = driver {
            // It has nothing to say; a panic of it was reported by the runtime.
            let _ = driver.await;
        }
    }
}

impl<M: ProtocolDriver> Deref for Handle<M> {
    type Target = Shared<M>;

    fn deref(&self) -> &Shared<M> {
        &self.shared
    }
}

impl<M: ProtocolDriver> Drop for Handle<M> {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The driver's hold: if its task ends for whatever reason, everybody who waits hears of it.
struct Driving<M: ProtocolDriver>(Arc<Shared<M>>);

impl<M: ProtocolDriver> Drop for Driving<M> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
