//! Strangers on the port, and peers that stop reading: none of them costs the node much, and honest
//! newcomers join beside them.
#![cfg(target_os = "linux")] // memory is measured in /proc

mod common;

use std::time::{Duration, Instant};

use common::{
    DEADLINE, address, beside,
    child::{Process, be_the_node},
    config, event, next, start, until, until_peers, within,
};
use positron_networking::{NetworkConfig, NodeEvent};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What any attack may cost.
const MAX_GROWTH_KIB: u64 = 16 * 1024;

#[test]
fn node_of_another_process() {
    be_the_node(config());
}

/// A victim that has been in use, so that what every node takes once is not counted.
struct Victim {
    process: Process,
    before_kib: u64,
}

impl Victim {
    async fn start() -> Self {
        let process = Process::start(&[]);
        join(&process).await;
        let before_kib = process.memory_kib();
        Self { process, before_kib }
    }

    async fn connect(&self) -> TcpStream {
        let connecting = TcpStream::connect(self.process.address);
        within(DEADLINE, "the kernel connects", connecting).await.unwrap()
    }

    /// While strangers are there or were, an honest node joins, and memory is what it was.
    async fn is_unimpressed(&self) {
        join(&self.process).await;
        let growth = self.process.memory_kib().saturating_sub(self.before_kib);
        assert!(growth < MAX_GROWTH_KIB, "memory grew by {growth} KiB");
    }
}

/// A node joins, says something, and leaves.
async fn join(process: &Process) {
    let bootstrap_nodes = vec![process.address.to_string()];
    let node = start(NetworkConfig { bootstrap_nodes, ..config() }).await;
    until_peers(&node, 1).await;
    node.send_to_peer(process.id, "hello").await.unwrap();
    node.shutdown().await.unwrap();
}

/// Sends until everything is sent or the other end has enough; the bytes that went.
async fn pour(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    let mut sent = 0;
    while sent < bytes.len() {
        let writing = stream.write(&bytes[sent..]);
        match tokio::time::timeout(DEADLINE, writing).await.expect("closed or read") {
            Ok(0) | Err(_) => break,
            Ok(more) => sent += more,
        }
    }
    sent
}

/// What the other end answers until it closes.
async fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset ends it as well as a close.
    let _ = within(DEADLINE, "the stranger is sent away", stream.read_to_end(&mut answer)).await;
    answer
}

/// Bytes without a pattern (xorshift64, Marsaglia 2003).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_of_noise() {
    let victim = Victim::start().await;
    let noise = noise(1 << 20);
    let mut sent = 0;
    while sent < 100 << 20 {
        sent += pour(&mut victim.connect().await, &noise).await.max(1);
    }
    victim.is_unimpressed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_four_gigabytes() {
    let victim = Victim::start().await;
    let mut strangers = Vec::new();
    // As a record, as a hello of each pattern, and as a hello that is never complete.
    for start in [
        b"\xFF\xFF\xFF\xFF".as_slice(),
        b"\xBE\x01\x01\x01\xFF\xFF",
        b"\xBE\x01\x01\x02\xFF\xFF",
        b"\xBE\x01\x01\x02\x04\x00",
    ] {
        for _ in 0..8 {
            let mut stranger = victim.connect().await;
            pour(&mut stranger, start).await;
            pour(&mut stranger, &[0; 900]).await;
            strangers.push(stranger);
        }
    }
    victim.is_unimpressed().await;
    for stranger in &mut strangers {
        answer(stranger).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_that_say_nothing() {
    let victim = Victim::start().await;
    let before = victim.process.descriptors();
    let mut strangers = Vec::new();
    for _ in 0..1000 {
        strangers.push(victim.connect().await);
    }
    victim.is_unimpressed().await;
    // Those that are half open, those being closed, and what the honest node takes.
    let now = victim.process.descriptors();
    assert!(now < before + 350, "half-open connections are bounded: {before} before, {now} now");
    for stranger in &mut strangers {
        assert_eq!(answer(stranger).await, b"", "silence is answered by silence");
    }
    until("every descriptor comes back", || victim.process.descriptors() <= before + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_that_are_told_goodbye_and_do_not_hang_up() {
    let victim = Victim::start().await;
    let before = victim.process.descriptors();
    let (mut strangers, mut most) = (Vec::new(), 0);
    for _ in 0..1000 {
        let mut stranger = victim.connect().await;
        // A SYN of a version that is not spoken here: the answer is a hint, then the end.
        pour(&mut stranger, &[0xBE, 9, 1, 2, 0, 0]).await;
        strangers.push(stranger);
        most = most.max(victim.process.descriptors());
    }
    assert!(most < before + 350, "{most} descriptors, {before} before");
    victim.is_unimpressed().await;
    drop(strangers);
    until("every descriptor comes back", || victim.process.descriptors() <= before + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_browser() {
    let victim = Victim::start().await;
    let mut stranger = victim.connect().await;
    pour(&mut stranger, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(answer(&mut stranger).await, b"", "to what is no hello there is no answer");
    victim.is_unimpressed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stops_reading_is_dropped_with_a_reason_and_the_others_go_on() {
    let alice = start(config()).await;
    let bob = start(beside(&[&alice])).await;
    let frozen = Process::start(&[address(&alice).parse().unwrap()]);
    until_peers(&alice, 2).await;
    let (mut events, mut to_bob) = (alice.events(), bob.subscribe());
    frozen.freeze();
    let began = Instant::now();
    let large = vec![7_u8; 256 * 1024];
    for _ in 0..32 {
        alice.broadcast_bytes(large.clone().into()).await.unwrap();
        assert_eq!(next(&mut to_bob).await.payload.len(), large.len());
    }
    let reason = event(&mut events, |event| match event {
        NodeEvent::PeerLeft { peer, reason } if *peer == frozen.id => Some(reason.to_string()),
        _ => None,
    });
    let reason = within(DEADLINE, "the frozen peer is dropped", reason).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}: {reason}", began.elapsed());
    assert!(reason.starts_with("we closed: "), "{reason}");
    assert_eq!(alice.stats().active_peers, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_free_descriptors_waits_and_does_not_spin() {
    let process = Process::start_with_descriptors(64);
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(TcpStream::connect(process.address).await.unwrap());
    }
    until("every descriptor is taken", || process.descriptors() >= 64).await;
    let before = process.ticks();
    let began = Instant::now();
    until("strangers are sent away", || process.descriptors() < 32).await;
    let (ticks, seconds) = (process.ticks() - before, began.elapsed().as_secs_f64());
    let share = f64::from(u32::try_from(ticks).unwrap()) / 100.0 / seconds;
    assert!(share < 0.2, "{share} processors are busy");
    join(&process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stops_in_time_although_a_peer_takes_nothing() {
    let alice = start(config()).await;
    let frozen = Process::start(&[address(&alice).parse().unwrap()]);
    until_peers(&alice, 1).await;
    frozen.freeze();
    for _ in 0..8 {
        alice.broadcast_bytes(vec![7; 1 << 20].into()).await.unwrap();
    }
    let began = Instant::now();
    alice.shutdown().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
