use super::*;
use crate::{
    id::NetworkId,
    identity::Identity,
    limits::{
        BUCKET, BUCKET_CANDIDATES, CONTACT_CHECK_INTERVAL, MAX_CONTACT_FAILURES,
        MAX_PER_NETWORK_IN_BUCKET,
    },
    rng::Seed,
    storage::{Remembered as _, Row},
};

/// Members of the farthest bucket.
const FARTHEST: usize = 4 * BUCKET;
const HERE: Place = Place::from_bytes([0; 32]);

fn at(secs: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(secs)
}

fn contact(n: u32, ip: [u8; 4]) -> Contact {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&n.to_be_bytes());
    let port = 1_000 + u16::try_from(n % 60_000).unwrap();
    Contact::new(*Identity::from_seed(seed).public_key(), seed, (ip, port).into())
}

/// Somebody in a network of its own.
fn somebody(n: u32) -> Contact {
    let [_, a, b, c] = n.to_be_bytes();
    contact(n, [11 + a, b, c, 1])
}

/// So many of bucket 0: the half of the space in which we are not.
fn far(many: usize) -> Vec<Contact> {
    (1..).map(somebody).filter(|contact| bucket_of(contact) == 0).take(many).collect()
}

fn bucket_of(contact: &Contact) -> u32 {
    HERE.distance(&contact.place()).common_bits()
}

fn table_of(contacts: &[Contact]) -> RoutingTable {
    let mut table = RoutingTable::new(at(0), HERE);
    for contact in contacts {
        table.handle_answer(at(0), *contact, Some(Duration::from_millis(50)));
    }
    table
}

fn wishes(table: &mut RoutingTable, now: Instant) -> Vec<TableWish> {
    let (mut rng, mut out) = (Seed::from_number(1).stream("table"), VecDeque::new());
    table.handle_timeout(now, &mut rng, &mut out);
    out.into()
}

fn probes(table: &mut RoutingTable, now: Instant) -> Vec<Contact> {
    let is_probe = |wish| match wish {
        TableWish::Probe(contact) => Some(contact),
        TableWish::LookUp(_) => None,
    };
    wishes(table, now).into_iter().filter_map(is_probe).collect()
}

#[test]
fn the_nearest_are_those_that_sorting_all_would_find() {
    let contacts: Vec<_> = (1..300).map(somebody).collect();
    let table = table_of(&contacts);
    let mut rng = Seed::from_number(3).stream("targets");
    let members: Vec<_> = table.members().map(|known| known.contact).collect();
    assert_eq!(members.len(), table.len());
    for round in 0..200_u32 {
        let target = match round % 3 {
            0 => HERE,
            1 => in_bucket(&HERE, round % 12, &mut rng),
            _ => Place::from_bytes(rng.bytes()),
        };
        let mut sorted = members.clone();
        sorted.sort_unstable_by_key(|known| (target.distance(&known.place()), known.id()));
        for most in [0, 1, 12, 40, 1_000] {
            let nearest = table.nearest(&target, most);
            assert_eq!(nearest, sorted[..most.min(sorted.len())], "{target}, {most}");
        }
    }
}

#[test]
fn a_place_in_a_bucket_has_so_many_bits_in_common_and_no_more() {
    let mut rng = Seed::from_number(4).stream("places");
    for index in 0..256 {
        let here = Place::from_bytes(rng.bytes());
        let place = in_bucket(&here, index, &mut rng);
        assert_eq!(here.distance(&place).common_bits(), index);
        assert_ne!(place, in_bucket(&here, index.min(200), &mut rng), "it is drawn");
    }
}

#[test]
fn who_is_only_said_to_be_there_is_asked_first_and_named_to_nobody() {
    let mut table = RoutingTable::new(at(0), HERE);
    let contact = somebody(1);
    table.handle_contact(at(0), contact);
    assert_eq!((table.nearest(&HERE, 5), table.len()), (vec![], 0));
    assert_eq!(table.poll_timeout(), Some(at(0)));
    assert_eq!(wishes(&mut table, at(0)), [TableWish::Probe(contact)]);
    assert_eq!(wishes(&mut table, at(1)), [], "once");
    assert!(table.handle_answer(at(1), contact, None));
    assert_eq!(table.nearest(&HERE, 5), [contact]);
    assert_eq!(wishes(&mut table, at(1)), [TableWish::LookUp(HERE)], "who else is near?");
    assert!(!table.handle_answer(at(2), contact, None), "not new any more");

    let other = somebody(2);
    table.handle_contact(at(2), other);
    assert_eq!(probes(&mut table, at(2)), [other]);
    table.handle_failure(at(3), &other.id());
    assert!(table.get(&other.id()).is_none() && table.homes.len() == 1);
}

