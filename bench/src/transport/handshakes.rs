//! Connecting, again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::sleep;

use super::{
    measurement::{Measurement, Readings},
    pair::Pair,
};
use crate::seen::cpu_ms;

/// Handshakes, sixteen at once, each until one byte of the end that listens is there.
///
/// # Errors
/// One does not come about.
pub(super) async fn measure<S: Pair>(plan: &Measurement, stack: S) -> Result<Readings, String> {
    let (stack, made) = (Arc::new(stack), Arc::<AtomicU64>::default());
    let mut working = FuturesUnordered::new();
    for _ in 0..AT_ONCE {
        working.push(tokio::spawn(dial(stack.clone(), made.clone())));
        working.push(tokio::spawn(listen(stack.clone())));
    }
    let seconds = Duration::from_secs_f64(plan.seconds);
    let measuring = tokio::spawn(async move {
        sleep(WARM_UP).await;
        let (cpu, before) = (cpu_ms(), made.load(Ordering::Relaxed));
        let began = Instant::now();
        sleep(seconds).await;
        let made = (made.load(Ordering::Relaxed) - before) as f64;
        (made / began.elapsed().as_secs_f64(), (cpu_ms() - cpu) * 1e3 / made)
    });
    tokio::select! {
        outcome = measuring => {
            let (per_s, cpu_us) = outcome.map_err(|error| error.to_string())?;
            Ok(vec![per_s, cpu_us])
        }
        Some(ended) = working.next() => Err(match ended {
            Ok(Ok(())) => "a handshake ended".into(),
            Ok(Err(why)) => why,
            Err(error) => error.to_string(),
        }),
    }
}

async fn dial<S: Pair>(stack: Arc<S>, made: Arc<AtomicU64>) -> Result<(), String> {
    loop {
        let mut connection = stack.connect().await?;
        S::one_byte(&mut connection, true).await?;
        made.fetch_add(1, Ordering::Relaxed);
    }
}

async fn listen<S: Pair>(stack: Arc<S>) -> Result<(), String> {
    loop {
        let mut connection = stack.accept().await?;
        S::one_byte(&mut connection, false).await?;
    }
}

/// Handshakes under way at once.
const AT_ONCE: usize = 16;
/// For which nothing is counted.
const WARM_UP: Duration = Duration::from_millis(300);
