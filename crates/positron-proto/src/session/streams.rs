//! Links over byte streams, as what carries sessions.

use super::{
    carrier::{Carrier, CarrierEvent, Draft, Ending, LinkNames, Order, Traffic},
    contract::{DialFailure, DialRequest},
    link::LinkFault,
};
use crate::{
    id::LinkId,
    limits::MAX_RECORD,
    stream::{
        StreamEndpoint,
        contract::{StreamEvent, StreamFault},
    },
    time::{Instant, Now},
    wire::frame::{CloseReason, Lane},
};

impl Carrier for StreamEndpoint {
    fn connect(&mut self, _now: Now, link: LinkId, dial: &DialRequest) -> Result<(), DialFailure> {
        Self::connect(self, link, dial.to, dial.expect, dial.noise_static);
        Ok(())
    }

    fn order(&self) -> Order {
        Order::OfLinks
    }

    fn largest_message(&self) -> usize {
        MAX_RECORD
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

    fn end(&mut self, _now: Now, link: LinkId, how: Ending, reason: CloseReason) {
        match how {
            Ending::Close | Ending::MoveOn => self.close(link, reason),
            Ending::Answer => self.answer_close(link),
            Ending::Reset => self.reset(link),
        }
    }

    fn heard(&self, link: LinkId) -> Option<Instant> {
        Self::heard(self, link)
    }

    fn taken(&self, link: LinkId) -> u64 {
        Self::taken(self, link)
    }

    fn poll_event(&mut self, _now: Now, _names: &mut LinkNames) -> Option<CarrierEvent> {
        Some(match Self::poll_event(self)? {
            StreamEvent::Reached { link } => CarrierEvent::Reached { link },
            StreamEvent::Authenticated { link, remote } => {
                CarrierEvent::Authenticated { link, remote }
            }
            StreamEvent::Record { link, contents } => {
                CarrierEvent::Message { link, lane: Lane::CONTROL, body: contents }
            }
            StreamEvent::Taken { link } => CarrierEvent::Taken { link },
            StreamEvent::Failed { link, why: StreamFault::Handshake(why) } => {
                CarrierEvent::Failed { link, why: LinkFault::Handshake(why.into()) }
            }
            StreamEvent::Failed { link, why: StreamFault::Forged } => {
                CarrierEvent::Failed { link, why: LinkFault::Forged }
            }
            StreamEvent::Closed { link, why } => CarrierEvent::Closed { link, why },
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
