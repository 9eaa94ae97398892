//! Who comes to the holders of a key: because it is new, or because this node goes.

use std::collections::BTreeMap;

use super::{
    Contact, LivingRecord, Place, Via, record_store::RecordStore, replicas::replicas,
    table::RoutingTable,
};
use crate::{
    id::NodeId,
    limits::{
        INLINE_VALUE, MAX_HANDED_OVER, MAX_RECORDS_PER_PEER, MAX_REPLICA_CANDIDATES, REPLICAS,
    },
    time::Instant,
};

/// What is kept here and to be kept by others when this node goes, and by whom: as much as each of
/// them takes from one node, [`MAX_HANDED_OVER`] in all.
pub(super) fn handed_over(
    now: Instant,
    here: &Place,
    table: &RoutingTable,
    store: &RecordStore,
) -> Vec<(Contact, LivingRecord)> {
    let mut given = BTreeMap::<NodeId, usize>::new();
    let mut stores = Vec::new();
    for key in store.keys(None) {
        let Some(next) = next_holder(table, here, &key) else { continue };
        let given = given.entry(next.id()).or_default();
        for (record, remaining) in store.get(now, &key, None) {
            if *given < MAX_RECORDS_PER_PEER && stores.len() < MAX_HANDED_OVER {
                *given += 1;
                stores.push((next, LivingRecord { record: record.claim().clone(), remaining }));
            }
        }
    }
    stores
}

/// Over what a node that goes gives a record away: by a datagram if it fits one, because sessions
/// end at once, with what waits in them.
pub(super) fn parting_way(living: &LivingRecord) -> Via {
    let value = living.record.content().value.as_ref();
    if value.is_none_or(|value| value.len() <= INLINE_VALUE) { Via::Datagram } else { Via::Any }
}

/// Whether a node is one of those that keep what is under a key, as far as the table knows.
pub(super) fn is_holder(table: &RoutingTable, node: &NodeId, key: &Place) -> bool {
    table.nearest(key, REPLICAS).iter().any(|contact| contact.id() == *node)
}

/// Whether a newcomer is to keep what is under this key, and this node, which is `here`, is the one
/// to bring it: of all holders that it knows the nearest, so that it comes once. Another newcomer
/// is none, as far as anybody knows.
pub(super) fn is_to_push(
    now: Instant,
    table: &RoutingTable,
    here: &Place,
    newcomer: &Contact,
    key: &Place,
) -> bool {
    let nearest = table.nearest(key, REPLICAS + 1);
    let is_holder =
        |contact: &&Contact| contact.id() != newcomer.id() && table.is_settled(now, &contact.id());
    let mut others = nearest.iter().filter(is_holder);
    let ours = here.distance(key);
    let is_near = nearest.iter().take(REPLICAS).any(|contact| contact.id() == newcomer.id());
    is_near && others.all(|other| other.place().distance(key) > ours)
}

/// Who keeps the records of `key` next if this node, which is `here`, goes: the farthest of those
/// that should keep them then. Nobody, if others keep them all the same: then this node is none of
/// the nearest, or everybody is.
fn next_holder(table: &RoutingTable, here: &Place, key: &Place) -> Option<Contact> {
    let others = replicas(key, &table.nearest(key, MAX_REPLICA_CANDIDATES), None);
    let next = others.last().filter(|_| others.len() == REPLICAS)?;
    let is_holder = here.distance(key) < next.place().distance(key);
    is_holder.then_some(*next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Identity, rng::Seed};

    /// A table that knows so many nodes, each in a network of its own.
    fn table(here: Place, nodes: u8) -> (RoutingTable, Vec<Contact>) {
        let mut table = RoutingTable::new(Instant::ORIGIN, here);
        let contact = |n: u8| {
            let key = *Identity::from_seed([n; 32]).public_key();
            Contact::new(key, [n; 32], ([11 + n, 1, 1, 1], 8888).into())
        };
        let contacts: Vec<_> = (1..=nodes).map(contact).collect();
        for contact in &contacts {
            table.handle_answer(Instant::ORIGIN, *contact, None);
        }
        (table, contacts)
    }

    #[test]
    fn the_ninth_nearest_keeps_what_one_of_the_eight_kept_that_goes() {
        let mut rng = Seed::from_number(1).stream("keys");
        let mut handed_over = 0;
        for _ in 0..200 {
            let (here, key) = (Place::from_bytes(rng.bytes()), Place::from_bytes(rng.bytes()));
            let (table, mut contacts) = table(here, 12);
            contacts.sort_by_key(|contact| contact.place().distance(&key));
            let nearer = contacts
                .iter()
                .filter(|contact| contact.place().distance(&key) < here.distance(&key));
            let is_holder = nearer.count() < REPLICAS;
            let ninth = is_holder.then(|| contacts[REPLICAS - 1]);
            assert_eq!(next_holder(&table, &here, &key), ninth);
            handed_over += usize::from(is_holder);
        }
        assert!((50..200).contains(&handed_over), "{handed_over}");
    }

    #[test]
    fn where_everybody_keeps_it_nobody_is_left_to_be_given_it() {
        let here = Place::from_bytes([7; 32]);
        for nodes in 0..u8::try_from(REPLICAS).unwrap() {
            let (table, _) = table(here, nodes);
            assert_eq!(next_holder(&table, &here, &here), None, "{nodes}");
        }
    }
}
