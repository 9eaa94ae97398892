//! What others say of whom they trust: preferred for it are strangers, a little; judged is nobody.

use super::{FORGED, VALID, at, close, config, new, node, observe, score, timeout};
use crate::{
    id::NodeId,
    limits::{MAX_RECOMMENDED, MAX_RECOMMENDERS, MOST_BY_WORD, RECOMMENDATION_LIFETIME},
    trust::{Trust, TrustConfig},
    words::Recommendation,
};

/// Says that it trusts these as much as can be.
fn praise(trust: &mut Trust, second: u64, from: NodeId, nodes: impl IntoIterator<Item = u64>) {
    let word = |number| Recommendation { node: node(number), strength: u16::MAX };
    let recommended: Vec<Recommendation> = nodes.into_iter().map(word).collect();
    trust.handle_recommended(at(second * 1_000), from, &recommended);
}

fn does_well(trust: &mut Trust, peer: NodeId, times: usize) {
    (0..times).for_each(|_| drop(observe(trust, at(1), peer, VALID)));
}

fn regard(trust: &Trust, peer: NodeId) -> f64 {
    trust.standings().regard(&peer)
}

#[test]
fn a_word_of_the_best_raises_a_stranger_by_a_fifth_of_the_way_and_by_no_more() {
    let mut trust = new(config());
    does_well(&mut trust, node(1), 1_000);
    praise(&mut trust, 2, node(1), [9]);
    let raised = regard(&trust, node(9)) - 0.5;
    assert!(raised > 0.95 * MOST_BY_WORD * 0.5 && raised <= MOST_BY_WORD * 0.5, "{raised}");
    assert!(close(score(&trust, node(9)), 0.5), "its score is made of deeds");
    does_well(&mut trust, node(9), 1_000);
    assert!(close(regard(&trust, node(9)), score(&trust, node(9))), "deeds go before words");
}

#[test]
fn a_ring_of_fifty_that_praise_one_another_gains_nothing() {
    let mut trust = new(config());
    for member in 100..150 {
        praise(&mut trust, 2, node(member), (100..132).chain(118..150));
    }
    assert!((100..150).all(|member| close(regard(&trust, node(member)), 0.5)));
}

#[test]
fn a_ring_of_fifty_gains_no_more_than_the_one_of_them_that_earned_most_could_alone() {
    let (mut alone, mut ring) = (new(config()), new(config()));
    does_well(&mut alone, node(100), 40);
    praise(&mut alone, 2, node(100), [9]);
    for member in 100..150 {
        does_well(&mut ring, node(member), 40 - usize::try_from(member - 100).unwrap() / 2);
        praise(&mut ring, 2, node(member), (118..149).chain([9]));
    }
    assert!(close(regard(&ring, node(9)), regard(&alone, node(9))));
    assert!(regard(&ring, node(9)) > 0.5);
}

#[test]
fn words_raise_nobody_who_did_wrong_and_lift_no_ban() {
    let mut trust = new(config());
    does_well(&mut trust, node(1), 1_000);
    observe(&mut trust, at(1), node(8), FORGED);
    (0..2).for_each(|_| drop(observe(&mut trust, at(1), node(9), FORGED)));
    praise(&mut trust, 2, node(1), [8, 9]);
    assert!(close(regard(&trust, node(8)), score(&trust, node(8))));
    assert!(trust.standings().is_banned(&node(9), at(3).wall));
}

#[test]
fn no_word_lowers_anybody() {
    let mut trust = new(config());
    does_well(&mut trust, node(1), 1_000);
    does_well(&mut trust, node(9), 20);
    let before = regard(&trust, node(9));
    let least = Recommendation { node: node(9), strength: 0 };
    trust.handle_recommended(at(2), node(1), &[least]);
    assert!(close(regard(&trust, node(9)), before));
}

