use std::collections::VecDeque;

use super::{
    NotRecommended, RecommendationEffect as Effect, RecommendationMessage as Message,
    Recommendations,
};
use crate::{
    id::{NodeId, Ticket},
    limits::{
        MAX_RECOMMENDATION_QUESTIONS, RECOMMENDATION_BURST, RECOMMENDATION_INTERVAL,
        RECOMMENDATION_PACE, RECOMMENDATION_TIMEOUT,
    },
    misbehavior::Misbehavior,
    time::{Duration, Instant, Now, WallTime},
    words::Recommendation,
};

fn at(after: Duration) -> Now {
    let mono = Instant::from_micros(1_000_000) + after;
    Now { mono, wall: WallTime::from_unix_micros(1_800_000_000_000_000) + after }
}

const START: Duration = Duration::ZERO;

fn peer(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn word(n: u8) -> Recommendation {
    Recommendation { node: peer(n), strength: u16::from(n) }
}

/// A machine with peers 1 and 2.
fn linked() -> (Recommendations, VecDeque<Effect>) {
    let mut machine = Recommendations::new(at(START));
    machine.peer_up(peer(1));
    machine.peer_up(peer(2));
    (machine, VecDeque::new())
}

#[test]
fn all_peers_are_told_and_none_of_itself() {
    let (mut machine, mut out) = linked();
    assert_eq!(machine.share(at(START), &[word(3), word(1)], &mut out), 2);
    let told = |to, nodes: &[u8]| Effect::Send {
        to: peer(to),
        message: Message::Update(nodes.iter().copied().map(word).collect()),
    };
    assert_eq!(out, [told(1, &[3]), told(2, &[1, 3])]);
}

#[test]
fn who_is_asked_is_asked_once_for_all_and_its_answer_is_heard() {
    let (mut machine, mut out) = linked();
    machine.ask(at(START), peer(1), Ticket(7), &mut out).unwrap();
    machine.ask(at(START), peer(1), Ticket(8), &mut out).unwrap();
    assert_eq!(out.len(), 1, "{out:?}");
    out.clear();
    machine.handle_message(at(START), peer(1), Message::Response(vec![word(3)]), &mut out);
    let completed = |ticket| Effect::Completed { ticket, answer: Ok(vec![word(3)]) };
    let heard = Effect::Heard { from: peer(1), recommended: vec![word(3)] };
    assert_eq!(out, [completed(Ticket(7)), completed(Ticket(8)), heard]);
}

#[test]
fn each_question_ends_once_when_nobody_answers_or_the_peer_leaves_or_the_node_stops() {
    let (mut machine, mut out) = linked();
    machine.ask(at(START), peer(1), Ticket(1), &mut out).unwrap();
    let late = at(RECOMMENDATION_TIMEOUT);
    assert_eq!(machine.poll_timeout(), Some(late.mono));
    machine.handle_timeout(late, &mut out);
    machine.ask(late, peer(1), Ticket(2), &mut out).unwrap();
    machine.peer_down(&peer(1), &mut out);
    machine.ask(late, peer(2), Ticket(3), &mut out).unwrap();
    machine.give_up_all(&mut out);
    let ends = out.iter().filter_map(|effect| match effect {
        Effect::Completed { ticket, answer: Err(why) } => Some((ticket.0, *why)),
        _ => None,
    });
    let (out_of_time, gone) = (NotRecommended::TimedOut, NotRecommended::PeerGone);
    assert!(ends.eq([(1, out_of_time), (2, gone), (3, NotRecommended::Stopped)]), "{out:?}");
    assert_eq!(machine.ask(late, peer(1), Ticket(4), &mut out), Err(NotRecommended::NotConnected));
}

#[test]
fn an_answer_that_comes_late_is_heard_and_one_that_nobody_asked_for_is_held_against_its_peer() {
    let (mut machine, mut out) = linked();
    machine.ask(at(START), peer(1), Ticket(1), &mut out).unwrap();
    machine.handle_timeout(at(RECOMMENDATION_TIMEOUT), &mut out);
    out.clear();
    machine.handle_message(at(START), peer(1), Message::Response(vec![word(3)]), &mut out);
    assert_eq!(out, [Effect::Heard { from: peer(1), recommended: vec![word(3)] }]);
    out.clear();
    machine.handle_message(at(START), peer(1), Message::Response(vec![word(3)]), &mut out);
    let what = Misbehavior::ProtocolViolation;
    assert_eq!(out, [Effect::Misbehaved { peer: peer(1), what }]);
}

#[test]
fn who_says_or_asks_without_end_is_not_heard_and_pays_for_it() {
    let (mut machine, mut out) = linked();
    for message in [Message::Request(9), Message::Update(vec![word(3)])].iter().cycle().take(1000) {
        machine.handle_message(at(START), peer(1), message.clone(), &mut out);
    }
    let taken = out.iter().filter(|effect| !matches!(effect, Effect::Misbehaved { .. })).count();
    assert_eq!(u32::try_from(taken).unwrap(), RECOMMENDATION_BURST);
    assert_eq!(machine.counters().refused, 1000 - u64::from(RECOMMENDATION_BURST));
    out.clear();
    machine.handle_message(at(START), peer(2), Message::Request(9), &mut out);
    assert_eq!(out, [Effect::Answer { to: peer(2), most: 9 }], "others are heard as before");
}

#[test]
fn an_application_that_shares_and_asks_in_a_loop_is_never_taken_for_an_attacker() {
    let (mut machine, mut out) = linked();
    let (mut there, mut heard) = linked();
    let mut arrived = 0;
    for moment in 0..10_000_u32 {
        let now = at(RECOMMENDATION_PACE / 100 * moment);
        machine.share(now, &[word(3)], &mut out);
        let _ = machine.ask(now, peer(2), Ticket(u64::from(moment)), &mut out);
        // What a link delayed for half a minute comes together.
        if moment % 300 == 299 {
            for effect in out.drain(..) {
                if let Effect::Send { to, message } = effect
                    && to == peer(2)
                {
                    arrived += 1;
                    there.handle_message(now, peer(1), message, &mut heard);
                }
            }
        }
    }
    assert!(arrived >= 100, "{arrived}");
    assert_eq!(there.counters().refused, 0);
}

#[test]
fn questions_are_bounded() {
    let (mut machine, mut out) = linked();
    for n in 0..MAX_RECOMMENDATION_QUESTIONS {
        let ticket = Ticket(u64::try_from(n).unwrap());
        machine.ask(at(START), peer(1), ticket, &mut out).unwrap();
    }
    let refused = machine.ask(at(START), peer(2), Ticket(1_000), &mut out);
    assert_eq!(refused, Err(NotRecommended::TooManyQuestions));
}

#[test]
fn it_is_time_to_share_once_an_hour() {
    let (mut machine, mut out) = linked();
    for hour in 1..=3 {
        let next = at(RECOMMENDATION_INTERVAL * hour);
        assert_eq!(machine.poll_timeout(), Some(next.mono));
        machine.handle_timeout(next, &mut out);
    }
    assert_eq!(out, [Effect::Share, Effect::Share, Effect::Share]);
}
