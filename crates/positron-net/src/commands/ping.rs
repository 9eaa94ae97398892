//! `positron-net ping`: whether a node answers, how fast, and over which path.

use std::{
    fmt,
    net::SocketAddr,
    num::NonZeroU64,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use positron_admin::{ClientError, PeerName};
use positron_networking::{NodeId, PeerPlace};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{runtime::Builder, time::sleep_until};

use crate::{
    commands::until_signal,
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{count, short_ms},
    terminal::{Terminal, json_line, sanitised},
};

/// Asks a node for signs of life, a line each, until Ctrl-C: the running node connects with it if
/// it is not connected, through a relay if need be, and tells over which path each answer came.
/// With --json each line is an object: {"event":"pong",...}, {"event":"no_answer",...}, and
/// {"event":"summary",...} at the end.
///
/// Ends with 0 if anything was answered, by Ctrl-C or not, with 6 if nothing was, and with 7 if the
/// running node knows nobody of that name.
#[derive(Args, Debug)]
pub(crate) struct PingOptions {
    /// The id of the node, or its first 16 characters
    #[arg(value_name = "ID")]
    peer: PeerName,
    /// Questions, then the end
    #[arg(long, short = 'n', value_name = "NUMBER")]
    count: Option<NonZeroU64>,
    /// Seconds between two questions, 0.2 at least
    #[arg(long, short, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    #[command(flatten)]
    selector: NodeSelector,
}

/// What the running node says of an answer.
#[derive(Debug, Deserialize)]
struct Pong {
    node_id: NodeId,
    rtt_ms: f64,
    transport: String,
    address: Option<SocketAddr>,
    relay: Option<NodeId>,
}

/// What came of all questions.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    asked: u64,
    /// Milliseconds of each that was answered: how many, their sum, and the sum of their squares.
    answered: u64,
    sum: f64,
    squares: f64,
    least: f64,
    most: f64,
}

impl PingOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Arc<Terminal>, global: Global) -> Result<Exit, Failure> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (out, shared, name) = (Arc::clone(terminal), Arc::clone(&tally), self.peer.to_string());
        let ended = until_signal(terminal, global, move || self.ask(&out, global, &shared))?;
        let tally = lock(&tally).clone();
        match ended {
            ControlFlow::Break(exit) if exit != Exit::Interrupted => return Ok(exit),
            _ => {}
        }
        if global.json {
            terminal.data(line(&tally.as_json())?)?;
        } else {
            terminal.data(format_args!("--- {name}: {tally}"))?;
        }
        Ok(if tally.answered > 0 { Exit::Ok } else { Exit::Unreachable })
    }

    fn ask(
        &self,
        terminal: &Terminal,
        global: Global,
        tally: &Mutex<Tally>,
    ) -> Result<(), Failure> {
        let running = Running::of(&self.selector, terminal)?;
        let question = json!({ "peer": self.peer.to_string() });
        let interval = Duration::from_secs_f64(self.interval);
        let pauses = Builder::new_current_thread().enable_time().build().map_err(|error| {
            Failure::new(Exit::Internal, "the operating system gives no timer").because(error)
        })?;
        let mut next = Instant::now();
        for number in 1..=self.count.map_or(u64::MAX, NonZeroU64::get) {
            pauses.block_on(async { sleep_until(next.into()).await });
            next = Instant::now() + interval;
            lock(tally).asked += 1;
            match running.try_post::<Pong>("/v1/actions/ping", &question) {
                Ok(pong) => {
                    lock(tally).note(pong.rtt_ms);
                    let told = if global.json { pong.as_json(number) } else { Value::Null };
                    terminal.data(if global.json { line(&told)? } else { pong.to_string() })?;
                }
                Err(ClientError::Refused(wrong)) if MAY_PASS.contains(&wrong.code.as_str()) => {
                    let told = json!({
                        "event": "no_answer", "number": number, "reason": wrong.code,
                        "sentence": wrong.sentence,
                    });
                    let words = sanitised(&wrong.sentence);
                    terminal.data(if global.json { line(&told)? } else { words })?;
                }
                Err(error) => return Err(running.failure(error)),
            }
        }
        Ok(())
    }
}

