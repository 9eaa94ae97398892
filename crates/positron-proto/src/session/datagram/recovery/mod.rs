//! What was sent, what of it arrived and what is lost (RFC 8985 RACK-TLP, RFC 6298, RFC 9002).

use core::ops::RangeInclusive;

use super::{congestion::Controller, rtt::Rtt};
use crate::time::{Duration, Instant};

/// What a packet asks of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketKind {
    /// Only acknowledges: it is counted and forgotten.
    AckOnly,
    /// Must be acknowledged.
    Eliciting,
    /// Must be acknowledged, and is larger than the path is known to carry: its loss says nothing
    /// of congestion.
    SizeProbe,
}

/// A packet that is out of flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled<C> {
    /// Its number.
    pub(super) number: u64,
    /// Bytes of its datagram.
    pub(super) size: usize,
    /// Eliciting or a probe.
    pub(super) kind: PacketKind,
    /// What it carried.
    pub(super) contents: C,
}

/// What an acknowledgment or a timer did. Reused by the caller, who clears it.
#[derive(Debug)]
pub(super) struct Outcome<C> {
    /// Arrived.
    pub(super) acked: Vec<Settled<C>>,
    /// Declared lost: their contents are to be sent again.
    pub(super) lost: Vec<Settled<C>>,
    /// Packets declared lost before that arrived after all.
    pub(super) spurious: u64,
}

/// An acknowledgment of a packet that was never sent. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packet {0} was acknowledged and never sent")]
pub(super) struct AckedUnsent(pub(super) u64);

/// Why the timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// A packet that was overtaken will count as lost.
    Loss,
    /// Nothing was heard for a while: ask.
    Probe,
    /// Nothing was heard at all.
    Rto,
}

/// What a timer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutOutcome {
    /// Nothing was due.
    Idle,
    /// The packets in `lost` are lost.
    Lost,
    /// Send one eliciting packet now, whatever the window says: new data, or that of
    /// [`Recovery::newest_outstanding`].
    Probe,
    /// Everything in flight was lost.
    Rto,
}

/// Loss recovery of one direction.
#[derive(Debug)]
pub(super) struct Recovery<C> {
    rtt: Rtt,
    congestion: Box<dyn Controller>,
    _contents: core::marker::PhantomData<C>,
}

impl<C> Recovery<C> {
    pub(super) fn new(congestion: Box<dyn Controller>) -> Self {
        Self { rtt: Rtt::new(), congestion, _contents: core::marker::PhantomData }
    }
    pub(super) fn sent(
        &mut self,
        _now: Instant,
        _number: u64,
        _size: usize,
        _kind: PacketKind,
        _contents: C,
    ) {
    }
    /// There is less to send than the window allows.
    pub(super) fn app_limited(&mut self) {}
    pub(super) fn acknowledged(
        &mut self,
        _now: Instant,
        _ranges: impl Iterator<Item = RangeInclusive<u64>> + Clone,
        _cumulative: u64,
        _ack_delay: Duration,
        _out: &mut Outcome<C>,
    ) -> Result<(), AckedUnsent> {
        Ok(())
    }
    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        None
    }
    pub(super) fn handle_timeout(
        &mut self,
        _now: Instant,
        _out: &mut Outcome<C>,
    ) -> TimeoutOutcome {
        TimeoutOutcome::Idle
    }
    pub(super) fn newest_outstanding(&self) -> Option<&C> {
        None
    }
    pub(super) fn lowest_outstanding(&self) -> u64 {
        0
    }
    /// What to say in LOWEST now, if the other end waits for numbers that will never come.
    pub(super) fn lowest_to_tell(&self, _now: Instant) -> Option<u64> {
        None
    }
    /// LOWEST was put into a packet.
    pub(super) fn lowest_told(&mut self, _lowest: u64) {}
    pub(super) fn in_flight(&self) -> u64 {
        0
    }
    pub(super) fn largest_acked(&self) -> Option<u64> {
        None
    }
    pub(super) fn rtt(&self) -> &Rtt {
        &self.rtt
    }
    pub(super) fn congestion(&self) -> &dyn Controller {
        &*self.congestion
    }
    pub(super) fn congestion_mut(&mut self) -> &mut dyn Controller {
        &mut *self.congestion
    }
}
