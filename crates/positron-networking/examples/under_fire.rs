//! What a live connection still carries while a stranger throws 50,000 datagrams of junk a second
//! at one end of it. Reports and judges nothing: the numbers are those of this machine, with both
//! ends, the stranger and the kernel's loopback on it.
//!
//! ```text
//! cargo run --release -p positron-networking --example under_fire
//! ```

use std::{
    error::Error,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use positron_networking::transport::{Delivery, Expect, UdpConfig, UdpConnection, UdpTransport};
use positron_proto::{
    rng::Seed,
    wire::packet::{PacketType, Syn, put_unsealed},
};
use tokio::io::AsyncWriteExt as _;

/// Bytes of the stream.
const BULK: u64 = 1 << 30;
/// Messages one way, and bytes of each.
const MESSAGES: u64 = 1_000_000;
const MESSAGE: usize = 256;
/// Questions and answers, one after the other.
const QUESTIONS: usize = 10_000;
/// Datagrams of junk in a second.
const JUNK: u32 = 50_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (alice, bob) = (start().await?, start().await?);
    let there = alice.connect(bob.local_addr(), Expect::Node(bob.id())).await?;
    let here = bob.accept().await.ok_or("closed")?;

    println!("calm:");
    measure((&alice, &there), (&bob, &here)).await?;

    let fire = Fire::at(bob.local_addr())?;
    println!("under {JUNK} datagrams of junk a second:");
    let before = (bob.stats().counters, Instant::now(), fire.thrown());
    measure((&alice, &there), (&bob, &here)).await?;
    let after = bob.stats().counters;
    let (before, since, thrown) = before;
    for (what, count) in [
        ("thrown", fire.thrown() - thrown),
        ("not ours", after.malformed - before.malformed),
        ("for nobody", after.unknown_connections - before.unknown_connections),
        ("handshakes", after.handshakes_failed - before.handshakes_failed),
        ("cookies", after.cookies_sent - before.cookies_sent),
    ] {
        println!("  {what:<18} {:>10} a second", per_second(count, since.elapsed()));
    }
    fire.cease();
    let lost = there.stats().and_then(|stats| stats.path).map(|path| path.lost);
    println!("packets that were lost and sent again: {}", lost.unwrap_or_default());
    alice.close().await;
    Ok(())
}

async fn start() -> Result<UdpTransport, Box<dyn Error>> {
    Ok(UdpTransport::start(UdpConfig::loopback()).await?)
}

/// All three, and what they took.
async fn measure(
    (alice, there): (&UdpTransport, &UdpConnection),
    (bob, here): (&UdpTransport, &UdpConnection),
) -> Result<(), Box<dyn Error>> {
    let took = bulk(there, here).await?;
    println!("  {:<18} {:>10} MB/s", "one stream", per_second(BULK / 1_000_000, took));
    let took = messages(there, bob).await?;
    println!("  {MESSAGE}-byte messages {:>11} a second", per_second(MESSAGES, took));
    let mut times = questions(alice, there, bob).await?;
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let (half, most) = (at(50).as_micros(), at(99).as_micros());
    println!("  {:<18} {half:>10} us in the median, {most} us for 99 of 100", "there and back");
    Ok(())
}

/// One stream, written and read as quickly as it goes.
async fn bulk(there: &UdpConnection, here: &UdpConnection) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let mut stream = there.open_stream(8)?;
    let writing = tokio::spawn(async move {
        let piece = vec![7; 256 * 1024];
        for _ in (0..BULK).step_by(piece.len()) {
            stream.write_all(&piece).await?;
        }
        stream.shutdown().await
    });
    let mut stream = here.accept_stream().await.ok_or("closed")?;
    let mut bytes = 0;
    while let Some(piece) = stream.recv(256 * 1024).await? {
        bytes += u64::try_from(piece.len())?;
    }
    assert_eq!(bytes, BULK);
    writing.await??;
    Ok(began.elapsed())
}

