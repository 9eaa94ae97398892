//! What came of a story.

use core::fmt;

use positron_proto::time::Instant;

use super::check::Promise;
use crate::report::seconds;

/// What came of a story of packets. The same story and seed give the same report.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct PacketReport {
    /// The seed.
    pub seed: u64,
    /// Virtual seconds.
    pub duration_s: f64,
    /// Steps: arrivals, timers, acts of applications.
    pub steps: u64,
    /// Connections that both ends had keys for, or one believed so.
    pub connections: u64,
    /// Accepted connections of which it was never known which dial they belong to.
    pub unpaired: u64,
    /// Datagrams that ends sent.
    pub datagrams: u64,
    /// Bytes of datagrams that ends sent.
    pub bytes: u64,
    /// Bytes of messages and streams that were taken.
    pub said: u64,
    /// Messages that were handed over.
    pub heard: u64,
    /// Bytes of packets with data, for each byte that was taken.
    pub effort: f64,
    /// Datagrams of the attacker that arrived.
    pub attacks: u64,
    /// What the ends counted, added up.
    pub counters: serde_json::Value,
    /// A hash over all that was sent and heard: equal runs have equal hashes.
    pub run_hash: String,
    /// The promise that was broken; the run ends there.
    pub broken: Option<PacketViolation>,
}

/// A promise that was broken.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PacketViolation {
    /// Which.
    pub promise: Promise,
    /// When, in virtual seconds.
    pub at_s: f64,
    /// At which end, if at one.
    pub end: Option<usize>,
    /// What.
    pub what: String,
    /// The last things that happened before, oldest first.
    pub history: Vec<String>,
}

impl PacketViolation {
    pub(crate) fn new(wrong: super::check::Wrong, at: Instant, end: Option<usize>) -> Self {
        let super::check::Wrong { promise, what } = wrong;
        Self { promise, at_s: seconds(at), end, what, history: Vec::new() }
    }
}

impl PacketReport {
    /// Whether every promise was kept.
    pub const fn is_ok(&self) -> bool {
        self.broken.is_none()
    }

    /// # Panics
    ///
    /// With everything that is needed to repeat it, if a promise was broken.
    pub fn expect_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }
}

impl fmt::Display for PacketReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, datagrams, connections, said, run_hash, .. } = self;
        writeln!(
            f,
            "seed {seed}: {connections} connections, {said} bytes said, {datagrams} datagrams, run \
             {run_hash}"
        )?;
        let Some(broken) = &self.broken else { return Ok(()) };
        write!(f, "{:.6} s", broken.at_s)?;
        if let Some(end) = broken.end {
            write!(f, ", end {end}")?;
        }
        writeln!(f, ", {:?}: {}", broken.promise, broken.what)?;
        for line in &broken.history {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}
