//! Links over byte streams, as what carries sessions.

use super::{
    carrier::{Carrier, CarrierEvent, CarrierOrder, Draft, LinkEnding, LinkNames, Traffic},
    contract::{DialFailure, DialRequest, Reading},
    fault::LinkFault,
};
use crate::{
    datagram::contract::WireBytes,
    id::LinkId,
    stream::{
        StreamEndpoint,
        contract::{StreamFault, StreamLinkEvent},
    },
    time::{Instant, Now},
    wire::frame::{CloseReason, Lane},
};

impl Carrier for StreamEndpoint {
    fn connect(&mut self, _now: Now, link: LinkId, dial: &DialRequest) -> Result<(), DialFailure> {
        Self::connect(self, link, dial.to, dial.expect, dial.noise_static);
        Ok(())
    }

    fn order(&self) -> CarrierOrder {
        CarrierOrder::OfLinks
    }

    fn largest_message(&self, link: LinkId) -> usize {
        Self::largest_record(self, link)
    }

    fn has_room(&mut self, link: LinkId, _lane: Lane) -> bool {
        Self::has_room(self, link)
    }

    fn begin(&mut self, link: LinkId) -> Draft {
        Self::begin(self, link)
    }

    fn send(&mut self, _now: Now, link: LinkId, _lane: Lane, message: Draft) {
        Self::send(self, link, message);
    }

    fn set_reading(&mut self, _now: Now, link: LinkId, reading: Reading) {
        Self::set_reading(self, link, reading);
    }

    fn end(&mut self, _now: Now, link: LinkId, how: LinkEnding, reason: CloseReason) {
        match how {
            LinkEnding::Close | LinkEnding::MoveOn => self.close(link, reason),
            LinkEnding::Answer => self.answer_close(link),
            LinkEnding::Reset => self.reset(link),
        }
    }

    fn heard(&self, link: LinkId) -> Option<Instant> {
        Self::heard(self, link)
    }

    fn taken(&self, link: LinkId) -> u64 {
        Self::taken(self, link)
    }

    fn wire_bytes(&self, link: LinkId) -> WireBytes {
        Self::wire_bytes(self, link)
    }

    fn poll_event(&mut self, _now: Now, _names: &mut LinkNames) -> Option<CarrierEvent> {
        Some(match Self::poll_event(self)? {
            StreamLinkEvent::Reached { link } => CarrierEvent::Reached { link },
            StreamLinkEvent::Authenticated { link, remote } => {
                CarrierEvent::Authenticated { link, remote }
            }
            StreamLinkEvent::Record { link, contents } => {
                CarrierEvent::Message { link, lane: Lane::CONTROL, body: contents }
            }
            StreamLinkEvent::Taken { link } => CarrierEvent::Taken { link },
            StreamLinkEvent::Failed { link, why: StreamFault::Handshake(why) } => {
                CarrierEvent::Failed { link, why: LinkFault::Handshake(why) }
            }
            StreamLinkEvent::Failed { link, why: StreamFault::Forged } => {
                CarrierEvent::Failed { link, why: LinkFault::Forged }
            }
            StreamLinkEvent::Closed { link, why } => CarrierEvent::Closed { link, why },
        })
    }

    fn traffic(&self) -> Traffic {
        let counters = self.counters();
        Traffic {
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            messages_sent: counters.records_sealed,
            messages_received: counters.records_opened,
        }
    }
}
