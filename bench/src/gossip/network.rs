//! The nodes of one contender, all in this process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{
    node::{Counts, DIALLED, GossipNode},
    plan::Plan,
    tally::Tally,
};
use crate::{
    dice::{Dice, some_of},
    seen::{cpu_ms, wire},
};

/// A network that is up, and what its nodes have heard.
pub(crate) struct Network<N> {
    pub(crate) nodes: Vec<N>,
    pub(crate) tally: Arc<Tally>,
    is_alone: bool,
}

/// What was used so far, and to what end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    pub(crate) cpu_ms: f64,
    /// `None`: it cannot be counted.
    pub(crate) wire: Option<u64>,
    pub(crate) copies: u64,
    pub(crate) deliveries: usize,
}

impl<N: GossipNode> Network<N> {
    /// Starts the nodes one after the other. Each dials some that are there before it.
    ///
    /// # Errors
    /// A node does not start.
    pub(crate) async fn start(plan: &Plan, tally: Arc<Tally>) -> Result<Self, String> {
        let (mut nodes, mut known) = (Vec::<N>::new(), Vec::new());
        for number in 0..plan.nodes {
            let folder = plan.folder.as_ref().map(|folder| folder.join(number.to_string()));
            let some = some_of(&known, DIALLED, number);
            let node = N::start(&some, folder, tally.ear(number)).await?;
            known.push(node.address());
            nodes.push(node);
        }
        Ok(Self { nodes, tally, is_alone: plan.is_alone })
    }

    /// Waits until a message of one node is with all others: they publish one after the other.
    ///
    /// # Errors
    /// It takes too long.
    pub(crate) async fn come_up(&self) -> Result<(), String> {
        let began = Instant::now();
        let (mut dice, mut under_way) = (Dice::new(0), FuturesUnordered::new());
        while began.elapsed() < LONGEST_START {
            let publisher = dice.below(self.nodes.len());
            let (number, payload) = self.tally.publish(publisher).ok_or(TOO_MANY)?;
            // One that is not taken, since nobody is connected yet, does not come to its end.
            let _ = self.nodes[publisher].publish(payload).await;
            under_way.push(self.tally.complete(number));
            if timeout(AGAIN, under_way.next()).await.is_ok() {
                return Ok(());
            }
        }
        let widest = (0..self.tally.next()).map(|number| self.tally.heard(number)).max();
        let (widest, others) = (widest.unwrap_or_default(), self.nodes.len() - 1);
        let mut lonely = 0;
        for node in &self.nodes {
            lonely += usize::from(node.counts().await.peers == 0);
        }
        let why = format!("at most {widest} of {others}, {lonely} have no peer");
        Err(format!("no message is with all nodes in {LONGEST_START:?}: {why}"))
    }

    /// Peers of a node, in the mean.
    pub(crate) async fn degree(&self) -> f64 {
        self.counts().await.peers as f64 / self.nodes.len() as f64
    }

    /// What was used so far.
    ///
    /// # Errors
    /// The system does not tell.
    pub(crate) async fn meter(&self) -> Result<Meter, String> {
        let copies = self.counts().await.copies;
        Ok(Meter {
            cpu_ms: cpu_ms(),
            wire: self.is_alone.then(wire).transpose()?,
            copies,
            deliveries: self.tally.deliveries(),
        })
    }

    /// What all nodes count together.
    async fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for node in &self.nodes {
            let Counts { copies, peers } = node.counts().await;
            sum.copies += copies;
            sum.peers += peers;
        }
        sum
    }
}

/// Why there is no further message.
pub(crate) const TOO_MANY: &str = "there are more messages than the tally has room for";
/// How long a network may take to come up.
pub(crate) const LONGEST_START: Duration = Duration::from_secs(120);
/// When another message is published, while none is with all nodes.
const AGAIN: Duration = Duration::from_millis(250);