/// Messages one way, reliable and in order.
async fn messages(there: &UdpConnection, bob: &UdpTransport) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let (connection, mut incoming) = (there.clone(), bob.incoming());
    let sending = tokio::spawn(async move {
        let data = bytes::Bytes::from(vec![7; MESSAGE]);
        for _ in 0..MESSAGES {
            connection.send(3, Delivery::Ordered, data.clone()).await?;
        }
        Ok::<(), positron_networking::transport::TransportSendError>(())
    });
    for _ in 0..MESSAGES {
        incoming.recv().await.ok_or("closed")?;
    }
    sending.await??;
    Ok(began.elapsed())
}

/// Questions of 64 bytes that are answered by as many.
async fn questions(
    alice: &UdpTransport,
    there: &UdpConnection,
    bob: &UdpTransport,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut at_bob = bob.incoming();
    let answering = tokio::spawn(async move {
        for _ in 0..QUESTIONS {
            let Some(question) = at_bob.recv().await else { return };
            if question.connection.send(0, Delivery::Ordered, question.data).await.is_err() {
                return;
            }
        }
    });
    let mut answers = alice.incoming();
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let began = Instant::now();
        there.send(0, Delivery::Ordered, vec![7; 64]).await?;
        answers.recv().await.ok_or("closed")?;
        times.push(began.elapsed());
    }
    answering.await?;
    Ok(times)
}

/// A stranger with a few sockets and a thread.
struct Fire {
    thrown: Arc<AtomicU64>,
    ceased: Arc<AtomicBool>,
    thrower: thread::JoinHandle<()>,
}

impl Fire {
    fn at(target: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let sockets: Vec<UdpSocket> =
            (0..16).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let (thrown, ceased) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let thrower = thread::spawn({
            let (thrown, ceased) = (thrown.clone(), ceased.clone());
            move || throw(&sockets, target, &thrown, &ceased)
        });
        Ok(Self { thrown, ceased, thrower })
    }

    fn thrown(&self) -> u64 {
        self.thrown.load(Ordering::Relaxed)
    }

    fn cease(self) {
        self.ceased.store(true, Ordering::Relaxed);
        self.thrower.join().expect("the stranger does not panic");
    }
}

/// Three kinds of junk in turn, each with other bytes every time.
fn throw(sockets: &[UdpSocket], target: SocketAddr, thrown: &AtomicU64, ceased: &AtomicBool) {
    let (mut dice, mut datagram) = (Seed::from_number(7).stream("fire"), Vec::new());
    let (mut count, began) = (0_u32, Instant::now());
    while !ceased.load(Ordering::Relaxed) {
        while f64::from(count) < began.elapsed().as_secs_f64() * f64::from(JUNK) {
            let noise: [u8; 200] = dice.bytes();
            let connection = u32::from_be_bytes(dice.bytes());
            datagram.clear();
            match count % 3 {
                // Nothing of ours at all.
                0 => datagram.extend(noise),
                // Sealed, for no connection; or once in a while for one, and then forged.
                1 => put_unsealed(&mut datagram, PacketType::Data, connection, |payload| {
                    payload.extend(noise);
                }),
                // A handshake that begins well and whose cryptography is none.
                _ => put_unsealed(&mut datagram, PacketType::Syn, 0, |payload| {
                    let noise = &noise[..96];
                    Syn { pattern: 1, connection, cookie: &[], noise }.encode(payload);
                }),
            }
            let socket = &sockets[usize::from(noise[199]) % sockets.len()];
            // What the kernel does not take does not arrive.
            let _ = socket.send_to(&datagram, target);
            count += 1;
        }
        thrown.store(count.into(), Ordering::Relaxed);
        #[expect(clippy::disallowed_methods, reason = "a thrower of junk keeps its own pace")]
        thread::sleep(Duration::from_millis(1));
    }
}

fn per_second(number: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    number.saturating_mul(1_000_000) / micros
}
