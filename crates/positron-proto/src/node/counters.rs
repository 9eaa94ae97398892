//! What happened and what was dropped.

use crate::{
    datagram::contract::EndpointCounters,
    direct::DirectCounters,
    gossip::GossipCounters,
    metric::{Metric, counters},
    peers::PeersCounters,
    session::sessions::SessionCounters,
};

counters! {
    /// What the wiring itself counts.
    pub struct NodeCounters of "node";

    signatures_checked: Counter Count "Signatures checked.";
    signatures_invalid: Counter Count "Signatures that proved false.";
    verifications_dropped: Counter Count "Claims dropped because too many waited for their check.";
    malformed: Counter Count "Message bodies that do not read as their type.";
    unknown_types: Counter Count "Messages of a type that this version does not know.";
    sends_lost: Counter Count "Messages lost to a full queue or session; gossip repairs them.";
}

/// Everything that happened and everything that was dropped, by room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct AllCounters {
    /// Links and conversations.
    pub session: SessionCounters,
    /// Datagram connections.
    pub datagrams: EndpointCounters,
    /// The address book and dials.
    pub peers: PeersCounters,
    /// Broadcasts.
    pub gossip: GossipCounters,
    /// Direct messages.
    pub direct: DirectCounters,
    /// Wiring, checks of signatures, events.
    pub node: NodeCounters,
}

impl AllCounters {
    /// Every number of every room with what it is, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Metric, u64)> {
        let Self { session, datagrams, peers, gossip, direct, node } = self;
        let links = session.iter().chain(datagrams.iter());
        links.chain(peers.iter()).chain(gossip.iter()).chain(direct.iter()).chain(node.iter())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metric::Unit;

    #[test]
    fn every_number_is_explained_by_a_sentence_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for (metric, _) in AllCounters::default().iter() {
            let (name, help) = (metric.to_string(), metric.help);
            assert!(help.len() > 5 && help.ends_with('.'), "{name}: {help:?}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(name.starts_with(&format!("positron_{}_", metric.room)), "{name}");
            let tells_bytes = metric.field.split('_').any(|word| word == "bytes");
            assert_eq!(tells_bytes, metric.unit == Unit::Bytes, "the unit of {name}");
            assert!(names.insert(name.clone()), "{name} twice");
        }
        assert!(names.len() > 80, "{}", names.len());
    }
}
