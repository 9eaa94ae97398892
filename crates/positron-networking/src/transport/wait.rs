//! Waiting for a condition that others make true.

use std::pin::pin;

use tokio::sync::Notify;

/// Looks now and after each notification until there is something. Nothing is missed between a look
/// and the wait.
pub(super) async fn until<T>(notify: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    if let Some(found) = look() {
        return found;
    }
    loop {
        let mut notified = pin!(notify.notified());
        notified.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        notified.await;
    }
}