impl Pong {
    fn as_json(&self, number: u64) -> Value {
        let Self { node_id, rtt_ms, transport, address, relay } = self;
        json!({
            "event": "pong", "number": number, "node_id": node_id, "rtt_ms": rtt_ms,
            "transport": transport, "address": address, "relay": relay,
        })
    }
}

impl fmt::Display for Pong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { node_id, rtt_ms, ref transport, address, relay } = self;
        let (id, place) = (node_id.short(), PeerPlace { address, relay });
        write!(f, "{id} answered in {}, ", short_ms(rtt_ms))?;
        match address {
            Some(_) => write!(f, "{place} over {}", sanitised(transport)),
            None => write!(f, "{place}"),
        }
    }
}

impl Tally {
    fn note(&mut self, ms: f64) {
        let is_first = self.answered == 0;
        self.answered += 1;
        self.sum += ms;
        self.squares += ms * ms;
        self.least = if is_first { ms } else { self.least.min(ms) };
        self.most = self.most.max(ms);
    }

    /// Mean and standard deviation, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn mean(&self) -> (f64, f64) {
        let answered = self.answered.max(1) as f64;
        let mean = self.sum / answered;
        (mean, (self.squares / answered - mean * mean).max(0.0).sqrt())
    }

    fn as_json(&self) -> Value {
        let &Self { asked, answered, least, most, .. } = self;
        let (mean, deviation) = self.mean();
        let known = |ms: f64| (answered > 0).then_some(ms);
        json!({
            "event": "summary", "asked": asked, "answered": answered, "min_ms": known(least),
            "mean_ms": known(mean), "max_ms": known(most), "deviation_ms": known(deviation),
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { asked, answered, least, most, .. } = self;
        write!(f, "{answered} of {} answered", count(asked, "question"))?;
        if answered == 0 {
            return Ok(());
        }
        let (mean, deviation) = self.mean();
        let [least, mean, most, deviation] = [least, mean, most, deviation].map(short_ms);
        write!(f, "; {least} to {most}, mean {mean}, deviation {deviation}")
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line(told: &Value) -> Result<String, Failure> {
    json_line(told).map_err(|error| {
        Failure::new(Exit::Internal, "cannot write what was answered").because(error)
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    if (SHORTEST..=LONGEST).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("it must be {SHORTEST} to {LONGEST}"))
    }
}

/// Seconds between two questions, at least: a node takes 20 in a second, with all others.
const SHORTEST: f64 = 0.2;
/// At most: nobody waits longer than a day.
const LONGEST: f64 = 86_400.0;
/// What the running node may say once and not the next time.
const MAY_PASS: [&str; 3] = ["not_reached", "not_connected", "busy"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_how_many_answered_and_how_fast() {
        let mut tally = Tally { asked: 1, ..Tally::default() };
        assert_eq!(tally.to_string(), "0 of 1 question answered");
        assert_eq!(tally.as_json()["min_ms"], Value::Null);
        tally.asked = 3;
        [1.0, 3.0].into_iter().for_each(|ms| tally.note(ms));
        assert_eq!(
            tally.to_string(),
            "2 of 3 questions answered; 1.0 ms to 3.0 ms, mean 2.0 ms, deviation 1.0 ms"
        );
    }

    #[test]
    fn an_answer_tells_over_which_path_it_came() {
        let pong = |address: Option<&str>, relay| Pong {
            node_id: NodeId::from_bytes([7; 32]),
            rtt_ms: 20.3,
            transport: "udp".into(),
            address: address.map(|at| at.parse().unwrap()),
            relay,
        };
        let direct = pong(Some("192.0.2.1:8888"), None).to_string();
        assert_eq!(direct, "0707070707070707 answered in 20 ms, 192.0.2.1:8888 over udp");
        let relay = Some(NodeId::from_bytes([8; 32]));
        let relayed = pong(None, relay).to_string();
        assert_eq!(relayed, "0707070707070707 answered in 20 ms, relayed by 0808080808080808");
    }

    #[test]
    fn nobody_is_asked_too_often() {
        assert_eq!(seconds("0.2"), Ok(0.2));
        for wrong in ["0", "0.1", "-1", "nan", "inf", "x", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
