//! What is reliable arrives whole, in order and once over paths that lose, repeat and reorder.
//!
//! 100 MB by a stream and 100,000 messages at each rate of loss. Most of the time at 20 % is spent
//! waiting (a window of two or three datagrams, and a probe for each flight whose end is lost), so
//! that the tests share two cores well. What each took:
//!
//! ```text
//! cargo test -p positron-networking --test lossy_path -- --nocapture
//! ```

mod namespaces;
mod relay;
mod story;

use namespaces::Filter;
use relay::Relay;
use story::{receive, send, start};

/// Both stories over a relay on this machine: loss, repetition and reordering in both directions,
/// and no datagram larger than Ethernet's.
async fn over_a_relay(percent: u8) {
    let (alice, bob) = (start("127.0.0.1:0").await, start("127.0.0.1:0").await);
    let relay = Relay::start(bob.local_addr(), percent).await;
    let receiving = tokio::spawn(async move { receive(&bob).await });
    let told = send(&alice, relay.address).await;
    receiving.await.unwrap();
    println!("relay, {percent} % loss: {told}; {}", relay.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_over_a_path_that_repeats_and_reorders() {
    over_a_relay(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_although_one_of_a_hundred_datagrams_is_lost() {
    over_a_relay(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_although_one_of_twenty_datagrams_is_lost() {
    over_a_relay(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_although_one_of_five_datagrams_is_lost() {
    over_a_relay(20).await;
}

#[test]
fn everything_arrives_between_two_kernels_that_drop_up_to_one_of_twenty() {
    for percent in [0, 1, 5] {
        namespaces::between(Filter::Drops { percent });
    }
}

#[test]
fn everything_arrives_between_two_kernels_that_drop_one_of_five() {
    namespaces::between(Filter::Drops { percent: 20 });
}

#[test]
fn everything_arrives_between_two_kernels_that_lose_batches_and_pass_single_datagrams() {
    namespaces::between(Filter::DropsBatches);
}
