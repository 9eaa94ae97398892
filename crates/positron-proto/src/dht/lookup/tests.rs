use std::collections::BTreeSet;

use super::*;
use crate::identity::Identity;

const HEDGE: Duration = Duration::from_millis(100);
const TARGET: Place = Place::from_bytes([0; 32]);

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

fn contact(n: u8, addr: &str) -> Contact {
    Contact::new(*Identity::from_seed([n; 32]).public_key(), [n; 32], addr.parse().unwrap())
}

/// So many nodes of networks of their own, nearest to the target first.
fn nodes(n: u8) -> Vec<Contact> {
    let mut nodes: Vec<_> = (1..=n).map(|n| contact(n, &format!("11.{n}.0.1:8888"))).collect();
    nodes.sort_unstable_by_key(|node| TARGET.distance(&node.place()));
    nodes
}

fn lookup(wanted: usize, start: &[Contact]) -> Lookup {
    let me = Identity::from_seed([0xFF; 32]).node_id();
    Lookup::new(at(0), TARGET, wanted, start.to_vec(), me, HEDGE)
}

fn all_next(lookup: &mut Lookup, now: u64) -> Vec<Contact> {
    core::iter::from_fn(|| lookup.next(at(now))).collect()
}

#[test]
fn it_asks_the_nearest_a_few_at_a_time_and_ends_when_those_have_answered() {
    let nodes = nodes(20);
    let mut lookup = lookup(3, &nodes[10..14]);
    assert_eq!(all_next(&mut lookup, 0), nodes[10..13], "no more than are wanted");
    lookup.handle_answer(at(50), &nodes[12], nodes[..6].to_vec());
    assert_eq!(all_next(&mut lookup, 50), nodes[..2], "four at a time");
    for node in &nodes[10..12] {
        lookup.handle_answer(at(60), node, nodes[..6].to_vec());
    }
    assert_eq!(all_next(&mut lookup, 60), nodes[2..3]);
    for node in &nodes[..2] {
        lookup.handle_answer(at(70), node, vec![]);
    }
    assert!(!lookup.is_done() && lookup.poll_timeout() == Some(at(160)));
    lookup.handle_answer(at(80), &nodes[2], nodes.clone());
    assert!(lookup.is_done() && lookup.poll_timeout().is_none());
    assert_eq!(lookup.nearest(), [&nodes[..3], &nodes[10..13]].concat());
    assert_eq!((lookup.asked(), lookup.hops(), lookup.answered_among(4)), (6, 2, 3));
    let steps: Vec<_> = lookup.steps().collect();
    let after = Duration::from_millis(50);
    assert_eq!(steps[2].outcome, StepOutcome::Answered { after, new: 6 });
    assert_eq!((steps[0].hop, steps[3].hop, steps[3].at), (1, 2, at(50)));
}

#[test]
fn who_does_not_answer_holds_nothing_up_and_is_heard_if_it_does() {
    let nodes = nodes(12);
    let mut lookup = lookup(3, &nodes);
    assert_eq!(all_next(&mut lookup, 0), nodes[..3]);
    lookup.handle_answer(at(10), &nodes[1], vec![]);
    lookup.handle_answer(at(10), &nodes[2], vec![]);
    assert_eq!(all_next(&mut lookup, 99), []);
    assert_eq!(lookup.poll_timeout(), Some(at(100)));
    lookup.handle_timeout(at(100));
    assert_eq!(all_next(&mut lookup, 100), nodes[3..4], "the list is longer by one");
    lookup.handle_answer(at(120), &nodes[0], vec![]);
    assert!(lookup.is_done(), "the three nearest have answered after all");
    lookup.handle_answer(at(130), &nodes[3], vec![]);
    assert_eq!(lookup.nearest(), nodes[..4]);
}