#[test]
fn of_a_recommender_the_last_word_counts_for_a_day_and_none_once_it_did_wrong() {
    let mut trust = new(TrustConfig::default());
    does_well(&mut trust, node(1), 1_000);
    praise(&mut trust, 2, node(1), [8]);
    praise(&mut trust, 3, node(1), [9]);
    assert!(close(regard(&trust, node(8)), 0.5) && regard(&trust, node(9)) > 0.5);
    let day = RECOMMENDATION_LIFETIME.as_secs();
    for hour in (3_600..=day).step_by(3_600) {
        timeout(&mut trust, at(1_000 * hour + 1));
    }
    assert!(regard(&trust, node(9)) > 0.5, "it is not a day old");
    timeout(&mut trust, at(1_000 * (day + 3_600) + 2));
    assert!(close(regard(&trust, node(9)), 0.5));

    praise(&mut trust, 2 * day, node(1), [9]);
    assert!(regard(&trust, node(9)) > 0.5);
    (0..2).for_each(|_| drop(observe(&mut trust, at(1), node(1), FORGED)));
    assert!(close(regard(&trust, node(9)), 0.5));
}

#[test]
fn who_has_earned_nothing_takes_no_place_of_others_and_places_are_bounded() {
    let mut trust = new(config());
    does_well(&mut trust, node(1), 100);
    praise(&mut trust, 2, node(1), [9]);
    for stranger in 1_000..11_000 {
        praise(&mut trust, 3, node(stranger), 2_000..2_200);
    }
    assert!(regard(&trust, node(9)) > 0.5);
    for other in 100..300 {
        does_well(&mut trust, node(other), 1);
        praise(&mut trust, other, node(other), [7, other + 1]);
    }
    let heard: Vec<_> =
        trust.account(at(400), &node(7)).words.iter().map(|word| word.from).collect();
    assert_eq!(heard.len(), MAX_RECOMMENDERS - 1, "one place is the better one's");
    assert!(heard.contains(&node(299)) && !heard.contains(&node(100)), "of equals the last stay");
}

#[test]
fn a_crowd_that_did_one_good_thing_each_drowns_no_word_of_somebody_better() {
    let mut trust = new(config());
    does_well(&mut trust, node(1), 100);
    praise(&mut trust, 2, node(1), [9]);
    let before = regard(&trust, node(9));
    for other in 100..300 {
        does_well(&mut trust, node(other), 1);
        praise(&mut trust, other, node(other), [7]);
    }
    assert!(close(regard(&trust, node(9)), before));

    for other in 300..300 + MAX_RECOMMENDERS as u64 {
        does_well(&mut trust, node(other), 200);
        praise(&mut trust, other, node(other), [8]);
    }
    assert!(close(regard(&trust, node(9)), 0.5), "who did more is heard instead");
    praise(&mut trust, 900, node(1), [9]);
    assert!(close(regard(&trust, node(9)), 0.5), "and gives no place to who did less");
}

#[test]
fn whom_a_node_recommends_did_well_itself_and_words_make_no_chains() {
    let mut trust = new(config());
    for member in 1..=40 {
        does_well(&mut trust, node(member), 100 + usize::try_from(member).unwrap());
        praise(&mut trust, 2, node(member), [90, 91]);
    }
    does_well(&mut trust, node(91), 10);
    (0..2).for_each(|_| drop(observe(&mut trust, at(1), node(40), FORGED)));
    let recommended = trust.recommended();
    assert_eq!(recommended.len(), MAX_RECOMMENDED);
    let best: Vec<NodeId> = (8..=39).rev().map(node).collect();
    assert!(recommended.iter().map(|word| word.node).eq(best), "{recommended:?}");
    assert!(recommended.iter().all(|word| word.share() >= 0.4));
}

#[test]
fn an_account_says_whose_words_there_are_and_what_each_weighs() {
    let mut trust = new(config());
    does_well(&mut trust, node(1), 10);
    does_well(&mut trust, node(2), 100);
    praise(&mut trust, 2, node(1), [9]);
    praise(&mut trust, 2, node(2), [9]);
    let account = trust.account(at(3), &node(9));
    assert!(account.words.iter().map(|word| word.from).eq([node(2), node(1)]));
    let best = &account.words[0];
    let said = 0.5 + MOST_BY_WORD * 0.5 * best.weight * best.strength;
    assert!(close(account.regard, said) && close(account.standing.score, 0.5), "{account:?}");
}
