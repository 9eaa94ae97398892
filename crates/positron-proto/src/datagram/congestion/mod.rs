//! How much may be in flight: congestion control behind one trait.
//!
//! A controller is told what was sent, acknowledged and lost, and answers with a window and, if it
//! has a model of the path, a rate. It knows nothing of packet numbers, timers or contents.

mod new_reno;

use core::fmt::Debug;

pub(super) use new_reno::NewReno;
pub use new_reno::Phase;

use super::rtt::Rtt;
use crate::time::Instant;

/// What one acknowledgment told of packets that had not been acknowledged before.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "what a controller with a model of the path needs")]
pub(super) struct AckSample<'a> {
    /// Bytes that it acknowledged for the first time.
    pub(super) bytes: u64,
    /// When the newest packet among them was sent.
    pub(super) newest_sent_at: Instant,
    /// Round trip times, with the sample of this acknowledgment if there was one.
    pub(super) rtt: &'a Rtt,
    /// Bytes in flight after it.
    pub(super) in_flight: u64,
    /// Bytes acknowledged since the start, with these.
    pub(super) delivered: u64,
    /// Of those, bytes that had been acknowledged when the newest packet was sent: once it is the
    /// `delivered` of an earlier round's end, a round trip has passed.
    pub(super) delivered_before: u64,
    /// Bytes per second while the newest packet was under way
    /// (draft-cheng-iccrg-delivery-rate-estimation), if that can be told.
    pub(super) delivery_rate: Option<u64>,
    /// When the newest packet was sent there was less to send than the window allowed, so that
    /// neither the rate nor the flight says how much the path carries.
    pub(super) app_limited: bool,
}

/// Packets declared lost at one time, without those that probed for a datagram size.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "what a controller with a model of the path needs")]
pub(super) struct LossSample {
    /// Their bytes.
    pub(super) bytes: u64,
    /// When the newest of them was sent.
    pub(super) newest_lost_sent_at: Instant,
    /// Bytes in flight without them.
    pub(super) in_flight: u64,
    /// Nothing got through for longer than persistent congestion takes (RFC 9002, 7.6).
    pub(super) persistent: bool,
}

/// Decides how many bytes may be in flight.
pub(super) trait Controller: Debug + Send {
    /// Bytes went out; `in_flight` counts them.
    fn sent(&mut self, now: Instant, bytes: u64, in_flight: u64, app_limited: bool);
    /// Bytes arrived at the other end.
    fn acknowledged(&mut self, now: Instant, sample: &AckSample<'_>);
    /// Packets were declared lost because later ones arrived.
    fn lost(&mut self, now: Instant, sample: &LossSample);
    /// Every packet of the last loss episode arrived after all: the path was never congested.
    fn undo(&mut self, now: Instant);
    /// Nothing was heard for a retransmission timeout; everything in flight was declared lost.
    fn rto(&mut self, now: Instant);
    /// Bytes that may be in flight.
    fn window(&self) -> u64;
    /// Whether the window is still looked for, so that a pacer must not hold it back.
    fn in_slow_start(&self) -> bool;
    /// Bytes per second, where the controller has an opinion of its own.
    fn pacing_rate(&self) -> Option<u64>;
    /// Datagrams have this many bytes from now on.
    fn datagram_size_changed(&mut self, bytes: u64);
    /// For logs and statistics.
    fn name(&self) -> &'static str;
}
