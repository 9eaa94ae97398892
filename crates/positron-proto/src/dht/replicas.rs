//! Who keeps a record.

use std::collections::BTreeMap;

use super::Contact;
use crate::{
    limits::{MAX_REPLICA_CANDIDATES, MAX_REPLICAS_PER_GROUP, REPLICAS},
    scope::Group,
};

/// Of the nodes nearest to a key, nearest first, those that keep its records: not more than
/// [`MAX_REPLICAS_PER_GROUP`] of one /16 (IPv6: /32), which somebody may hold whole, until there
/// are [`REPLICAS`]. Loopback and private networks have one owner anyway.
pub(super) fn replicas(nearest: &[Contact]) -> Vec<Contact> {
    let mut groups = BTreeMap::<_, usize>::new();
    let candidates = nearest.iter().take(MAX_REPLICA_CANDIDATES);
    let has_room = |contact: &&Contact| {
        let group = Group::of(contact.addr().ip());
        let taken = groups.entry(group).or_default();
        *taken += 1;
        group == Group::Near || *taken <= MAX_REPLICAS_PER_GROUP
    };
    candidates.filter(has_room).take(REPLICAS).copied().collect()
}