#[test]
fn who_names_somebody_farther_and_not_another_that_is_near_leaves_it_out() {
    let nodes = nodes(9);
    let mut lookup = lookup(4, &nodes[..4]);
    all_next(&mut lookup, 0);
    // The first names all, the second nobody farther than those, and two name their friends only.
    lookup.handle_answer(at(10), &nodes[0], nodes.clone());
    lookup.handle_answer(at(10), &nodes[1], vec![nodes[0], nodes[2]]);
    lookup.handle_answer(at(10), &nodes[2], vec![nodes[3], nodes[8]]);
    lookup.handle_answer(at(10), &nodes[3], vec![nodes[2], nodes[8]]);
    assert!(lookup.is_done());
    assert_eq!(lookup.omissions(), Omissions { omitted: 4, of: 10 });
}

#[test]
fn an_answer_after_the_failure_of_its_question_counts() {
    let nodes = nodes(3);
    let mut lookup = lookup(3, &nodes[..1]);
    all_next(&mut lookup, 0);
    lookup.handle_failure(&nodes[0]);
    assert!(lookup.is_done() && lookup.nearest().is_empty());
    lookup.handle_answer(at(400), &nodes[0], nodes.clone());
    assert!(!lookup.is_done());
    assert_eq!(all_next(&mut lookup, 400), nodes[1..]);
}

#[test]
fn slow_nodes_are_waited_for_if_there_are_no_others_but_not_for_ever() {
    let nodes = nodes(3);
    let mut lookup = lookup(3, &nodes);
    all_next(&mut lookup, 0);
    lookup.handle_timeout(at(100));
    assert!(!lookup.is_done());
    let end = at(0) + LONGEST_LOOKUP;
    assert_eq!(lookup.poll_timeout(), Some(end));
    lookup.handle_timeout(end);
    assert!(lookup.is_done() && lookup.next(end).is_none() && lookup.poll_timeout().is_none());
}

#[test]
fn who_will_end_it_almost_surely_is_waited_for_alone_unless_something_was_lost() {
    let nodes = nodes(20);
    let goal = TARGET.distance(&nodes[3].place());
    for is_lossy in [false, true] {
        let start = &nodes[10..14];
        let mut lookup = lookup(8, start).with_width(2).ending_within(Some(goal));
        assert_eq!(all_next(&mut lookup, 0), start[..2]);
        if is_lossy {
            lookup.handle_failure(&start[1]);
            assert_eq!(all_next(&mut lookup, 10), start[2..], "one more in its stead");
        }
        lookup.handle_answer(at(50), &start[0], nodes[..6].to_vec());
        assert_eq!(all_next(&mut lookup, 50), nodes[..1]);
        if is_lossy {
            lookup.handle_answer(at(60), &start[2], vec![]);
            assert_eq!(all_next(&mut lookup, 60), nodes[1..2]);
            continue;
        }
        lookup.handle_answer(at(60), &start[1], vec![]);
        assert_eq!(all_next(&mut lookup, 60), [], "the nearest is asked");
        // Others, if it lets it wait.
        lookup.handle_timeout(at(150));
        assert_eq!(all_next(&mut lookup, 150), [&nodes[1..3], &start[2..3]].concat());
    }
}

#[test]
fn who_names_machines_that_know_nothing_of_it_makes_us_ask_three_of_them() {
    let nodes = nodes(40);
    let mut lookup = lookup(8, &nodes[30..32]);
    all_next(&mut lookup, 0);
    lookup.handle_answer(at(10), &nodes[31], nodes[..12].to_vec());
    let mut asked = 0;
    for now in (20..9_000).step_by(20) {
        lookup.handle_timeout(at(now));
        for victim in all_next(&mut lookup, now) {
            asked += 1;
            lookup.handle_failure(&victim);
        }
    }
    assert_eq!(asked, MAX_ASKED_OF_ONE_ANSWER);
    // What another names as well is not lost.
    lookup.handle_answer(at(9_000), &nodes[30], nodes[5..6].to_vec());
    assert_eq!(all_next(&mut lookup, 9_000), nodes[5..6]);
    // As soon as one of them lives, the others are worth a question; more at once than usual, since
    // so many were silent.
    lookup.handle_answer(at(9_010), &nodes[5], vec![]);
    let next = [&nodes[3..5], &nodes[6..WIDEST_LOOKUP + 4]].concat();
    assert_eq!(all_next(&mut lookup, 9_010), next);
}

