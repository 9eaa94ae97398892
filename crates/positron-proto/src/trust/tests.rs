//! Stories about scores.

mod strangers;
mod words;

use std::{collections::VecDeque, net::IpAddr};

use super::{AddressBan, RememberedTrust, Trust, TrustConfig, TrustEffect, TrustEvent};
use crate::{
    id::NodeId,
    limits::{
        AUDIT_INTERVAL, BAN_DURATION, LONGEST_BAN, MAX_ADDRESS_BANS, MAX_AUDIT_SUMS, MAX_OBSERVED,
        MAX_ORDERED_BANS,
    },
    misbehavior::{BanReason, Misbehavior, Observation},
    standings::PeerTrust,
    subnet::Subnet,
    time::{Duration, Instant, Now, WallTime},
};

const VALID: Observation = Observation::ValidMessage;
const FORGED: Observation = Observation::Misbehaved(Misbehavior::ForgedSignature);
const WITHHELD: Observation = Observation::Misbehaved(Misbehavior::WithheldMessage);

/// The founding document's numbers, in a time that passes faster.
fn config() -> TrustConfig {
    TrustConfig { decay_interval: Duration::from_secs(60), ..TrustConfig::default() }
}

fn node(number: u64) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn at(millis: u64) -> Now {
    let start = 1_700_000_000_000_000;
    Now {
        mono: Instant::from_micros(millis * 1000),
        wall: WallTime::from_unix_micros(start + millis * 1000),
    }
}

fn new(config: TrustConfig) -> Trust {
    Trust::new(config, Vec::new(), at(0))
}

fn observe(trust: &mut Trust, now: Now, peer: NodeId, what: Observation) -> Vec<TrustEffect> {
    let mut out = VecDeque::new();
    trust.observe(now, peer, what, &mut out);
    out.into()
}

fn timeout(trust: &mut Trust, now: Now) -> Vec<TrustEffect> {
    let mut out = VecDeque::new();
    trust.handle_timeout(now, &mut out);
    out.into()
}

