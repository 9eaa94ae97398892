//! Whether the flight says how much the path carries, or only how little there was to send.

/// While an application sends less than the window allows, the window is not tried (RFC 9002, 7.8).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AppLimited {
    delivered: u64,
    /// Delivered bytes up to which the bubble in the pipe lasts
    /// (draft-cheng-iccrg-delivery-rate-estimation-02, 3.4).
    until: Option<u64>,
}

impl AppLimited {
    /// There is nothing more to send.
    pub(super) fn begin(&mut self, in_flight: u64) {
        self.until = Some(self.delivered.saturating_add(in_flight).max(1));
    }

    /// Whether packets that go out now are marked as limited by the application.
    pub(super) const fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Bytes that arrived in all.
    pub(super) const fn delivered_bytes(&self) -> u64 {
        self.delivered
    }

    /// Bytes arrived.
    pub(super) fn handle_delivered(&mut self, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        if self.until.is_some_and(|until| self.delivered > until) {
            self.until = None;
        }
    }
}
