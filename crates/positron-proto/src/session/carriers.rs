//! The carriers of a node, one for each kind of link.

use std::{collections::VecDeque, sync::Arc};

#[cfg(test)]
use super::tests::foreign::Foreign;
use super::{
    carrier::{Carrier, CarrierEvent, LinkNames, Traffic},
    contract::{SessionConfig, SessionEffect},
    datagram_carrier::DatagramCarrier,
    kind::LinkKind,
};
use crate::{
    datagram::{Endpoint, contract::EndpointConfig},
    handshake::hello::Local,
    identity::Identity,
    limits::MAX_HALF_OPEN,
    rng::{Rng, Seed},
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
    /// Carriers without links. The process of this node is named by `boot`.
    pub(super) fn new(config: &SessionConfig, me: Arc<Identity>, boot: u64, mut rng: Rng) -> Self {
        let endpoint = EndpointConfig {
            // A session may have two links while it moves.
            max_connections: 2 * config.max_links + MAX_HALF_OPEN,
            // Whether a link lives is judged above, by the same rules for every transport.
            keep_alive: None,
            ..EndpointConfig::new(config.network)
        };
        let dice = Seed::new(rng.bytes()).stream("datagrams");
        let endpoint = Endpoint::new(endpoint, Arc::clone(&me), boot, dice);
        Self {
            datagrams: DatagramCarrier::new(endpoint),
            streams: StreamEndpoint::new(Local::new(me, config.network, boot), rng),
            #[cfg(test)]
            foreign: Default::default(),
        }
    }

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
