//! What one acknowledgment brought.

use super::{
    delivery::DeliveryMark,
    sent::{SentPacket, bytes_of},
};
use crate::time::Instant;

/// Packets that are being declared lost, without those that probed for a datagram size.
#[derive(Debug, Default)]
pub(super) struct BadNews {
    pub(super) bytes: u64,
    /// Their row is as long as persistent congestion.
    pub(super) persistent: bool,
    /// The newest of them: when it was sent, and what was known then.
    pub(super) newest: Option<(Instant, DeliveryMark)>,
}

/// Bytes, and the newest packets.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) bytes: u64,
    pub(super) returned_bytes: u64,
    /// The newest packet acknowledged that was in flight: its number, when it was sent, and what
    /// was known then.
    pub(super) newest: Option<(u64, Instant, DeliveryMark)>,
    /// The newest packet at all, for the round trip time.
    pub(super) newest_number: Option<(u64, Instant)>,
}

impl News {
    /// A packet in flight arrived.
    pub(super) fn handle_ack<C>(&mut self, number: u64, packet: &SentPacket<C>) {
        self.bytes = self.bytes.saturating_add(bytes_of(packet.size));
        if self.newest.is_none_or(|(newest, ..)| number > newest) {
            self.newest = Some((number, packet.at, packet.mark));
        }
        self.see(number, packet.at);
    }

    /// One that was taken for lost arrived.
    pub(super) fn handle_return(&mut self, number: u64, bytes: u64, sent_at: Instant) {
        self.returned_bytes = self.returned_bytes.saturating_add(bytes);
        self.see(number, sent_at);
    }

    fn see(&mut self, number: u64, sent_at: Instant) {
        if self.newest_number.is_none_or(|(newest, _)| number > newest) {
            self.newest_number = Some((number, sent_at));
        }
    }
}
