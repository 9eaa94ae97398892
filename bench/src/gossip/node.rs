//! What is measured: a node that tells everyone, whoever wrote it.

use std::{future::Future, path::PathBuf};

use bytes::Bytes;

use super::tally::Ear;

/// A node of a network on loopback. What went wrong is said in words.
pub(crate) trait GossipNode: Send + Sync + Sized + 'static {
    /// Where others find it.
    type Address: Clone + PartialEq + Send + Sync;

    /// Starts a node that listens, and dials these. Each message that it hands over is told to the
    /// ear.
    fn start(
        known: &[Self::Address],
        folder: Option<PathBuf>,
        ear: Ear,
    ) -> impl Future<Output = Result<Self, String>> + Send;

    /// Where others find it.
    fn address(&self) -> Self::Address;

    /// Tells everyone. When it returns, the node has taken the message, or kept it where it keeps
    /// messages.
    fn publish(&self, payload: Bytes) -> impl Future<Output = Result<(), String>> + Send;

    /// What it counts.
    fn counts(&self) -> impl Future<Output = Counts> + Send;
}

/// What a node counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Messages that came in so far, each as often as it came.
    pub(crate) copies: u64,
    /// Those it is connected with.
    pub(crate) peers: usize,
}

/// Others that a node dials: with as many that dial it, the mean degree is twice that.
pub(crate) const DIALLED: usize = 4;
