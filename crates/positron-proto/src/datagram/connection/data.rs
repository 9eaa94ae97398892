//! What a connection carries, both ways.

use crate::{
    datagram::{
        contract::EndpointConfig,
        incoming::{RecvChannels, Violation},
        outgoing::SendChannels,
        sent_frames::SentFrames,
        streams::Streams,
        window::{ReceiveWindow, WindowBudget},
    },
    time::Instant,
};

/// Messages and streams on their way out and in, and how much more may come.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) outgoing: SendChannels,
    pub(super) incoming: RecvChannels,
    pub(super) streams: Streams,
    pub(super) window: ReceiveWindow,
}

/// What a packet carried, beside its place in the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SentPacketData {
    pub(super) contents: SentFrames,
    /// What it used of the other end's window.
    pub(super) charged: u64,
    /// Whether it was our FIN.
    pub(super) fin: bool,
}

impl Carried {
    pub(super) fn new(now: Instant, config: &EndpointConfig, budget: &mut WindowBudget) -> Self {
        Self {
            outgoing: SendChannels::new(config.queue_bytes),
            incoming: RecvChannels::default(),
            streams: Streams::new(config.window_bytes),
            window: ReceiveWindow::new(now, config.window_bytes, budget),
        }
    }

    /// Lets go of everything but what the window promised, which is given back with it.
    pub(super) fn forget(&mut self, config: &EndpointConfig) {
        self.outgoing = SendChannels::new(config.queue_bytes);
        self.incoming = RecvChannels::default();
        self.streams = Streams::new(config.window_bytes);
    }

    /// Bytes that wait to be sent and acknowledged.
    pub(super) fn queued_bytes(&self) -> usize {
        self.outgoing.queued_bytes() + self.streams.queued_bytes()
    }

    /// Whether everything that was said was acknowledged.
    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.is_drained() && self.streams.is_drained()
    }

    /// The most urgent lane that has something to send, in packets with room for `full` bytes of
    /// frames, where the other end takes `budget` bytes more.
    pub(super) fn most_urgent(&self, full: usize, budget: u64) -> Option<u8> {
        let lanes = [self.outgoing.most_urgent(full, budget), self.streams.most_urgent(budget)];
        lanes.into_iter().flatten().min()
    }

    /// What a packet carried arrived at the other end.
    pub(super) fn handle_ack(&mut self, cargo: &SentPacketData) {
        for chunk in cargo.contents.iter() {
            self.outgoing.handle_ack(chunk);
            self.streams.handle_ack(chunk);
        }
    }

    /// What a packet carried waits to be sent again.
    pub(super) fn handle_loss(&mut self, cargo: &SentPacketData) {
        for chunk in cargo.contents.iter() {
            self.outgoing.handle_loss(chunk);
            self.streams.handle_loss(chunk);
            self.incoming.handle_loss(chunk);
        }
    }

    /// Takes what arrived since into account.
    ///
    /// # Errors
    ///
    /// It is more than we ever said that we would take.
    pub(super) fn count_arrived(&mut self) -> Result<(), Violation> {
        self.window.arrived(self.incoming.take_arrived() + self.streams.take_arrived())?;
        self.window.handle_drop(self.streams.take_released());
        Ok(())
    }
}
