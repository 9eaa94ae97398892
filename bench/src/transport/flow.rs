//! As much as goes from one end to the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::select;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    ends::{End, LENGTH, READ, Receiver, Sender, framed},
    measurement::{Measurement, Readings, Work},
};
use crate::seen::cpu_ms;

/// Something that is counted when it is received, while it is sent without end.
pub(super) struct Flow {
    received: Arc<AtomicU64>,
    sending: JoinHandle<String>,
    receiving: JoinHandle<String>,
}

/// What was used for what was received.
struct Interval {
    seconds: f64,
    cpu_ms: f64,
    received: f64,
}

/// As much as goes, for as long as the plan says, after a while of which nothing is counted.
///
/// # Errors
/// The connection is over, or what arrives is not what was sent.
pub(super) async fn measure(plan: &Measurement, from: End, to: End) -> Result<Readings, String> {
    let flow = match plan.work {
        Work::Stream(_) => Flow::of_bytes(from.sender, to.receiver),
        Work::Messages(bytes, _) => Flow::of_lent(bytes, from.sender, to.receiver),
        _ => Flow::of_small(from.sender, to.receiver),
    };
    let Interval { seconds, cpu_ms, received } = flow.interval(plan.seconds).await?;
    let bytes = match plan.work {
        Work::Stream(_) => received,
        Work::Messages(bytes, _) => received * bytes as f64,
        _ => return Ok(vec![received / seconds / 1e3, cpu_ms * 1e3 / received]),
    };
    Ok(vec![bytes / seconds / f64::from(1 << 20), cpu_ms / 1e3 / bytes * f64::from(1 << 30)])
}

impl Flow {
    /// Bytes of a stream.
    fn of_bytes(sender: Sender, receiver: Receiver) -> Self {
        Self::start(
            |_| async move {
                let (mut sender, chunk) = (sender, vec![0x5A; READ]);
                loop {
                    sender.say(&chunk).await?;
                }
            },
            |received| async move {
                let (mut receiver, mut buffer) = (receiver, vec![0; READ]);
                loop {
                    let read = receiver.bytes(&mut buffer).await?;
                    received.fetch_add(read as u64, Ordering::Relaxed);
                }
            },
        )
    }

    /// Messages of one content.
    fn of_lent(bytes: usize, sender: Sender, receiver: Receiver) -> Self {
        Self::start(
            move |_| async move {
                let (mut sender, message) = (sender, Bytes::from(framed(bytes)));
                loop {
                    sender.lend(&message).await?;
                }
            },
            move |received| async move {
                let mut receiver = receiver;
                let check = |message: &[u8]| match message.len() == bytes {
                    true => Ok(()),
                    false => Err(format!("a message has {} bytes", message.len())),
                };
                loop {
                    let count = receiver.messages(check).await?;
                    received.fetch_add(count, Ordering::Relaxed);
                }
            },
        )
    }

    /// Small messages, each with its number.
    fn of_small(sender: Sender, receiver: Receiver) -> Self {
        Self::start(
            |_| async move {
                let (mut sender, mut message) = (sender, framed(SMALL));
                for number in 0_u64.. {
                    message[LENGTH..][..8].copy_from_slice(&number.to_be_bytes());
                    sender.say(&message).await?;
                }
                Ok(())
            },
            |received| async move {
                let (mut receiver, mut next) = (receiver, 0_u64);
                loop {
                    let check = |message: &[u8]| {
                        if message.len() != SMALL || message[..8] != next.to_be_bytes() {
                            return Err(format!("message {next} is another one"));
                        }
                        next += 1;
                        Ok(())
                    };
                    let count = receiver.messages(check).await?;
                    received.fetch_add(count, Ordering::Relaxed);
                }
            },
        )
    }

    fn start<S, R>(send: impl FnOnce(()) -> S, receive: impl FnOnce(Arc<AtomicU64>) -> R) -> Self
    where
        S: Future<Output = Result<(), String>> + Send + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let received = Arc::<AtomicU64>::default();
        let (sending, receiving) = (send(()), receive(received.clone()));
        let end = |outcome: Result<(), String>| outcome.err().unwrap_or_default();
        Self {
            received,
            sending: tokio::spawn(async move { end(sending.await) }),
            receiving: tokio::spawn(async move { end(receiving.await) }),
        }
    }

    async fn interval(self, seconds: f64) -> Result<Interval, String> {
        let Self { received, sending, receiving } = self;
        let measuring = tokio::spawn(async move {
            sleep(WARM_UP).await;
            let (cpu, before) = (cpu_ms(), received.load(Ordering::Relaxed));
            let began = Instant::now();
            sleep(Duration::from_secs_f64(seconds)).await;
            let after = received.load(Ordering::Relaxed);
            Interval {
                seconds: began.elapsed().as_secs_f64(),
                cpu_ms: cpu_ms() - cpu,
                received: (after - before) as f64,
            }
        });
        let broken = select(sending, receiving);
        tokio::select! {
            interval = measuring => match interval.map_err(|error| error.to_string())? {
                Interval { received, .. } if received < 1.0 => Err("nothing arrives".into()),
                interval => Ok(interval),
            },
            ended = broken => {
                let (why, _) = ended.factor_first();
                Err(why.unwrap_or_else(|error| error.to_string()))
            }
        }
    }
}

/// Bytes of a small message.
pub(super) const SMALL: usize = 256;
/// For which nothing is counted: windows and datagrams have grown, and memory is there.
const WARM_UP: Duration = Duration::from_millis(500);
