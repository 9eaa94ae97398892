//! Stories of moves, and of those who would like to be moved to.

use super::*;
use crate::rng::Seed;

const PTO: Duration = Duration::from_millis(100);
const PACKET: usize = 1_200;

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

fn home() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 7_000))
}

fn elsewhere(n: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 8_000 + n))
}

/// One end, which counts what it is made to send.
struct Story {
    paths: Paths,
    pto: Duration,
    dice: Rng,
    challenges: Vec<Challenge>,
}

impl Story {
    fn new() -> Self {
        let dice = Seed::from_number(9).stream("paths");
        Self { paths: Paths::new(home(), true, 0, 0), pto: PTO, dice, challenges: Vec::new() }
    }

    fn packet(&mut self, millis: u64, from: SocketAddr, bytes: usize, is_newest: bool) {
        self.paths.handle_arrival(at(millis), from, bytes, is_newest, self.pto, &mut self.dice);
        self.wake(millis);
    }

    /// Sends what is due; the move that completes, if any.
    fn wake(&mut self, millis: u64) -> Option<SocketAddr> {
        let moved = self.paths.handle_timeout(at(millis));
        while let Some(challenge) = self.paths.poll_challenge(at(millis)) {
            self.paths.handle_sent(challenge.to, challenge.size);
            self.challenges.push(challenge);
        }
        assert!(self.paths.poll_timeout().is_none_or(|next| next > at(millis)));
        moved
    }

    fn token_for(&self, addr: SocketAddr) -> u64 {
        self.challenges.iter().rfind(|challenge| challenge.to == addr).unwrap().token
    }

    /// The answer to the last challenge that went to `challenged`, coming from `from`.
    fn answer(
        &mut self,
        millis: u64,
        challenged: SocketAddr,
        from: SocketAddr,
    ) -> Option<SocketAddr> {
        let token = self.token_for(challenged);
        self.paths.handle_arrival(at(millis), from, PACKET, true, self.pto, &mut self.dice);
        let moved = self.paths.handle_response(at(millis), from, token);
        moved.or(self.wake(millis))
    }

    fn sent_to(&self, addr: SocketAddr) -> usize {
        self.challenges.iter().filter(|c| c.to == addr).map(|c| c.size).sum()
    }
}

#[test]
fn a_peer_behind_a_new_nat_mapping_is_followed_after_one_pto() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), PACKET, true);
    let challenged: Vec<_> = story.challenges.iter().map(|c| (c.to, c.size)).collect();
    assert_eq!(challenged, [(home(), LEAST_DATAGRAM), (elsewhere(0), LEAST_DATAGRAM)]);
    assert_ne!(story.token_for(home()), story.token_for(elsewhere(0)));
    assert_eq!(story.answer(60, elsewhere(0), elsewhere(0)), None);
    assert_eq!(story.paths.addr(), home());
    assert_eq!(story.paths.poll_timeout(), Some(at(100)));
    assert_eq!(story.wake(100), Some(elsewhere(0)));
    assert_eq!((story.paths.addr(), story.paths.is_validated()), (elsewhere(0), true));
    assert_eq!((story.paths.moves(), story.paths.dropped()), (1, 0));
    assert_eq!(story.paths.poll_timeout(), None);
    assert_eq!(story.paths.allowance(elsewhere(0)), u64::MAX);
    assert_eq!(story.paths.allowance(home()), 0);
}

#[test]
fn an_answer_after_the_pto_moves_at_once() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), PACKET, true);
    assert_eq!(story.wake(150), None);
    assert_eq!(story.answer(160, elsewhere(0), elsewhere(0)), Some(elsewhere(0)));
}

#[test]
fn a_peer_that_answered_late_for_a_while_is_followed_before_it_is_lost() {
    let mut story = Story { pto: Duration::from_secs(60), ..Story::new() };
    story.packet(0, elsewhere(0), PACKET, true);
    assert_eq!(story.answer(60, elsewhere(0), elsewhere(0)), None);
    assert_eq!(story.wake(2_999), None);
    assert_eq!(story.wake(3_000), Some(elsewhere(0)));
}

#[test]
fn lost_challenges_are_repeated_with_backoff_and_given_up() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), 4 * PACKET, true);
    let mut wakes = Vec::new();
    while let Some(next) = story.paths.poll_timeout() {
        let millis = next.as_micros() / 1_000;
        wakes.push(millis);
        assert_eq!(story.wake(millis), None);
    }
    // Three times the PTO of a path without measurements, which is larger than ours.
    assert_eq!(wakes, [100, 300, 700, 900]);
    assert_eq!(story.sent_to(elsewhere(0)), 4 * LEAST_DATAGRAM);
    assert_eq!((story.paths.addr(), story.paths.dropped()), (home(), 1));
}

#[test]
fn an_unproven_address_gets_three_times_what_came_from_it_and_no_more() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), 100, true);
    assert_eq!(story.sent_to(elsewhere(0)), 300);
    assert_eq!(story.paths.allowance(elsewhere(0)), 0);
    story.wake(100);
    assert_eq!(story.sent_to(elsewhere(0)), 300);
    // Even a packet that is not the newest gives it some.
    story.packet(110, elsewhere(0), 1_000, false);
    assert_eq!(story.sent_to(elsewhere(0)), 300 + LEAST_DATAGRAM);
    assert_eq!(story.paths.allowance(elsewhere(0)), 3_300 - 1_500);
    // Whoever is nobody gets nothing.
    assert_eq!(story.paths.allowance(elsewhere(1)), 0);
}

