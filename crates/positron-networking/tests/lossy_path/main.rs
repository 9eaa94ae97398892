//! What is reliable arrives whole, in order and once over paths that lose, repeat and reorder.
//!
//! Without arguments a tenth of the sizes is sent, so that the tests end within a minute or two of
//! two busy cores. The full ones, 100 MB and 100,000 messages at each rate of loss:
//!
//! ```text
//! cargo test --release -p positron-networking --test lossy_path -- --ignored full --nocapture
//! ```

mod namespaces;
mod relay;
mod story;

use relay::Relay;
use story::{FULL, Sizes, TENTH, receive, send, start};

/// Both stories over a relay on this machine: loss, repetition and reordering in both directions,
/// and no datagram larger than Ethernet's.
async fn over_a_relay(percent: u8, sizes: Sizes) {
    let (alice, bob) = (start("127.0.0.1:0").await, start("127.0.0.1:0").await);
    let relay = Relay::start(bob.local_addr(), percent).await;
    let receiving = tokio::spawn(async move { receive(&bob, sizes).await });
    let told = send(&alice, relay.address, sizes).await;
    receiving.await.unwrap();
    println!("relay, {percent} % loss: {told}; {}", relay.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_over_a_path_that_repeats_and_reorders() {
    over_a_relay(0, FULL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_although_one_of_a_hundred_datagrams_is_lost() {
    over_a_relay(1, FULL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_although_one_of_twenty_datagrams_is_lost() {
    over_a_relay(5, TENTH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_although_one_of_five_datagrams_is_lost() {
    over_a_relay(20, TENTH).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn full_sizes_arrive_at_every_rate_of_loss() {
    for percent in [0, 1, 5, 20] {
        over_a_relay(percent, FULL).await;
    }
}

#[test]
fn everything_arrives_between_two_kernels_whose_packet_filters_drop() {
    for percent in [0, 1, 5, 20] {
        namespaces::between(percent, TENTH);
    }
}

#[test]
#[ignore = "takes minutes"]
fn full_sizes_arrive_between_two_kernels_whose_packet_filters_drop() {
    for percent in [0, 1, 5, 20] {
        namespaces::between(percent, FULL);
    }
}
