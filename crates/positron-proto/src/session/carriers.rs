//! The carriers of a node, one for each kind of link.

use std::sync::Arc;

#[cfg(test)]
use super::tests::foreign::Foreign;
use super::{
    carrier::{Carrier, CarrierEvent, LinkNames, Traffic},
    contract::SessionConfig,
    datagram_carrier::DatagramCarrier,
    kind::LinkKind,
};
use crate::{
    datagram::{Endpoint, contract::EndpointConfig},
    handshake::hello::Local,
    identity::Identity,
    limits::{MAPPING_KEEP_ALIVE, MAX_HALF_OPEN},
    rng::{Rng, Seed},
    stream::{StreamEndpoint, contract::StreamEffect},
    time::Now,
};

/// The carriers of one node: the one place that knows which kind is carried by what.
#[derive(Debug)]
pub(super) struct Carriers {
    pub(super) datagrams: DatagramCarrier,
    /// Of every kind that is a byte stream: whatever is below, the records are the same.
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
            // Whether a link lives is judged above, by the same rules for every transport; below,
            // translators on its way are kept from forgetting it, with the least that does.
            keep_alive: Some(MAPPING_KEEP_ALIVE),
            batches: config.udp_batches,
            congestion: config.congestion,
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
            LinkKind::Tcp | LinkKind::Relay => &mut self.streams,
            #[cfg(test)]
            LinkKind::Foreign => &mut self.foreign,
        }
    }

    /// The next thing that happened, and of which kind the link is if it is not known.
    pub(super) fn poll_event(
        &mut self,
        now: Now,
        names: &mut LinkNames,
    ) -> Option<(LinkKind, CarrierEvent)> {
        LinkKind::all().find_map(|kind| Some((kind, self.of(kind).poll_event(now, names)?)))
    }

    /// What is to be done with a byte stream.
    pub(super) fn poll_effect(&mut self) -> Option<StreamEffect> {
        self.streams.poll_effect()
    }

    /// What all of them carried since the start.
    pub(super) fn traffic(&self) -> Traffic {
        let sum = self.datagrams.traffic() + self.streams.traffic();
        #[cfg(test)]
        let sum = sum + self.foreign.traffic();
        sum
    }
}
