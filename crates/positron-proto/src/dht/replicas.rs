//! Who keeps a record.

use std::collections::BTreeMap;

use super::{Contact, Distance, Place};
use crate::{
    limits::{MAX_REGION_REPLICAS, MAX_REPLICAS_PER_GROUP, REPLICAS},
    scope::Group,
};

/// Of the nodes nearest to a key, nearest first, those that keep its records: not more than
/// [`MAX_REPLICAS_PER_GROUP`] of one /16 (IPv6: /32), which somebody may hold whole, until there
/// are [`REPLICAS`]; and all in the region around it, if there is one: some [`REPLICAS`] honest
/// ones, and whoever else is there. Loopback and private networks have one owner anyway.
pub(super) fn replicas(key: &Place, nearest: &[Contact], region: Option<Distance>) -> Vec<Contact> {
    let mut groups = BTreeMap::<_, usize>::new();
    let has_room = |contact: &&Contact| {
        let group = Group::of(contact.addr().ip());
        let taken = groups.entry(group).or_default();
        *taken += 1;
        group == Group::Near || *taken <= MAX_REPLICAS_PER_GROUP
    };
    let is_wanted = |(n, contact): &(usize, &Contact)| {
        *n < REPLICAS || region.is_some_and(|region| key.distance(&contact.place()) <= region)
    };
    let candidates = nearest.iter().filter(has_room).enumerate().take_while(is_wanted);
    candidates.take(MAX_REGION_REPLICAS).map(|(_, contact)| *contact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    const KEY: Place = Place::from_bytes([0; 32]);

    fn contacts(addrs: impl Iterator<Item = String>) -> Vec<Contact> {
        let key = *Identity::from_seed([1; 32]).public_key();
        addrs.map(|addr| Contact::new(key, [0; 32], addr.parse().unwrap())).collect()
    }

    #[test]
    fn one_network_gets_two_copies_whatever_it_has_nearest() {
        for (crowd, honest) in [("203.0", "11"), ("2001:db9", "2001:dc")] {
            let addr = |net: &str, n: usize| match net.contains(':') {
                true => format!(
                    "[{net}{}::1]:1",
                    if net.len() > 7 { format!(":{n}") } else { n.to_string() }
                ),
                false if net.contains('.') => format!("{net}.{n}.1:1"),
                false => format!("{net}.{n}.0.1:1"),
            };
            let ground = (1..=10).map(|n| addr(crowd, n));
            let nearest = contacts(ground.chain((1..=9).map(|n| addr(honest, n))));
            let chosen = replicas(&KEY, &nearest, None);
            assert_eq!(chosen, [&nearest[..2], &nearest[10..16]].concat());
        }
    }

    #[test]
    fn nearby_there_are_no_networks_and_nobody_looks_for_ever() {
        for near in ["127.0.0.1", "10.0.0.1", "[::1]", "[fd00::1]"] {
            let nearest = contacts((1..=20).map(|port| format!("{near}:{port}")));
            assert_eq!(replicas(&KEY, &nearest, None), nearest[..REPLICAS]);
        }
        let crowd = (1..=100).map(|n| format!("203.0.{n}.1:1"));
        let nearest = contacts(crowd.chain(["11.0.0.1:1".to_owned()]));
        let chosen = replicas(&KEY, &nearest, None);
        assert_eq!(chosen, [&nearest[..MAX_REPLICAS_PER_GROUP], &nearest[100..]].concat());
        assert_eq!(replicas(&KEY, &[], None), []);
    }

    #[test]
    fn in_a_region_all_keep_it_however_many_there_are_up_to_a_bound() {
        let nearest = contacts((0..150).map(|n| format!("{}.{n}.0.1:1", 11 + n % 20)));
        let everywhere = Some(Distance::of_part(1.0));
        assert_eq!(replicas(&KEY, &nearest, everywhere), nearest[..MAX_REGION_REPLICAS]);
        let nowhere = Some(Distance::of_part(0.0));
        assert_eq!(replicas(&KEY, &nearest, nowhere), nearest[..REPLICAS]);
    }
}
