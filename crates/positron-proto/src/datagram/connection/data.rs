//! What a connection carries, both ways.

use crate::{
    datagram::{
        contract::{EndpointConfig, EndpointCounters},
        incoming::{ReceivedPart, RecvChannels, Violation},
        outgoing::SendChannels,
        sent_frames::SentFrames,
        streams::Streams,
        window::{ReceiveWindow, WindowBudget},
    },
    time::Instant,
    wire::packet_frame::PacketFrame,
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
    /// Whether it was sent behind others in one batch.
    pub(super) follows: bool,
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

    /// Whether something that arrived on streams waits to be read.
    pub(super) fn has_unread(&self) -> bool {
        self.streams.has_unread()
    }

    /// Whether the other end waits to hear what became of its messages in fragments.
    pub(super) fn has_replies(&self) -> bool {
        self.incoming.has_replies()
    }

    /// The most urgent lane that has something to send, in packets with room for `full` bytes of
    /// frames, where the other end takes `budget` bytes more.
    pub(super) fn most_urgent(&self, full: usize, budget: u64) -> Option<u8> {
        let lanes = [self.outgoing.most_urgent(full, budget), self.streams.most_urgent(budget)];
        lanes.into_iter().flatten().min()
    }

    /// A frame of messages or streams arrived; those of other kinds are none of its business.
    ///
    /// # Errors
    ///
    /// No honest end would have sent it.
    pub(super) fn handle_frame(
        &mut self,
        now: Instant,
        frame: PacketFrame<&[u8]>,
        counters: &mut EndpointCounters,
    ) -> Result<(), Violation> {
        match frame {
            PacketFrame::Message { channel, number, body } => {
                count(self.incoming.message(channel, number, body)?, counters);
            }
            PacketFrame::Fragment { channel, number, offset, total, body } => {
                let place = (offset, total);
                count(self.incoming.part(now, channel, number, place, body)?, counters);
            }
            PacketFrame::MessageAck { channel, number } => self.outgoing.whole(channel, number)?,
            PacketFrame::MessageNack { channel, number } => {
                self.outgoing.given_up(channel, number)?;
            }
            PacketFrame::Stream { id, lane: _, fin, offset, body } => {
                self.streams.handle_stream(id, offset, body, fin)?;
            }
            PacketFrame::MaxData { stream, limit } => self.streams.handle_credit(stream, limit)?,
            PacketFrame::StreamEnd { id, side, offset, code } => {
                self.streams.handle_end(id, side, (offset, code))?;
            }
            PacketFrame::Padding { .. }
            | PacketFrame::Ping { .. }
            | PacketFrame::Pong { .. }
            | PacketFrame::PacketAck { .. }
            | PacketFrame::StopWaiting { .. }
            | PacketFrame::PathChallenge { .. }
            | PacketFrame::PathResponse { .. }
            | PacketFrame::Close(_)
            | PacketFrame::Unknown { .. } => {}
        }
        Ok(())
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

fn count(arrival: ReceivedPart, counters: &mut EndpointCounters) {
    match arrival {
        ReceivedPart::New | ReceivedPart::Dropped => {}
        ReceivedPart::Duplicate => counters.messages_duplicate += 1,
        ReceivedPart::GivenUp => counters.reassemblies_abandoned += 1,
    }
}
