//! Keys that nobody here ever had to do with: they cost nothing, and get nothing.

use std::collections::VecDeque;

use super::{FORGED, VALID, at, close, config, new, node, observe, score, timeout};
use crate::{
    id::NodeId,
    limits::{BAN_DURATION, MAX_OBSERVED},
    misbehavior::{Misbehavior, Observation},
    time::Now,
    trust::{Trust, TrustEffect},
};

const EQUIVOCATED: Observation = Observation::Misbehaved(Misbehavior::Equivocation);

fn observe_stranger(
    trust: &mut Trust,
    now: Now,
    peer: NodeId,
    what: Observation,
) -> Vec<TrustEffect> {
    let mut out = VecDeque::new();
    trust.observe_stranger(now, peer, what, &mut out);
    out.into()
}

#[test]
fn ten_thousand_throwaway_keys_displace_nobody_and_leave_no_trace() {
    let mut trust = new(config());
    let (earned, banned) = (node(1), node(2));
    (0..1_000).for_each(|_| drop(observe(&mut trust, at(1), earned, VALID)));
    (0..2).for_each(|_| drop(observe(&mut trust, at(1), banned, FORGED)));
    let best = score(&trust, earned);
    assert!(best > 0.99);
    for number in 100..10_100 {
        for _ in 0..2 {
            let written = observe_stranger(&mut trust, at(2), node(number), EQUIVOCATED);
            let is_told = |effect: &TrustEffect| !matches!(effect, TrustEffect::Refuse(_));
            assert!(!written.iter().any(is_told), "{written:?}");
        }
    }
    assert!(close(score(&trust, earned), best));
    assert!(trust.standings().is_banned(&banned, at(3).wall));
    assert_eq!((trust.standings().len(), trust.bans().count()), (2, 1));
    assert!(trust.standings().is_banned(&node(10_099), at(3).wall), "the last is refused");
    assert!(!trust.standings().is_banned(&node(100), at(3).wall), "the first is forgotten");
}

#[test]
fn a_stranger_is_refused_for_as_long_as_anybody_and_what_it_did_stays_when_it_is_none() {
    let mut trust = new(config());
    let stranger = node(1);
    assert_eq!(observe_stranger(&mut trust, at(0), stranger, EQUIVOCATED), []);
    let before = score(&trust, stranger);
    assert_eq!(observe(&mut trust, at(1), stranger, VALID), []);
    assert!(close(score(&trust, stranger), before + 0.01), "it is acquainted now");

    let other = node(2);
    observe_stranger(&mut trust, at(0), other, EQUIVOCATED);
    let refused = observe_stranger(&mut trust, at(0), other, EQUIVOCATED);
    assert_eq!(refused, [TrustEffect::Refuse(other)]);
    assert_eq!(observe_stranger(&mut trust, at(1), other, EQUIVOCATED), [], "once");
    let is_banned = |trust: &Trust, millis| trust.standings().is_banned(&other, at(millis).wall);
    let over = u64::try_from(BAN_DURATION.as_millis()).unwrap();
    assert!(is_banned(&trust, over - 1) && !is_banned(&trust, over));
    observe_stranger(&mut trust, at(over), other, VALID);
    assert!(score(&trust, other) > config().min_threshold);
}

#[test]
fn the_ban_of_a_stranger_is_lifted_like_any() {
    let mut trust = new(config());
    (0..2).for_each(|_| drop(observe_stranger(&mut trust, at(0), node(1), EQUIVOCATED)));
    assert!(trust.unban(at(1), node(1), &mut VecDeque::new()));
    assert!(!trust.standings().is_banned(&node(1), at(1).wall));
    assert!(close(score(&trust, node(1)), config().initial_score));
    assert!(!trust.unban(at(1), node(1), &mut VecDeque::new()), "it was one already");
}

#[test]
fn bans_and_what_others_earned_do_not_push_each_other_out() {
    let mut trust = new(config());
    let earned = 1..=1_000;
    for number in earned.clone() {
        (0..100).for_each(|_| drop(observe(&mut trust, at(1), node(number), VALID)));
    }
    let crowd = MAX_OBSERVED as u64;
    for number in 0..2 * crowd {
        let now = at(2 + number);
        (0..2).for_each(|_| drop(observe(&mut trust, now, node(10_000 + number), FORGED)));
    }
    assert!(earned.clone().all(|number| score(&trust, node(number)) > 0.8));
    assert!(trust.standings().banned() > MAX_OBSERVED / 3);
    timeout(&mut trust, at(62_000));
    assert!(trust.standings().len() <= MAX_OBSERVED);
}

#[test]
fn who_did_one_wrong_each_and_what_others_earned_do_not_push_each_other_out() {
    let mut trust = new(config());
    let earned = 1..=1_000;
    for number in earned.clone() {
        (0..100).for_each(|_| drop(observe(&mut trust, at(1), node(number), VALID)));
    }
    let crowd = MAX_OBSERVED as u64;
    for number in 0..3 * crowd {
        observe(&mut trust, at(2 + number), node(10_000 + number), FORGED);
    }
    assert!(earned.clone().all(|number| score(&trust, node(number)) > 0.8));
    assert!(trust.standings().len() <= MAX_OBSERVED);

    let wrongs = |trust: &Trust| trust.standings().iter().filter(|(_, of)| of.score < 0.5).count();
    for number in 0..3 * crowd {
        observe(&mut trust, at(2 + 3 * crowd + number), node(100_000 + number), VALID);
    }
    assert!(wrongs(&trust) > MAX_OBSERVED / 3, "nor do they forget what was wrong");
}
