//! One message there and back, again and again.

use std::time::Instant;

use super::{
    ends::{End, framed},
    measurement::Readings,
};
use crate::{numbers::quantile, seen::cpu_ms};

/// How long one takes there and back, and what it costs.
///
/// # Errors
/// The connection is over.
pub(super) async fn measure(here: End, there: End) -> Result<Readings, String> {
    let echo = tokio::spawn(echo(there));
    let asked = tokio::spawn(ask(here));
    tokio::select! {
        outcome = asked => outcome.map_err(|error| error.to_string())?.map(|(_, outcome)| outcome),
        ended = echo => ended.map_err(|error| error.to_string())?.map(|()| Vec::new()),
    }
}

async fn echo(mut end: End) -> Result<(), String> {
    let message = framed(BYTES);
    loop {
        for _ in 0..end.receiver.messages(|_| Ok(())).await? {
            end.sender.say(&message).await?;
        }
    }
}

/// With the end, so that the other one is not heard first, which then has nobody to answer.
async fn ask(mut end: End) -> Result<(End, Readings), String> {
    let message = framed(BYTES);
    for _ in 0..WARM_UP {
        end.sender.say(&message).await?;
        end.receiver.messages(|_| Ok(())).await?;
    }
    let mut took = Vec::with_capacity(TIMES);
    let cpu = cpu_ms();
    for _ in 0..TIMES {
        let began = Instant::now();
        end.sender.say(&message).await?;
        end.receiver.messages(|_| Ok(())).await?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let cpu_us = (cpu_ms() - cpu) * 1e3 / TIMES as f64;
    took.sort_by(f64::total_cmp);
    Ok((end, vec![quantile(&took, 50), quantile(&took, 99), cpu_us]))
}

/// Bytes of the message.
const BYTES: usize = 64;
/// Of which nothing is counted.
const WARM_UP: usize = 1_000;
/// How often it goes there and back.
const TIMES: usize = 15_000;