fn score(trust: &Trust, peer: NodeId) -> f64 {
    trust.standings().of(&peer).score
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn each_observation_moves_a_strangers_score_by_its_weight() {
    use Misbehavior as M;
    let wrong = Observation::Misbehaved;
    let table = [
        (VALID, 0.51),
        (Observation::Answered, 0.505),
        (Observation::TimedOut, 0.495),
        (Observation::Reported, 0.4),
        (wrong(M::WithheldMessage), 0.475),
        (wrong(M::Flooding), 0.45),
        (wrong(M::FalseAddress), 0.45),
        (wrong(M::Malformed), 0.3),
        (wrong(M::ProtocolViolation), 0.3),
        (wrong(M::ForgedSignature), 0.1),
        (wrong(M::Equivocation), 0.1),
    ];
    for (what, expected) in table {
        let mut trust = new(config());
        observe(&mut trust, at(0), node(1), what);
        assert!(close(score(&trust, node(1)), expected), "{}", what.name());
        assert!(!trust.standings().is_banned(&node(1), at(0).wall), "{}", what.name());
    }
}

#[test]
fn strangers_are_banned_after_as_many_wrongs_as_the_table_says() {
    use Misbehavior as M;
    let table = [
        (M::ForgedSignature, 2),
        (M::Equivocation, 2),
        (M::Malformed, 3),
        (M::ProtocolViolation, 3),
        (M::Flooding, 9),
        (M::FalseAddress, 9),
        (M::WithheldMessage, 17),
    ];
    for (wrong, times) in table {
        let mut trust = new(config());
        let banned = (1..100).find(|_| {
            let out = observe(&mut trust, at(0), node(1), Observation::Misbehaved(wrong));
            out.iter().any(|out| matches!(out, TrustEffect::Ban { .. }))
        });
        assert_eq!(banned, Some(times), "{}", wrong.name());
    }
}

#[test]
fn whoever_signs_two_contents_is_at_the_ban_however_much_good_it_did() {
    let mut trust = new(config());
    for _ in 0..1_000 {
        observe(&mut trust, at(0), node(1), VALID);
    }
    let contradicted = Observation::Misbehaved(Misbehavior::Equivocation);
    let out = observe(&mut trust, at(0), node(1), contradicted);
    assert!(close(score(&trust, node(1)), config().min_threshold));
    assert!(!out.iter().any(|out| matches!(out, TrustEffect::Ban { .. })), "a backup does it once");
    let out = observe(&mut trust, at(0), node(1), contradicted);
    assert!(out.iter().any(|out| matches!(out, TrustEffect::Ban { .. })));
}

#[test]
fn good_behaviour_saturates_at_the_highest_score() {
    let mut trust = new(config());
    for _ in 0..10_000 {
        observe(&mut trust, at(0), node(1), VALID);
    }
    assert!(close(score(&trust, node(1)), 1.0));
    assert!(score(&trust, node(1)) <= 1.0);
}

#[test]
fn silence_alone_bans_nobody() {
    let mut trust = new(config());
    for _ in 0..1_000 {
        let out = observe(&mut trust, at(0), node(1), Observation::TimedOut);
        assert!(out.is_empty());
    }
    assert!(close(score(&trust, node(1)), 0.1));
}

#[test]
fn scores_drift_back_to_a_strangers_and_are_then_forgotten() {
    let mut trust = new(TrustConfig { decay_rate: 0.5, ..config() });
    for _ in 0..20 {
        observe(&mut trust, at(0), node(1), VALID);
    }
    let before = score(&trust, node(1));
    let out = timeout(&mut trust, at(60_000));
    assert!(close(score(&trust, node(1)) - 0.5, (before - 0.5) / 2.0));
    let [TrustEffect::Record(event), TrustEffect::Remember(known)] = out.as_slice() else {
        panic!("{out:?}");
    };
    assert_eq!((event.observation, known.peer), (VALID, node(1)));
    assert!(close(event.change, before - 0.5), "routine is summed up");

    let mut out = Vec::new();
    for minute in 2..20 {
        out.extend(timeout(&mut trust, at(60_000 * minute)));
    }
    assert_eq!(out, [TrustEffect::Forget(node(1))]);
    assert!(trust.standings().is_empty());
    assert_eq!(trust.poll_timeout(), None, "nobody is left to decay");
}

#[test]
fn a_ban_is_told_once_remembered_at_once_and_ends_just_above_the_threshold() {
    let mut trust = new(config());
    observe(&mut trust, at(0), node(1), FORGED);
    let out = observe(&mut trust, at(0), node(1), FORGED);
    let until = at(0).wall + BAN_DURATION;
    let why = BanReason::Observed(FORGED);
    let bans = out.iter().filter(|out| matches!(out, TrustEffect::Ban { .. })).count();
    assert_eq!(bans, 1);
    assert!(out.contains(&TrustEffect::Ban { peer: node(1), until, why }));
    let is_ban = |effect: &TrustEffect| match effect {
        TrustEffect::Remember(known) => known.standing.banned_until == Some(until),
        _ => false,
    };
    let remembered = out.iter().any(is_ban);
    assert!(remembered, "{out:?}");
    assert!(trust.standings().is_banned(&node(1), at(0).wall));
    assert_eq!(observe(&mut trust, at(1), node(1), FORGED), [], "a banned peer changes nothing");
    assert_eq!(observe(&mut trust, at(1), node(1), VALID), []);

    let over = at(3_600_000);
    let out = timeout(&mut trust, over);
    assert!(!trust.standings().is_banned(&node(1), over.wall));
    assert!(close(score(&trust, node(1)), 0.2));
    assert!(out.iter().any(|out| matches!(out, TrustEffect::Remember(known)
        if known.standing.banned_until.is_none())));
    observe(&mut trust, over, node(1), VALID);
    assert!(close(score(&trust, node(1)), 0.21));
}

#[test]
fn a_ban_survives_a_restart_but_never_grows() {
    let remembered = |until| RememberedTrust {
        peer: node(1),
        standing: PeerTrust { score: 0.05, banned_until: Some(until) },
        at: at(0).wall,
        ordered: None,
    };
    let until = at(500).wall;
    let trust = Trust::new(config(), vec![remembered(until)], at(0));
    assert!(trust.standings().is_banned(&node(1), at(499).wall));
    assert!(!trust.standings().is_banned(&node(1), at(500).wall));
    assert_eq!(trust.poll_timeout(), Some(at(500).mono));

    let far = WallTime::from_unix_micros(u64::MAX);
    let trust = Trust::new(config(), vec![remembered(far)], at(0));
    let until = trust.standings().of(&node(1)).banned_until;
    assert_eq!(until, Some(at(0).wall + BAN_DURATION), "the clock was wrong when it was written");

    let past = WallTime::from_unix_micros(5);
    let mut trust = Trust::new(config(), vec![remembered(past)], at(0));
    assert!(!trust.standings().is_banned(&node(1), at(0).wall));
    let out = observe(&mut trust, at(0), node(1), VALID);
    assert_eq!(out, [], "what ended while we were away is no reason for a new ban");
}

#[test]
fn a_ban_lasts_as_long_as_it_should_when_the_wall_clock_is_put_back_meanwhile() {
    let mut trust = new(config());
    while !trust.standings().is_banned(&node(1), at(0).wall) {
        observe(&mut trust, at(0), node(1), FORGED);
    }
    let served = u64::try_from(BAN_DURATION.as_millis()).unwrap();
    let half_a_century = Duration::from_secs(50 * 365 * 86_400);
    let put_back = |millis| Now { wall: at(millis).wall - half_a_century, ..at(millis) };
    timeout(&mut trust, put_back(served - 1));
    assert!(trust.standings().is_banned(&node(1), put_back(served - 1).wall));
    timeout(&mut trust, put_back(served));
    assert!(!trust.standings().is_banned(&node(1), put_back(served).wall));
}

#[test]
fn a_score_decays_while_the_node_is_off() {
    let standing = PeerTrust { score: 1.0, banned_until: None };
    let remembered = RememberedTrust { peer: node(1), standing, at: at(0).wall, ordered: None };
    let halving = TrustConfig { decay_rate: 0.5, ..config() };
    let trust = Trust::new(halving, vec![remembered], at(180_000));
    assert!(close(score(&trust, node(1)), 0.5 + 0.5 / 8.0));
}

#[test]
fn a_flood_of_wrongs_makes_one_event_a_second_and_loses_no_change() {
    let patient = TrustConfig { penalty_invalid: 1e-6, ..config() };
    let mut trust = new(patient);
    let mut out = Vec::new();
    for milli in 0..10_000 {
        out.extend(observe(&mut trust, at(milli), node(1), WITHHELD));
        out.extend(timeout(&mut trust, at(milli)));
    }
    out.extend(timeout(&mut trust, at(11_000)));
    out.extend(timeout(&mut trust, at(13_000)));
    let events = out.iter().filter_map(|out| match out {
        TrustEffect::Record(event) => Some(event),
        _ => None,
    });
    let events: Vec<&TrustEvent> = events.collect();
    assert_eq!(events.len(), 11);
    let sum: f64 = events.iter().map(|event| event.change).sum();
    assert!(close(sum, score(&trust, node(1)) - 0.5));
}

#[test]
fn many_wrongdoers_at_once_make_bounded_events_and_bounded_memory() {
    let mut trust = new(config());
    let mut events = 0;
    for number in 0..100_000 {
        let out = observe(&mut trust, at(0), node(number), WITHHELD);
        events += out.iter().filter(|out| matches!(out, TrustEffect::Record(_))).count();
    }
    assert_eq!(events, MAX_AUDIT_SUMS);
    assert!(trust.standings().len() <= MAX_OBSERVED);
    let out = timeout(&mut trust, at(1_000));
    assert!(out.len() <= MAX_AUDIT_SUMS);
}

#[test]
fn bans_and_telling_scores_outlive_a_crowd_of_strangers() {
    let mut trust = new(config());
    for _ in 0..2 {
        observe(&mut trust, at(0), node(u64::MAX), FORGED);
    }
    for _ in 0..200 {
        observe(&mut trust, at(0), node(u64::MAX - 1), VALID);
    }
    for number in 0..20_000 {
        observe(&mut trust, at(1), node(number), VALID);
    }
    assert!(trust.standings().is_banned(&node(u64::MAX), at(1).wall));
    assert!(score(&trust, node(u64::MAX - 1)) > 0.9);
}

#[test]
fn standings_are_written_in_batches() {
    let mut trust = new(config());
    for number in 0..100 {
        assert_eq!(observe(&mut trust, at(0), node(number), VALID), []);
    }
    assert_eq!(timeout(&mut trust, at(59_000)), []);
    let remembered =
        |out: &[TrustEffect]| out.iter().filter(|o| matches!(o, TrustEffect::Remember(_))).count();
    assert_eq!(remembered(&timeout(&mut trust, at(60_000))), 100);
    assert_eq!(remembered(&timeout(&mut trust, at(120_000))), 0, "nothing changed but by drifting");
}

#[test]
fn a_configuration_of_nonsense_bans_no_stranger_and_makes_no_nonsense() {
    let nonsense = TrustConfig {
        banned_addresses: Vec::new(),
        initial_score: f64::NAN,
        min_threshold: f64::INFINITY,
        max_score: -1.0,
        decay_rate: f64::NAN,
        decay_interval: Duration::ZERO,
        boost_message: f64::NEG_INFINITY,
        penalty_invalid: f64::NAN,
    };
    let mut trust = new(nonsense);
    for milli in 0..5_000 {
        observe(&mut trust, at(milli), node(1), VALID);
        observe(&mut trust, at(milli), node(2), Observation::TimedOut);
        timeout(&mut trust, at(milli));
        for peer in [node(1), node(2)] {
            let PeerTrust { score, banned_until } = trust.standings().of(&peer);
            assert!((0.0..=1.0).contains(&score) && banned_until.is_none());
        }
    }
}

#[test]
fn an_idle_machine_never_wakes() {
    let trust = new(config());
    assert_eq!(trust.poll_timeout(), None);
    let mut trust = new(config());
    observe(&mut trust, at(0), node(1), WITHHELD);
    assert_eq!(trust.poll_timeout(), Some(at(0).mono + AUDIT_INTERVAL));
    timeout(&mut trust, at(1_000));
    assert_eq!(trust.poll_timeout(), Some(at(60_000).mono));
}

fn ban(trust: &mut Trust, now: Now, peer: NodeId, lasts: Duration) -> Option<Vec<TrustEffect>> {
    let mut out = VecDeque::new();
    trust.ban(now, peer, "sold us a horse".into(), lasts, &mut out).then(|| out.into())
}

fn remembered(out: &[TrustEffect]) -> Vec<RememberedTrust> {
    let known = |out: &TrustEffect| match out {
        TrustEffect::Remember(known) => Some(known.clone()),
        _ => None,
    };
    out.iter().filter_map(known).collect()
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[test]
fn the_application_bans_whom_it_likes_and_that_is_remembered_with_its_words() {
    let mut trust = new(config());
    let good = score(&trust, node(1));
    let out = ban(&mut trust, at(0), node(1), YEAR).unwrap();
    let until = at(0).wall + YEAR;
    let why = BanReason::Ordered("sold us a horse".into());
    assert!(out.contains(&TrustEffect::Ban { peer: node(1), until, why }));
    assert_eq!(observe(&mut trust, at(1), node(1), VALID), [], "good behaviour lifts no ban");
    // A year is longer than a ban for a score ever is.
    let mut trust = Trust::new(config(), remembered(&out), at(5_000_000));
    assert!(trust.standings().is_banned(&node(1), at(0).wall + YEAR / 2));
    let late = at(5_000_000);
    let over = Now { mono: late.mono + YEAR, wall: late.wall + YEAR };
    timeout(&mut trust, over);
    assert!(!trust.standings().is_banned(&node(1), over.wall));
    assert!(close(score(&trust, node(1)), good), "its score was none the worse for it");
}

#[test]
fn unban_lifts_any_ban_and_a_later_ban_replaces_an_earlier_one() {
    let mut trust = new(config());
    observe(&mut trust, at(0), node(1), FORGED);
    observe(&mut trust, at(0), node(1), FORGED);
    ban(&mut trust, at(0), node(2), Duration::MAX).unwrap();
    assert_eq!(trust.standings().of(&node(2)).banned_until, Some(at(0).wall + LONGEST_BAN));
    ban(&mut trust, at(0), node(2), Duration::from_secs(5)).unwrap();
    assert!(!trust.standings().is_banned(&node(2), at(5_000).wall));
    for banned in [1, 2] {
        let mut out = VecDeque::new();
        assert!(trust.unban(at(1), node(banned), &mut out));
        assert!(!trust.standings().is_banned(&node(banned), at(1).wall));
        let [known] = &remembered(out.make_contiguous())[..] else { panic!("{out:?}") };
        assert_eq!((known.standing.banned_until, &known.ordered), (None, &None));
        assert!(!trust.unban(at(1), node(banned), &mut out), "nothing is left to lift");
    }
    // Its ban is for a score again.
    for _ in 0..2 {
        observe(&mut trust, at(2), node(2), FORGED);
    }
    assert_eq!(trust.standings().of(&node(2)).banned_until, Some(at(2).wall + BAN_DURATION));
}

#[test]
fn reports_ban_a_stranger_at_the_fifth_and_say_the_words_of_the_last() {
    let mut trust = new(config());
    let mut out = VecDeque::new();
    for time in 1..=5 {
        let banned = out.iter().any(|out| matches!(out, TrustEffect::Ban { .. }));
        assert!(!banned, "before report {time}");
        trust.report(at(0), node(1), format!("for the {time}. time").into(), &mut out);
    }
    let (until, why) = (at(0).wall + BAN_DURATION, BanReason::Reported("for the 5. time".into()));
    assert!(out.contains(&TrustEffect::Ban { peer: node(1), until, why }));
    let Some(TrustEffect::Record(event)) = out.front() else { panic!("{out:?}") };
    assert_eq!(event.observation, Observation::Reported, "the audit trail has it");
}

#[test]
fn bans_by_the_application_are_bounded_and_give_way_to_nobody() {
    let mut trust = new(config());
    let ordered = u64::try_from(MAX_ORDERED_BANS).unwrap();
    let short = Duration::from_secs(600);
    for number in 0..ordered {
        ban(&mut trust, at(0), node(number), short).unwrap();
    }
    assert_eq!(ban(&mut trust, at(0), node(ordered), short), None);
    assert!(ban(&mut trust, at(0), node(0), short).is_some(), "who is banned may be again");
    for number in 100_000..120_000 {
        observe(&mut trust, at(1), node(number), FORGED);
        observe(&mut trust, at(1), node(number), FORGED);
    }
    assert!(trust.standings().len() <= MAX_OBSERVED);
    assert!((0..ordered).all(|peer| trust.standings().is_banned(&node(peer), at(1).wall)));
}

#[test]
fn a_spared_peer_is_banned_by_nobody_but_the_application() {
    let (mut trust, mut out) = (new(config()), VecDeque::new());
    observe(&mut trust, at(0), node(1), FORGED);
    observe(&mut trust, at(0), node(1), FORGED);
    assert!(trust.spare(at(0), node(1), &mut out), "a ban for a score is lifted");
    for _ in 0..10 {
        observe(&mut trust, at(1), node(1), FORGED);
    }
    assert!(!trust.standings().is_banned(&node(1), at(1).wall));
    assert!(close(score(&trust, node(1)), 0.1), "its score falls all the same");
    ban(&mut trust, at(2), node(1), YEAR).unwrap();
    assert!(trust.standings().is_banned(&node(1), at(2).wall));
    assert!(!trust.spare(at(3), node(1), &mut out), "the application has to lift its own ban");
    trust.unban(at(4), node(1), &mut out);
    for _ in 0..2 {
        observe(&mut trust, at(5), node(1), FORGED);
    }
    assert!(trust.standings().is_banned(&node(1), at(5).wall), "the ban ended the favour");
}

#[test]
fn a_ban_of_addresses_is_one_until_it_is_served_by_the_clock_that_nobody_sets() {
    let (mut trust, mut out) = (new(config()), VecDeque::new());
    let addresses: Subnet = "203.0.113.0/24".parse().unwrap();
    let there = "203.0.113.7".parse().unwrap();
    let lasts = Duration::from_secs(60);
    assert!(trust.ban_address(at(0), addresses, "scans us".into(), lasts, &mut out));
    let ban = AddressBan { addresses, until: at(60_000).wall, why: "scans us".into() };
    assert_eq!(out, [TrustEffect::BanAddress(ban.clone())]);
    assert_eq!(timeout(&mut trust, at(59_999)), []);
    assert!(trust.standings().bans_address(there));
    let half_a_century = Duration::from_secs(50 * 365 * 86_400);
    let put_back = Now { wall: at(60_000).wall - half_a_century, ..at(60_000) };
    assert_eq!(timeout(&mut trust, put_back), [TrustEffect::UnbanAddress(addresses)]);
    assert!(!trust.standings().bans_address(there));

    // What was over while the node was off is forgotten at once.
    let mut trust = new(config()).with_address_bans(vec![ban], at(70_000));
    assert_eq!(timeout(&mut trust, at(70_001)), [TrustEffect::UnbanAddress(addresses)]);
}

#[test]
fn bans_of_addresses_are_bounded_and_those_of_the_configuration_are_not_written_down() {
    let configured = Subnet::from(IpAddr::from([203, 0, 113, 7]));
    let config = TrustConfig { banned_addresses: vec![configured], ..config() };
    let mut trust = new(config).with_address_bans(Vec::new(), at(0));
    let mut out = VecDeque::new();
    let nth = |n: u32| Subnet::from(IpAddr::from(n.to_be_bytes()));
    let mut ban = |trust: &mut Trust, addresses| {
        trust.ban_address(at(0), addresses, "".into(), LONGEST_BAN * 2, &mut out)
    };
    let most = u32::try_from(MAX_ADDRESS_BANS).unwrap();
    assert!((1..most).all(|n| ban(&mut trust, nth(n))));
    assert!(!ban(&mut trust, nth(most)), "one too many");
    assert!(ban(&mut trust, nth(1)), "in place of that one");
    assert_eq!(out.len(), MAX_ADDRESS_BANS);
    assert!(trust.address_bans().all(|ban| ban.until == at(0).wall + LONGEST_BAN));
    assert!(trust.unban_address(configured, &mut out));
    assert!(!trust.unban_address(configured, &mut out));
    assert!(!trust.standings().bans_address(configured.parts().0));
}

fn succeed(trust: &mut Trust, now: Now, old: u64, new: u64) -> Vec<TrustEffect> {
    let mut out = VecDeque::new();
    trust.succeed(now, node(old), node(new), &mut out);
    out.into()
}

#[test]
fn a_stranger_inherits_a_score_and_of_two_the_lower_one_stays() {
    for (old, own, heir) in [(40, 0, 40), (40, 10, 10), (10, 40, 10), (0, 40, 40)] {
        let mut trust = of_both(old, own);
        let of = |count| score(&of_both(count, 0), node(1));
        succeed(&mut trust, at(1), 1, 2);
        assert!(close(score(&trust, node(2)), of(heir)), "{old} and {own}");
        assert_eq!(trust.standings().len(), 1, "nothing is left of the old one");
    }
}

fn of_both(first: u64, second: u64) -> Trust {
    let mut trust = new(config());
    for (peer, count) in [(1, first), (2, second)] {
        for _ in 0..count {
            observe(&mut trust, at(0), node(peer), VALID);
        }
    }
    trust
}

#[test]
fn a_ban_follows_and_the_later_one_of_two_stays() {
    let (long, short) = (Some(500), Some(300));
    for (old, heir) in [(long, None), (None, long), (short, long), (long, short)] {
        let mut trust = new(config());
        for (peer, secs) in [(1, old), (2, heir)] {
            if let Some(secs) = secs {
                ban(&mut trust, at(0), node(peer), Duration::from_secs(secs)).unwrap();
            }
        }
        let told = succeed(&mut trust, at(1), 1, 2);
        let until = trust.standings().of(&node(2)).banned_until;
        assert_eq!(until, Some(at(0).wall + Duration::from_secs(500)), "{old:?} {heir:?}");
        let kept = told.iter().any(|effect| {
            matches!(effect, TrustEffect::Remember(known) if known.peer == node(2)
                && known.ordered.is_some() && known.standing.banned_until == until)
        });
        assert!(kept || old.is_none(), "{told:?}");
        // It ends when it would have ended.
        timeout(&mut trust, at(499_000));
        assert!(trust.standings().is_banned(&node(2), at(499_000).wall));
        timeout(&mut trust, at(501_000));
        assert_eq!(trust.standings().banned(), 0);
    }
}

#[test]
fn a_ban_for_a_score_follows_but_for_who_is_never_banned_for_one() {
    for (spared, banned) in [(None, true), (Some(1), false), (Some(2), false)] {
        let mut trust = new(config());
        for _ in 0..2 {
            observe(&mut trust, at(0), node(1), FORGED);
        }
        if let Some(peer) = spared {
            trust.spare(at(0), node(peer), &mut VecDeque::new());
        }
        let told = succeed(&mut trust, at(1), 1, 2);
        assert_eq!(trust.standings().is_banned(&node(2), at(1).wall), banned, "{spared:?}");
        let ban = |effect: &TrustEffect| {
            matches!(effect, TrustEffect::Ban { why: BanReason::Inherited, .. })
        };
        assert_eq!(told.iter().any(ban), banned, "{spared:?}");
        for _ in 0..9 {
            observe(&mut trust, at(2), node(2), FORGED);
        }
        assert_eq!(trust.standings().is_banned(&node(2), at(2).wall), banned, "{spared:?}");
    }
}

#[test]
fn a_thief_of_an_old_key_harms_nobody() {
    let mut trust = new(config());
    observe(&mut trust, at(0), node(1), VALID);
    succeed(&mut trust, at(1), 1, 2);
    let before = score(&trust, node(2));
    for _ in 0..9 {
        observe(&mut trust, at(2), node(1), FORGED);
    }
    assert!(close(score(&trust, node(2)), before));
    assert_eq!((trust.standings().len(), trust.standings().banned()), (1, 0));
    succeed(&mut trust, at(3), 2, 3);
    assert_eq!(trust.standings().current(node(1)), node(3));
    // A node that starts again carries out what it knows once more, and nothing changes.
    assert_eq!(succeed(&mut trust, at(4), 1, 2), []);
    assert!(close(score(&trust, node(3)), before));
}