#[test]
fn a_node_at_a_wrong_address_does_not_hide_it_at_the_right_one() {
    let [right, wrong] = ["11.0.0.1:8888", "12.0.0.1:1"].map(|addr| contact(1, addr));
    let nodes = nodes(30);
    let mut lookup = lookup(8, &nodes[28..]);
    all_next(&mut lookup, 0);
    lookup.handle_answer(at(10), &nodes[28], vec![wrong]);
    assert_eq!(all_next(&mut lookup, 10), [wrong]);
    lookup.handle_answer(at(20), &nodes[29], vec![right]);
    assert_eq!(all_next(&mut lookup, 20), [], "one question to one node at a time");
    lookup.handle_failure(&wrong);
    assert_eq!(all_next(&mut lookup, 30), [right]);
    lookup.handle_answer(at(40), &right, vec![]);
    assert!(lookup.is_done());
}

#[test]
fn nobody_far_away_makes_us_ask_our_own_network_or_ourselves() {
    let nodes = nodes(4);
    let mut lookup = lookup(8, &nodes[..1]);
    all_next(&mut lookup, 0);
    let near = ["127.0.0.1:1", "10.0.0.1:1", "[::1]:1", "11.9.9.9:0"];
    let near = near.into_iter().zip(100..).map(|(addr, n)| contact(n, addr));
    let me = contact(0xFF, "11.5.5.5:1");
    lookup.handle_answer(at(10), &nodes[0], near.chain([me, nodes[1]]).collect());
    assert_eq!(all_next(&mut lookup, 10), nodes[1..2]);
}

#[test]
fn whatever_liars_name_it_asks_and_knows_no_more_than_its_bounds() {
    let mut lookup = lookup(8, &nodes(1));
    let mut n = 0_u64;
    let mut asked = 0;
    while let Some(whom) = lookup.next(at(n)) {
        asked += 1;
        // Always new ones, each nearer than what was known.
        let named = (0..200_u32).map(|i| {
            let ip = core::net::Ipv4Addr::from(0x0B00_0000 + asked * 0x1_0000 + i * 256);
            Contact::new(*whom.key(), [1; 32], (ip, 1 + u16::try_from(i).unwrap()).into())
        });
        // The same key at other addresses: each is somebody else's only if the key is.
        let named = named.zip(1_u8..).map(|(named, i)| {
            let key = Identity::from_seed([i; 32]);
            Contact::new(*key.public_key(), [asked.to_be_bytes()[3]; 32], named.addr())
        });
        lookup.handle_answer(at(n), &whom, named.collect());
        n += 1;
    }
    assert!(lookup.asked() <= MAX_LOOKUP_QUESTIONS);
    assert!(lookup.known.len() <= MAX_LOOKUP_CONTACTS, "{}", lookup.known.len());
    assert!(lookup.lists.len() <= MAX_LOOKUP_QUESTIONS + 1);
}

#[test]
fn paths_share_no_node_and_each_ends_at_the_nearest_it_knows() {
    let nodes = nodes(30);
    let mut lookup = lookup(4, &nodes[26..30]).over_paths(4);
    let first = all_next(&mut lookup, 0);
    assert_eq!(first.iter().collect::<BTreeSet<_>>(), nodes[26..30].iter().collect());
    let paths: BTreeSet<_> = lookup.steps().map(|step| step.path).collect();
    assert_eq!(paths.len(), 4, "one each");
    // Three of them lie: they name each other's friends only. The fourth is honest.
    for liar in &nodes[27..30] {
        lookup.handle_answer(at(10), liar, nodes[10..14].to_vec());
    }
    lookup.handle_answer(at(10), &nodes[26], nodes[..4].to_vec());
    let mut honest = BTreeSet::new();
    for now in 11..100 {
        for whom in all_next(&mut lookup, now) {
            assert!(honest.insert(whom), "asked twice");
            let is_friend = nodes[10..14].contains(&whom);
            let named = if is_friend { nodes[10..14].to_vec() } else { nodes[..4].to_vec() };
            lookup.handle_answer(at(now), &whom, named);
        }
    }
    assert!(lookup.is_done());
    assert_eq!(lookup.nearest()[..4], nodes[..4]);
}