#[test]
fn who_was_there_first_stays_until_it_fails_and_one_that_answers_takes_its_place() {
    let contacts = far(FARTHEST + 2);
    let mut table = table_of(&contacts);
    let (members, late) = contacts.split_at(FARTHEST);
    assert_eq!(table.len(), FARTHEST);
    assert_eq!(table.buckets[&0].candidates().len(), 2);
    assert_eq!(probes(&mut table, at(1)), [], "no place is free");

    for _ in 1..MAX_CONTACT_FAILURES {
        table.handle_failure(at(1), &members[5].id());
    }
    assert!(table.nearest(&HERE, 99).contains(&members[5]), "one lost packet is no death");
    table.handle_failure(at(2), &members[5].id());
    assert!(!table.nearest(&HERE, 99).contains(&members[5]));
    assert_eq!(probes(&mut table, at(2)), late[..1], "asked before it is believed");
    assert_eq!(table.len(), FARTHEST - 1);
    assert!(table.handle_answer(at(3), late[0], None));
    assert!(table.get(&members[5].id()).is_none());
    assert_eq!(table.len(), FARTHEST);
}

#[test]
fn who_fails_without_anybody_to_take_its_place_is_kept_and_may_come_back() {
    let contacts = far(3);
    let mut table = table_of(&contacts);
    for contact in &contacts {
        for _ in 0..5 {
            table.handle_failure(at(1), &contact.id());
        }
    }
    assert!(table.is_empty() && table.nearest(&HERE, 9).is_empty());
    let later = at(2) + CONTACT_CHECK_INTERVAL;
    assert_eq!(probes(&mut table, later).len(), 3, "an outage of our own looks like this");
    table.handle_answer(later, contacts[0], None);
    assert_eq!(table.nearest(&HERE, 9), contacts[..1]);
}

#[test]
fn one_network_gets_few_places_in_a_bucket_and_in_all_but_nearby_there_are_no_networks() {
    let mut table = RoutingTable::new(at(0), HERE);
    for n in 0..2_000 {
        let ip = [203, 0, 113, u8::try_from(n % 250).unwrap() + 1];
        table.handle_answer(at(0), contact(n, ip), None);
    }
    assert!(table.len() <= MAX_PER_NETWORK_IN_TABLE && table.crowded() > 1_900);
    for bucket in table.buckets.values() {
        assert!(bucket.members().len() <= MAX_PER_NETWORK_IN_BUCKET);
    }
    for near in [[127, 0, 0, 1], [10, 1, 2, 3]] {
        let mut table = RoutingTable::new(at(0), HERE);
        for n in 0..60 {
            table.handle_answer(at(0), contact(n, near), None);
        }
        assert!(table.len() > 30, "{}", table.len());
    }
}

#[test]
fn a_flood_of_names_fills_no_memory_replaces_nobody_and_makes_us_ask_one_a_second() {
    let members = far(FARTHEST);
    let mut table = table_of(&members);
    let mut asked = 0;
    for n in 0..3_000 {
        table.handle_contact(at(1), somebody(10_000 + n));
        for whom in probes(&mut table, at(1)) {
            asked += 1;
            table.handle_failure(at(1), &whom.id());
        }
    }
    assert!(asked <= CANDIDATE_BURST, "{asked}");
    for bucket in table.buckets.values() {
        assert!(bucket.candidates().len() <= BUCKET_CANDIDATES);
    }
    assert_eq!(table.len(), FARTHEST);
    assert!(members.iter().all(|member| table.nearest(&HERE, 99).contains(member)));
    let known: usize = table
        .buckets
        .values()
        .map(|bucket| bucket.members().len() + bucket.candidates().len())
        .sum();
    assert_eq!(table.homes.len(), known);
}

