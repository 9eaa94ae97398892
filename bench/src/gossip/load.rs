//! What nodes are told to publish, and how it spread.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    select,
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};

use super::{
    network::{Meter, Network, TOO_MANY},
    node::GossipNode,
    plan::Spread,
    tally::{LONGEST, quantiles},
};
use crate::dice::Dice;

/// Messages that are published for a while, and how they spread.
pub(crate) struct Load<N> {
    network: Arc<Network<N>>,
    /// What a node said that did not take a message, the first one.
    refusal: OnceLock<String>,
    refused: AtomicUsize,
    /// Milliseconds until a message was taken, of each.
    taken_ms: Mutex<Vec<f64>>,
}

/// A load before its first message.
struct Start {
    before: Meter,
    /// The number of the first message.
    first: usize,
}

impl<N: GossipNode> Load<N> {
    pub(crate) fn new(network: &Arc<Network<N>>) -> Arc<Self> {
        let network = network.clone();
        let (refusal, refused, taken_ms) = Default::default();
        Arc::new(Self { network, refusal, refused, taken_ms })
    }

    /// Keeps so many messages under way: when all others have one, or [`LONGEST`] is over, the next
    /// one is published, by any node.
    ///
    /// # Errors
    /// There are too many messages, or the system does not tell what was used.
    pub(crate) async fn busy(
        self: Arc<Self>,
        outstanding: usize,
        lasting: Duration,
    ) -> Result<Spread, String> {
        let start = self.start().await?;
        let until = Instant::now() + lasting;
        let mut slots = JoinSet::new();
        for slot in 0..outstanding {
            slots.spawn(self.clone().fill(slot, until));
        }
        sleep_until(until).await;
        let meanwhile = self.network.tally.deliveries() - start.before.deliveries;
        while let Some(filled) = slots.join_next().await {
            filled.map_err(|error| error.to_string())??;
        }
        self.end(&start, meanwhile, lasting).await
    }

    /// Publishes a message every so often, each by any node.
    ///
    /// # Errors
    /// As [`busy`](Self::busy).
    pub(crate) async fn apart(
        self: Arc<Self>,
        every: Duration,
        lasting: Duration,
    ) -> Result<Spread, String> {
        let start = self.start().await?;
        let until = Instant::now() + lasting;
        let mut dice = Dice::new(0);
        let (mut ticks, mut messages) = (interval(every), JoinSet::new());
        while ticks.tick().await < until {
            let publisher = dice.below(self.network.nodes.len());
            let load = self.clone();
            messages.spawn(async move { load.message(publisher).await });
        }
        let meanwhile = self.network.tally.deliveries() - start.before.deliveries;
        while let Some(message) = messages.join_next().await {
            message.map_err(|error| error.to_string())??;
        }
        self.end(&start, meanwhile, lasting).await
    }

    async fn start(&self) -> Result<Start, String> {
        Ok(Start { before: self.network.meter().await?, first: self.network.tally.next() })
    }

    async fn fill(self: Arc<Self>, slot: usize, until: Instant) -> Result<(), String> {
        let mut dice = Dice::new(slot as u64);
        while Instant::now() < until {
            self.message(dice.below(self.network.nodes.len())).await?;
        }
        Ok(())
    }

    /// Publishes a message, and waits until all others have it, or long enough.
    async fn message(&self, publisher: usize) -> Result<(), String> {
        let Network { nodes, tally, .. } = &*self.network;
        let (number, payload) = tally.publish(publisher).ok_or(TOO_MANY)?;
        let mut heard = Box::pin(timeout(LONGEST, tally.complete(number)));
        let began = Instant::now();
        // A node may say later than all others have it that it has taken it.
        select! {
            _ = &mut heard => self.note_taken(began),
            taken = nodes[publisher].publish(payload) => match taken {
                Ok(()) => {
                    self.note_taken(began);
                    _ = heard.await;
                }
                Err(why) => {
                    _ = self.refusal.set(why);
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    sleep(AFTER_REFUSAL).await;
                }
            },
        }
        Ok(())
    }

    fn note_taken(&self, began: Instant) {
        let mut taken = self.taken_ms.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push(began.elapsed().as_secs_f64() * 1e3);
    }

    async fn end(
        &self,
        start: &Start,
        meanwhile: usize,
        lasting: Duration,
    ) -> Result<Spread, String> {
        let (before, after) = (start.before, self.network.meter().await?);
        let tally = &self.network.tally;
        let numbers = start.first..tally.next();
        let (messages, times) = (numbers.len(), tally.times(numbers));
        let refused = self.refused.load(Ordering::Relaxed);
        let taken_ms = self.taken_ms.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refusal = self.refusal.get().map(|why| format!("{refused} of {messages}: {why}"));
        let deliveries = after.deliveries - before.deliveries;
        let payload = (deliveries * tally.bytes()) as f64;
        let wire = after.wire.zip(before.wire).map(|(after, before)| after - before);
        Ok(Spread {
            messages,
            incomplete: times.incomplete,
            refused,
            refusal,
            deliveries,
            deliveries_per_s: meanwhile as f64 / lasting.as_secs_f64(),
            cpu_us: (after.cpu_ms - before.cpu_ms) * 1e3 / deliveries as f64,
            copies: (after.copies - before.copies) as f64 / deliveries as f64,
            wire: wire.map(|bytes| bytes as f64 / payload),
            taken_ms: quantiles(taken_ms),
            last_ms: times.last_ms,
            each_ms: times.each_ms,
        })
    }
}

/// When a message follows one that a node did not take.
const AFTER_REFUSAL: Duration = Duration::from_millis(10);
