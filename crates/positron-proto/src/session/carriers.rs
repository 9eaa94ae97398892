//! The carriers of a node, one for each kind of link.

use std::collections::VecDeque;

#[cfg(test)]
use super::tests::foreign::Foreign;
use super::{
    carrier::{Carrier, CarrierEvent, LinkNames, Traffic},
    contract::SessionEffect,
    datagram_carrier::DatagramCarrier,
    kind::LinkKind,
};
use crate::{
    stream::{StreamEndpoint, contract::StreamEffect},
    time::Now,
};

/// The carriers of one node: the one place that knows which kind is carried by what.
#[derive(Debug)]
pub(super) struct Carriers {
    pub(super) datagrams: DatagramCarrier,
    pub(super) streams: StreamEndpoint,
    #[cfg(test)]
    pub(super) foreign: Foreign,
}

impl Carriers {
    /// What carries links of this kind.
    pub(super) fn of(&mut self, kind: LinkKind) -> &mut dyn Carrier {
        match kind {
            LinkKind::Udp => &mut self.datagrams,
            LinkKind::Tcp => &mut self.streams,
            #[cfg(test)]
            LinkKind::Foreign => &mut self.foreign,
        }
    }

    /// The same to look at.
    fn look(&self, kind: LinkKind) -> &dyn Carrier {
        match kind {
            LinkKind::Udp => &self.datagrams,
            LinkKind::Tcp => &self.streams,
            #[cfg(test)]
            LinkKind::Foreign => &self.foreign,
        }
    }

    /// The next thing that happened, and to a link of which kind.
    pub(super) fn poll_event(
        &mut self,
        now: Now,
        names: &mut LinkNames,
    ) -> Option<(LinkKind, CarrierEvent)> {
        LinkKind::all().find_map(|kind| Some((kind, self.of(kind).poll_event(now, names)?)))
    }

    /// Tells what is to be done with byte streams.
    pub(super) fn drain_effects(&mut self, out: &mut VecDeque<SessionEffect>) {
        while let Some(effect) = self.streams.poll_effect() {
            out.push_back(match effect {
                StreamEffect::Dial { link, to } => {
                    SessionEffect::Dial { link, kind: LinkKind::Tcp, to }
                }
                StreamEffect::Write { link, bytes } => SessionEffect::Write { link, bytes },
                StreamEffect::Hangup { link, how } => SessionEffect::Hangup { link, how },
            });
        }
    }

    /// What all of them carried since the start.
    pub(super) fn traffic(&self) -> Traffic {
        LinkKind::all().map(|kind| self.look(kind).traffic()).fold(
            Traffic::default(),
            |sum, one| Traffic {
                bytes_sent: sum.bytes_sent + one.bytes_sent,
                bytes_received: sum.bytes_received + one.bytes_received,
                messages_sent: sum.messages_sent + one.messages_sent,
                messages_received: sum.messages_received + one.messages_received,
            },
        )
    }
}
