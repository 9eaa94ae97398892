//! What the stories of transports share.

#![allow(dead_code, unused_macros)] // each test binary uses a part of it

use std::{future::Future, net::SocketAddr, time::Duration};

use positron_networking::transport::{Connection, Expect, Protocol, Transport};

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

/// Two that know each other.
pub(crate) struct Pair<P: Protocol> {
    pub(crate) alice: Transport<P>,
    pub(crate) bob: Transport<P>,
    /// Alice's.
    pub(crate) there: Connection<P>,
    /// Bob's.
    pub(crate) here: Connection<P>,
}

pub(crate) async fn start<P: Protocol>() -> Transport<P> {
    Transport::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) async fn pair<P: Protocol>() -> Pair<P> {
    let (alice, bob) = (start().await, start().await);
    let there = in_time(alice.connect(bob.local_addr(), Expect::Node(bob.id()))).await.unwrap();
    let here = in_time(bob.accept()).await.unwrap();
    Pair { alice, bob, there, here }
}

/// The same story over both.
macro_rules! over_both {
    ($($(#[$meta:meta])* $story:ident;)*) => {
        mod over_udp {
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $story() { super::$story::<positron_networking::transport::Udp>().await; })*
        }
        mod over_tcp {
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread")]
            async fn $story() { super::$story::<positron_networking::transport::Tcp>().await; })*
        }
    };
}

#[allow(unused_imports)] // each test binary uses a part of it
pub(crate) use over_both;