#[test]
fn what_answers_is_not_elsewhere_whoever_says_so_but_may_move_itself() {
    let contact = somebody(1);
    let elsewhere =
        Contact::new(*contact.key(), *contact.noise_static(), "99.9.9.9:1".parse().unwrap());
    let mut table = table_of(&[contact]);
    table.handle_contact(at(1), elsewhere);
    assert_eq!(table.nearest(&HERE, 2), [contact]);
    assert!(table.handle_answer(at(2), elsewhere, None));
    assert_eq!(table.nearest(&HERE, 2), [elsewhere]);
    assert_eq!(table.homes.len(), 1);
    for _ in 0..MAX_CONTACT_FAILURES {
        table.handle_failure(at(3), &contact.id());
    }
    table.handle_contact(at(4), contact);
    assert_eq!(probes(&mut table, at(4)), [contact], "it may have moved");
}

#[test]
fn a_silent_contact_is_asked_whether_it_is_there_and_buckets_are_looked_into() {
    let contacts: Vec<_> = (1..60).map(somebody).collect();
    let mut table = table_of(&contacts);
    let (mut rng, mut now) = (Seed::from_number(5).stream("table"), at(0));
    let (mut asked, mut places) = (BTreeSet::new(), Vec::new());
    let end = at(0) + BUCKET_REFRESH_INTERVAL;
    while now < end {
        let mut out = VecDeque::new();
        table.handle_timeout(now, &mut rng, &mut out);
        for wish in out {
            match wish {
                TableWish::Probe(contact) => {
                    asked.insert(contact);
                    table.handle_answer(now, contact, Some(Duration::from_millis(40)));
                }
                TableWish::LookUp(place) => places.push(place),
            }
        }
        let next = table.poll_timeout().unwrap();
        assert!(next >= now, "no time goes backwards");
        now = next.max(now + Duration::from_micros(1));
    }
    let all: BTreeSet<_> = table.members().map(|known| known.contact).collect();
    assert_eq!(asked, all);
    let own = places.iter().filter(|place| **place == HERE).count();
    assert!((4..=9).contains(&own), "{own} times its own place in an hour");
    // Into all that lack members, but not where our nearest neighbours are.
    let elsewhere = places.iter().filter(|place| **place != HERE);
    let looked: BTreeSet<_> = elsewhere.map(|place| HERE.distance(place).common_bits()).collect();
    assert_eq!(looked, table.gaps().into_iter().collect());
    assert!(looked.len() > 1 && !looked.contains(table.buckets.last_key_value().unwrap().0));
    assert!(places.len() < 40, "{}", places.len());
    let median = table.median_rtt().unwrap();
    assert!(median > Duration::from_millis(40) && median < Duration::from_millis(50));
}

#[test]
fn rows_are_those_of_the_members_and_bring_them_back_as_candidates() {
    let contacts: Vec<_> = (1..100).map(somebody).collect();
    let mut table = table_of(&contacts);
    let mut rows = BTreeMap::new();
    let mut apply = |table: &mut RoutingTable| {
        for change in table.take_changes() {
            match change.value {
                Some(value) => rows.insert(change.key, value.to_bytes()),
                None => rows.remove(&change.key),
            };
        }
        rows.clone()
    };
    let members: Vec<_> = table.members().map(|known| known.contact).collect();
    assert_eq!(apply(&mut table).len(), members.len());
    table.handle_move(at(1), Place::from_bytes([0xF0; 32]));
    let rows = apply(&mut table);
    assert!(table.members().all(|known| rows.contains_key(&known.contact.id().as_bytes()[..])));
    assert_eq!(
        table.members().map(|known| known.contact.id()).collect::<BTreeSet<_>>().len(),
        table.len()
    );

    let mut back = Vec::<Contact>::new();
    let network = NetworkId::from_name("test");
    for (key, value) in rows {
        let row = Row { table: &super::super::CONTACTS, key, value };
        back.load(row.clone(), &network).unwrap();
        back.load(Row { key: row.key.slice(1..), ..row.clone() }, &network).unwrap_err();
        back.load(Row { value: row.value.slice(1..), ..row }, &network).unwrap_err();
    }
    let mut again = RoutingTable::new(at(0), HERE);
    again.remember(at(0), back.clone());
    assert_eq!((again.len(), again.nearest(&HERE, 9)), (0, vec![]));
    let first = probes(&mut again, at(0));
    assert_eq!(first.len(), MAX_TABLE_PROBES);
    // Who is gone has no row any more.
    again.handle_failure(at(1), &first[0].id());
    let forgotten: Vec<_> = again.take_changes().into_iter().map(|change| change.key).collect();
    assert!(forgotten.iter().any(|key| key[..] == first[0].id().as_bytes()[..]));
    assert_eq!(again.homes.len() + forgotten.len(), back.len(), "no row without its contact");
}
