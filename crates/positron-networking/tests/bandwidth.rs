//! Limits of bandwidth over real sockets: that each of the four keys is heeded. How closely is for
//! the simulator to tell.

mod common;

use std::time::{Duration, Instant};

use common::{address, config, start, until_peers, within};
use positron_networking::{NetworkConfig, TransportPolicy};
use tokio::io::AsyncWriteExt as _;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const RATE: u32 = 100_000;
const BYTES: usize = 250_000;

/// Carries a stream from one node to another: how long that took.
async fn carry(sender: NetworkConfig, receiver: NetworkConfig) -> Duration {
    let (alice, bob) = (start(sender).await, start(receiver).await);
    alice.join(&address(&bob)).await.unwrap();
    until_peers(&bob, 1).await;
    let stream = alice.open_stream(bob.id()).await.unwrap();
    let begun = Instant::now();
    let writing = tokio::spawn(async move {
        let (mut writer, _reader) = stream.split();
        writer.write_all(&vec![7; BYTES]).await.unwrap();
        writer.finish().await.unwrap();
    });
    let arriving = bob.accept_stream().await.unwrap();
    let (_writer, mut reader) = arriving.split();
    let mut heard = 0;
    while let Some(bytes) = within(PATIENCE, "bytes", reader.read_bytes()).await.unwrap() {
        heard += bytes.len();
    }
    let took = begun.elapsed();
    writing.await.unwrap();
    assert_eq!(heard, BYTES);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_of_a_configuration_is_heeded_over_both_transports() {
    type Limit = fn(&mut NetworkConfig) -> &mut Option<u64>;
    let of_sender: [Limit; 2] = [|c| &mut c.max_upload_rate, |c| &mut c.max_peer_upload_rate];
    let of_receiver: [Limit; 2] = [|c| &mut c.max_download_rate, |c| &mut c.max_peer_download_rate];
    let mut stories = tokio::task::JoinSet::new();
    for transport in [TransportPolicy::Udp, TransportPolicy::Tcp] {
        let free = NetworkConfig { transport, ..config() };
        for limit in of_sender {
            let mut limited = free.clone();
            *limit(&mut limited) = Some(RATE.into());
            stories.spawn(carry(limited, free.clone()));
        }
        for limit in of_receiver {
            let mut limited = free.clone();
            *limit(&mut limited) = Some(RATE.into());
            stories.spawn(carry(free.clone(), limited));
        }
    }
    // What a limit lets go in a time, within its five percent and what goes at once.
    let least = Duration::from_secs_f64((BYTES as f64 / f64::from(RATE) - 0.5) / 1.05);
    for took in stories.join_all().await {
        assert!(took >= least, "{took:?}");
    }
}
