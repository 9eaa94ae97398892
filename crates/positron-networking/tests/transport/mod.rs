//! What the stories of transports share.

#![allow(dead_code)] // each test binary uses a part of it

use std::{future::Future, net::SocketAddr, time::Duration};

/// Generous: only a broken transport needs it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What comes of it, within the deadline.
pub(crate) async fn in_time<T>(story: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, story).await.expect("it happens within the deadline")
}

/// Waits for a condition.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    in_time(async {
        while !condition() {
            // tidy: allow(sleep) polls for the condition until the deadline
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// An address of this machine where nobody listens, neither with TCP nor with UDP.
pub(crate) fn unused_port() -> SocketAddr {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.local_addr().unwrap()
}
