//! How much may be in flight: congestion control behind one trait.
//!
//! A controller is told what was acknowledged and lost, and answers with a window. It knows nothing
//! of packet numbers, timers or contents.

mod new_reno;

use core::fmt::Debug;

pub(super) use new_reno::NewReno;
pub use new_reno::Phase;

use crate::time::Instant;

/// What one acknowledgment told of packets that had not been acknowledged before.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckSample {
    /// Bytes that it acknowledged for the first time.
    pub(super) bytes: u64,
    /// When the newest packet among them was sent.
    pub(super) newest_sent_at: Instant,
    /// When the newest packet was sent there was less to send than the window allowed, so that the
    /// flight does not say how much the path carries.
    pub(super) app_limited: bool,
}

/// Packets declared lost at one time, without those that probed for a datagram size.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossSample {
    /// When the newest of them was sent.
    pub(super) newest_lost_sent_at: Instant,
    /// Nothing got through for longer than persistent congestion takes (RFC 9002, 7.6).
    pub(super) persistent: bool,
}

/// Decides how many bytes may be in flight.
pub(super) trait Controller: Debug + Send {
    /// Bytes arrived at the other end.
    fn acknowledged(&mut self, sample: &AckSample);
    /// Packets were declared lost because later ones arrived.
    fn lost(&mut self, now: Instant, sample: &LossSample);
    /// Every packet of the last loss episode arrived after all: the path was never congested.
    fn undo(&mut self);
    /// Nothing was heard for a retransmission timeout; everything in flight was declared lost.
    fn handle_rto(&mut self, now: Instant);
    /// Bytes that may be in flight.
    fn window(&self) -> u64;
    /// Whether the window is still looked for, so that a pacer must not hold it back.
    fn in_slow_start(&self) -> bool;
    /// Datagrams have this many bytes from now on.
    fn datagram_size_changed(&mut self, bytes: u64);
    /// For logs and statistics.
    fn name(&self) -> &'static str;
}