#[test]
fn a_packet_that_is_not_the_newest_moves_nothing() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), PACKET, false);
    assert_eq!(story.challenges, []);
    assert_eq!(story.paths.poll_timeout(), None);
}

#[test]
fn one_who_copies_packets_and_loses_one_race_gets_nothing() {
    let mut story = Story::new();
    // The copy of one packet overtakes the original; the next original comes first.
    story.packet(0, elsewhere(0), PACKET, true);
    story.packet(10, home(), PACKET, true);
    assert_eq!((story.paths.addr(), story.paths.dropped()), (home(), 1));
    // Even if the challenge was forwarded, the candidate is no more.
    assert_eq!(
        story.paths.handle_response(at(20), elsewhere(0), story.token_for(elsewhere(0))),
        None
    );
    assert_eq!(story.wake(5_000), None);
    assert_eq!(story.paths.addr(), home());
}

#[test]
fn one_who_forwards_the_challenge_but_not_the_answer_gets_nothing() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), PACKET, true);
    // The peer answers the way it always did.
    let token = story.token_for(elsewhere(0));
    story.paths.handle_arrival(at(50), home(), PACKET, false, PTO, &mut story.dice);
    assert_eq!(story.paths.handle_response(at(50), home(), token), None);
    assert_eq!(story.wake(2_000), None);
    assert_eq!((story.paths.addr(), story.paths.moves()), (home(), 0));
}

#[test]
fn an_answer_from_the_old_address_within_a_pto_beats_one_from_the_new() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), PACKET, true);
    assert_eq!(story.answer(20, elsewhere(0), elsewhere(0)), None);
    // Not the newest, as the attacker's copies run ahead.
    let token = story.token_for(home());
    story.paths.handle_arrival(at(90), home(), PACKET, false, PTO, &mut story.dice);
    assert_eq!(story.paths.handle_response(at(90), home(), token), None);
    assert_eq!(story.wake(100), None);
    assert_eq!(story.paths.addr(), home());
}

#[test]
fn one_who_wins_every_race_is_a_router_until_he_loses_one() {
    let mut story = Story::new();
    story.packet(0, elsewhere(0), PACKET, true);
    assert_eq!(story.answer(40, elsewhere(0), elsewhere(0)), None);
    // He forwards the challenge to the old address as well, and its answer is his copy.
    assert_eq!(story.answer(50, home(), elsewhere(0)), None);
    assert_eq!(story.wake(100), Some(elsewhere(0)));
    // One original is ahead of its copy, and his path goes silent to us.
    story.packet(200, home(), PACKET, true);
    assert_eq!(story.answer(240, home(), home()), None);
    assert_eq!(story.wake(300), Some(home()));
}

#[test]
fn one_who_rewrites_sources_cannot_make_us_challenge_the_world() {
    let mut story = Story::new();
    for n in 0..1_000 {
        story.packet(u64::from(n) * 10, elsewhere(n), PACKET, true);
    }
    let mut challenged: Vec<_> = story.challenges.iter().map(|c| c.to).collect();
    challenged.retain(|&addr| addr != home());
    challenged.dedup();
    // Three at once, and two more in ten seconds.
    assert!(challenged.len() <= 5, "{challenged:?}");
    assert!(challenged.iter().all(|&addr| story.sent_to(addr) <= 3 * PACKET));
    assert_eq!(story.paths.addr(), home());
    // A true move is followed all the same, once the attack is over.
    story.packet(20_000, elsewhere(2_000), PACKET, true);
    story.answer(20_050, elsewhere(2_000), elsewhere(2_000));
    assert_eq!(story.wake(20_100), Some(elsewhere(2_000)));
}

#[test]
fn a_token_that_was_never_sent_answers_nothing() {
    let mut story = Story::new();
    // Too little came to send it anything.
    story.packet(0, elsewhere(0), 10, true);
    assert_eq!(story.sent_to(elsewhere(0)), 0);
    let token = story.paths.candidate.as_ref().unwrap().theirs.token;
    assert_eq!(story.paths.handle_response(at(10), elsewhere(0), token), None);
    assert_eq!(story.paths.handle_response(at(10), elsewhere(0), 0), None);
    assert_eq!(story.wake(150), None);
    assert_eq!(story.paths.addr(), home());
}

#[test]
fn the_first_address_is_bounded_too_until_the_handshake_proves_it() {
    let mut paths = Paths::new(home(), false, 1_200, 600);
    assert_eq!(paths.allowance(home()), 3_000);
    paths.handle_sent(home(), 2_900);
    assert_eq!(paths.allowance(home()), 100);
    paths.handle_sent(home(), 200);
    assert_eq!(paths.allowance(home()), 0);
    paths.validate();
    assert_eq!(paths.allowance(home()), u64::MAX);
}

#[test]
fn whoever_asks_is_answered_where_it_is_with_no_more_than_it_sent() {
    let mut story = Story::new();
    story.paths.handle_challenge(home(), [1; 8], 900);
    story.paths.handle_challenge(elsewhere(0), [2; 8], PACKET);
    let answer = Response { to: home(), token: [1; 8], size: 900 };
    assert_eq!(story.paths.poll_response(), Some(answer));
    assert_eq!(story.paths.poll_response(), None, "nobody is known to be there");
    for n in 0..u8::try_from(3 * MAX_PATH_RESPONSES).unwrap() {
        story.paths.handle_challenge(home(), [n; 8], 100);
    }
    let answers: Vec<_> = core::iter::from_fn(|| story.paths.poll_response()).collect();
    assert_eq!(answers.len(), MAX_PATH_RESPONSES, "the oldest are forgotten");
    assert_eq!(answers.last().map(|answer| answer.token[0]), Some(23));
}
