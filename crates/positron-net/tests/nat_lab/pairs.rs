//! Two homes: which can reach each other through holes in both routers, with single datagrams.

use crate::{
    fixture::SOON,
    lab::{Home, Lab},
    nat_type::NatType,
    probes::{QUIET, one_answers, say_not_far, seen},
};

#[test]
fn openers_and_probes_connect_the_pairs_that_theory_says_and_no_others() {
    let Some(lab) = Lab::new() else { return };
    let observer = lab.public[0].udp(0);
    let opens_and_answers = |one: &Home, other: &Home, patience| {
        let (a, b) = (one.udp(0), other.udp(0));
        let (at_a, at_b) = (seen(&a, &observer), seen(&b, &observer));
        say_not_far(&a, "opener", at_b, one.nat.opener_ttl());
        say_not_far(&b, "opener", at_a, other.nat.opener_ttl());
        one_answers([(&a, at_a), (&b, at_b)], patience)
    };
    let kinds: Vec<NatType> = NatType::with_udp().collect();
    let homes: Vec<Home> = kinds.iter().map(|nat| lab.home(*nat)).collect();
    for (number, one) in homes.iter().enumerate() {
        let twin = lab.home(one.nat);
        for other in homes[number + 1..].iter().chain([&twin]) {
            let expected = one.nat.punches_with(other.nat);
            let patience = if expected { SOON } else { QUIET };
            let connected = opens_and_answers(one, other, patience);
            assert_eq!(connected, expected, "{} with {}", one.nat, other.nat);
        }
    }
}

#[test]
fn of_two_homes_of_each_type_132_pairs_of_190_can_punch_holes_and_20_can_search() {
    let homes = [NatType::ALL, NatType::ALL].concat();
    let pairs = homes.iter().enumerate().flat_map(|(number, one)| {
        homes[number + 1..].iter().map(|other| (*one, *other)).collect::<Vec<_>>()
    });
    let pairs: Vec<_> = pairs.collect();
    let count = |can: fn(NatType, NatType) -> bool| {
        pairs.iter().filter(|(one, other)| can(*one, *other)).count()
    };
    let (punch, search) = (count(NatType::punches_with), count(NatType::searches_with));
    assert_eq!((punch, search, pairs.len()), (132, 20, 190));
    let both = |one: NatType, other| one.punches_with(other) && one.searches_with(other);
    assert_eq!(count(both), 0);
}
