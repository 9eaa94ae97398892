//! How a node ends: once, whoever asks for it and however many wait.

use std::sync::Arc;

use positron_proto::node::Command;
use tokio::{
    sync::{oneshot, watch},
    task::{JoinError, JoinHandle},
    time::{Instant, timeout_at},
};

use crate::{
    ShutdownError, driver::Order, handlers::Handlers, limits::SHUTDOWN_TIMEOUT, orders::Orders,
};

/// What the handles of a node have of its end: it begins when one of them [asks](Self::ask), or
/// when the last one is gone, and this with it.
#[derive(Debug)]
pub(crate) struct Shutdown {
    asked: watch::Sender<bool>,
    ended: watch::Receiver<Option<Result<(), ShutdownError>>>,
}

impl Shutdown {
    /// Waits in a task of its own for whatever ends the node first, and ends the rest of it.
    pub(crate) fn watch(
        driver: JoinHandle<Result<(), ShutdownError>>,
        orders: Orders,
        handlers: Arc<Handlers>,
    ) -> Self {
        let (asked, asking) = watch::channel(false);
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let end = end(driver, asking, orders, &handlers).await;
            tell.send_replace(Some(end));
        });
        Self { asked, ended }
    }

    /// Ends the node and tells how that went. It goes on when nobody waits for it any more.
    pub(crate) async fn ask(&self) -> Result<(), ShutdownError> {
        self.asked.send_replace(true);
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        // The task that would tell is gone with its runtime.
        end.ok().and_then(|end| end.clone()).unwrap_or(Err(ShutdownError::RuntimeEnded))
    }
}

async fn end(
    mut driver: JoinHandle<Result<(), ShutdownError>>,
    mut asking: watch::Receiver<bool>,
    orders: Orders,
    handlers: &Handlers,
) -> Result<(), ShutdownError> {
    let crashed = tokio::select! {
        // An error: the last handle is gone.
        _ = asking.wait_for(|asked| *asked) => None,
        ended = &mut driver => Some(ended.unwrap_or_else(|error| Err(gone(&error)))),
    };
    let until = Instant::now() + SHUTDOWN_TIMEOUT;
    let ended = match crashed {
        Some(ended) => ended,
        None => stop(&mut driver, &orders, until).await,
    };
    // Nobody finds the core any more; what still waits for it hears that.
    let finished = handlers.finish(until).await;
    ended.and(if finished { Ok(()) } else { Err(ShutdownError::TimedOut) })
}

/// Why the driver is not there any more, that nobody here ended: it panicked, or its runtime took
/// it along, which may be seen before the runtime takes who sees it.
fn gone(error: &JoinError) -> ShutdownError {
    if error.is_panic() { ShutdownError::Crashed } else { ShutdownError::RuntimeEnded }
}

async fn stop(
    driver: &mut JoinHandle<Result<(), ShutdownError>>,
    orders: &Orders,
    until: Instant,
) -> Result<(), ShutdownError> {
    let graceful = async {
        let (reply, _) = oneshot::channel();
        // A driver that is over has nothing to be told.
        let _ = orders.send(Order::Command { command: Command::Stop, reply, permit: None }).await;
        (&mut *driver).await.unwrap_or_else(|error| Err(gone(&error)))
    };
    if let Ok(ended) = timeout_at(until, graceful).await {
        return ended;
    }
    driver.abort();
    // It is gone when its task is; how it ended is known.
    let _ = driver.await;
    Err(ShutdownError::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_driver_that_its_runtime_took_along_has_not_crashed() {
        let taken = tokio::spawn(std::future::pending::<()>());
        taken.abort();
        assert_eq!(gone(&taken.await.unwrap_err()), ShutdownError::RuntimeEnded);
        let crashed = tokio::spawn(async { panic!("on purpose") });
        assert_eq!(gone(&crashed.await.unwrap_err()), ShutdownError::Crashed);
    }
}
