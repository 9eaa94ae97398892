//! What the messages of a hostile peer come to: as a client of a relay, and as a relay.

use super::*;
use crate::limits::{MAX_NUMBER, MAX_RELAYED_LINKS, MAX_RELAYED_LINKS_PER_RELAY};

const FLOODING: Misbehavior = Misbehavior::Flooding;

#[test]
fn who_says_more_than_it_may_is_blamed_and_its_pair_is_closed() {
    let mut world = World::new(3);
    let (here, there) = world.open(1, 2);
    let (other, its) = world.open(1, 3);
    world.write(1, here, &text(1_000));
    world.carry();
    let mut left = window() - 1_000;
    while left > 0 {
        let piece = left.min(RELAY_PIECE);
        world.hears(RELAY, 1, data(by_end(0), piece));
        left -= piece;
    }
    assert!(world.blamed(RELAY).is_empty(), "as far as it may");
    // Nothing is delivered in between, so nothing was granted anew.
    world.hears(RELAY, 1, data(by_end(0), 1));
    assert_eq!(world.blamed(RELAY), [(id(1), FLOODING)]);
    world.carry();
    assert!(world.down(1, here).is_some() && world.down(2, there).is_some());
    assert_eq!(world.heard(2, there).len(), window());
    assert_eq!(world.pairs(), 1);
    world.write(1, other, b"of another pair");
    world.carry();
    assert_eq!(world.heard(3, its), b"of another pair");
}

#[test]
fn a_relay_that_brings_more_than_was_granted_is_blamed_and_the_stream_ends() {
    let mut world = World::new(2);
    let (here, there) = world.open(1, 2);
    world.set_reading(2, there, Reading::Held);
    for _ in 0..window() / RELAY_PIECE {
        world.hears(2, RELAY, data(by_relay(0), RELAY_PIECE));
    }
    assert!(world.blamed(2).is_empty());
    world.hears(2, RELAY, data(by_relay(0), 1));
    assert_eq!(world.blamed(2), [(id(RELAY), FLOODING)]);
    assert_eq!(world.down(2, there), Some(LinkDown::Reset));
    assert_eq!(world.heard(2, there).len(), window());
    world.carry();
    assert!(world.down(1, here).is_some(), "the other end is told");
    world.hears(2, RELAY, data(by_relay(0), RELAY_PIECE));
    assert_eq!(world.blamed(2).len(), 1, "it may have been under way");
}

#[test]
fn what_names_no_stream_of_its_sender_changes_nothing() {
    let mut world = World::new(3);
    let (here, there) = world.open(1, 2);
    let numbers = [0, 1, MAX_NUMBER, (1 << 61) - 1];
    for label in numbers.into_iter().flat_map(|number| [by_end(number), by_relay(number)]) {
        for message in [
            data(label, 9),
            RelayMessage::Credit { label, limit: MAX_NUMBER },
            RelayMessage::Close(label),
        ] {
            // The third is no end of any; the first two are no relays of each other.
            world.hears(RELAY, 3, message.clone());
            world.hears(1, 2, message.clone());
            world.hears(2, 1, message.clone());
            if label != by_end(0) {
                world.hears(RELAY, 1, message.clone());
            }
            if label != by_relay(0) {
                world.hears(1, RELAY, message.clone());
                world.hears(2, RELAY, message);
            }
        }
    }
    let refused = RelayMessage::Refused { tag: 0, peer: id(2), why: RelayRefusal::Off };
    world.hears(1, RELAY, refused.clone());
    world.hears(1, 2, refused);
    world.carry();
    world.write(1, here, b"as before");
    world.write(2, there, b"here too");
    world.carry();
    assert_eq!(
        (world.heard(2, there), world.heard(1, here)),
        (&b"as before"[..], &b"here too"[..])
    );
    assert!(world.ears.iter().all(|ears| ears.blamed.is_empty() && ears.down.is_empty()));
}

#[test]
fn credit_never_shrinks_and_a_promise_beyond_the_window_is_a_window() {
    let mut world = World::new(2);
    let (here, there) = world.open(1, 2);
    world.set_reading(2, there, Reading::Held);
    for limit in [0, 1, MAX_NUMBER, u64::MAX, 7] {
        world.hears(RELAY, 2, RelayMessage::Credit { label: by_end(0), limit });
    }
    world.write(1, here, &text(4 * window()));
    world.carry();
    assert_eq!(world.blamed(2), [], "the relay holds back what nobody has room for");
    assert_eq!(world.heard(2, there).len(), window());
    // A relay's own word: the writer believes it, and what it says is bounded by what it has.
    for limit in [u64::MAX, 0, MAX_NUMBER] {
        world.hears(1, RELAY, RelayMessage::Credit { label: by_relay(0), limit });
    }
    assert_eq!(world.ears[1].written[&here], 4 * window());
    world.carry();
    assert_eq!(world.blamed(RELAY), [(id(1), FLOODING)], "by its own relay: it gains nothing");
    assert!(world.down(1, here).is_some() && world.down(2, there).is_some());
}

#[test]
fn opened_twice_is_blamed_and_the_stream_goes_on() {
    let mut world = World::new(2);
    let (here, there) = world.open(1, 2);
    for asked in [Some(0), None] {
        let opened = RelayMessage::Opened { number: 0, peer: id(2), asked, one_site: false };
        world.hears(1, RELAY, opened);
    }
    assert_eq!(world.blamed(1), [(id(RELAY), Misbehavior::ProtocolViolation); 2]);
    assert_eq!((world.ears[1].accepted.len(), world.links(1)), (0, 1));
    world.write(2, there, b"still");
    world.carry();
    assert_eq!(world.heard(1, here), b"still");
}

#[test]
fn streams_of_one_relay_that_nobody_asked_for_are_bounded_and_the_others_are_closed() {
    let mut world = World::new(2);
    for n in 0..10_000 {
        let (number, peer) = (n, id(100 + usize::try_from(n).unwrap()));
        let asked = (n % 3 == 0).then_some(n);
        world.hears(1, RELAY, RelayMessage::Opened { number, peer, asked, one_site: false });
    }
    assert_eq!(world.links(1), as_u64(MAX_RELAYED_LINKS_PER_RELAY));
    assert_eq!(world.ears[1].accepted.len(), MAX_RELAYED_LINKS_PER_RELAY);
    let said = &world.lanes[&(1, RELAY, Lane::BULK)];
    let refused = 10_000 - MAX_RELAYED_LINKS_PER_RELAY;
    assert_eq!(said.len(), refused, "a CLOSE for each of the others");
    // Another one has room, though that one takes what it can.
    let opened = RelayMessage::Opened { number: 0, peer: id(99), asked: None, one_site: false };
    world.hears(1, 2, opened);
    assert_eq!(world.links(1), as_u64(MAX_RELAYED_LINKS_PER_RELAY) + 1);
    world.at(1, |it, _, out| it.peer_down(&id(2), out));
    world.at(1, |it, _, out| it.peer_down(&id(RELAY), out));
    assert_eq!(world.links(1), 0);
}

#[test]
fn data_after_the_end_is_not_forwarded() {
    let mut world = World::new(2);
    let (_, there) = world.open(1, 2);
    world.hears(RELAY, 1, RelayMessage::Close(by_end(0)));
    world.hears(RELAY, 1, data(by_end(0), 9));
    world.hears(RELAY, 1, RelayMessage::Credit { label: by_end(0), limit: MAX_NUMBER });
    world.hears(RELAY, 1, RelayMessage::Close(by_end(0)));
    world.carry();
    world.hears(2, RELAY, data(by_relay(0), 9));
    assert_eq!(world.heard(2, there), b"");
    assert_eq!(world.down(2, there), Some(LinkDown::Eof));
    assert!(world.ears.iter().all(|ears| ears.blamed.is_empty()));
    assert_eq!(world.nodes[RELAY].counters().forwarded_bytes, 0);
}

#[test]
fn a_dial_is_answered_once_whatever_the_relay_says() {
    let mut world = World::new(2);
    let link = world.dial(1, 2);
    let again = world.dial(1, 2);
    assert!(world.down(1, again).is_some(), "one at a time");
    world.hang_up(1, link, Hangup::Abort);
    assert_eq!(world.down(1, link), Some(LinkDown::HungUp));
    world.carry();
    assert_eq!(world.ears[1].connected, []);
    assert_eq!((world.pairs(), world.links(1), world.links(2)), (0, 0, 0));
    let to_nobody = "[172::77]:1".parse().unwrap();
    world.at(1, |it, _, out| it.dial(LinkId::of_core(99), to_nobody, out));
    assert!(world.down(1, LinkId::of_core(99)).is_some());
}

#[test]
fn who_hangs_up_and_dials_again_at_once_gets_the_stream_that_it_asked_for_last() {
    let mut world = World::new(2);
    let first = world.dial(1, 2);
    world.hang_up(1, first, Hangup::Abort);
    let second = world.dial(1, 2);
    world.carry();
    assert_eq!(world.ears[1].connected, [second]);
    let there = *world.ears[2].accepted.last().unwrap();
    assert_eq!((world.pairs(), world.links(1), world.links(2)), (1, 1, 1));
    world.write(1, second, b"over the second");
    world.write(2, there, b"the same");
    world.carry();
    assert_eq!(world.heard(2, there), b"over the second");
    assert_eq!(world.heard(1, second), b"the same");
    assert!(world.blamed(1).is_empty() && world.blamed(RELAY).is_empty());
}

#[test]
fn an_answer_to_another_question_than_was_asked_answers_nothing() {
    let mut world = World::new(3);
    let link = world.dial(1, 2);
    let opened = |peer, tag| RelayMessage::Opened {
        number: 7,
        peer: id(peer),
        asked: Some(tag),
        one_site: false,
    };
    for wrong in [opened(2, 1), opened(3, 0)] {
        world.hears(1, RELAY, wrong);
    }
    let refused = RelayMessage::Refused { tag: 1, peer: id(2), why: RelayRefusal::Off };
    world.hears(1, RELAY, refused);
    assert_eq!((world.down(1, link), world.links(1)), (None, 1));
    world.carry();
    assert_eq!(world.ears[1].connected, [link]);
}

/// Any message of any number that a decoder lets through.
fn any_message(dice: &mut Rng, nodes: usize) -> RelayMessage {
    let number = match dice.below(8) {
        0 => MAX_NUMBER - dice.below(2),
        _ => dice.below(6),
    };
    let label = RelayLabel { number, by_relay: dice.chance(0.5) };
    let peer = id(dice.index(nodes + 2));
    match dice.below(16) {
        0..4 => RelayMessage::Open { tag: number, peer },
        4 | 5 => {
            let asked = dice.chance(0.5).then_some(dice.below(6));
            RelayMessage::Opened { number, peer, asked, one_site: dice.chance(0.5) }
        }
        6..10 => data(label, 1 + dice.index(RELAY_PIECE)),
        10..13 => {
            let limit = [0, 1, RELAY_WINDOW, RELAY_WINDOW + dice.below(1 << 18), MAX_NUMBER];
            RelayMessage::Credit { label, limit: limit[dice.index(5)] }
        }
        13 => RelayMessage::Close(label),
        _ => RelayMessage::Refused { tag: number, peer, why: RelayRefusal::Other(9) },
    }
}

/// Two honest ends talk through an honest relay, to which hostile peers are linked too.
#[test]
fn whatever_hostile_peers_say_the_honest_are_heard_and_all_is_bounded() {
    const HOSTILE: [usize; 3] = [3, 4, 5];
    for seed in 0..50 {
        println!("seed {seed}");
        let mut world = World::new(5);
        let mut dice = Seed::from_number(seed).stream("hostile");
        world.dice = Seed::from_number(seed).stream("lanes");
        let (here, there) = world.open(1, 2);
        let said = text(200_000);
        for piece in said.chunks(1_000) {
            world.write(1, here, piece);
            let by = HOSTILE[dice.index(3)];
            let message = any_message(&mut dice, 5);
            // As a client of the relay, or as a relay of its own to one of the honest.
            let to = [RELAY, RELAY, 1, 2][dice.index(4)];
            match dice.below(10) {
                0 => world.at(RELAY, |relay, _, out| relay.peer_down(&id(by), out)),
                1 => world.nodes[RELAY].peer_in_reach(id(by), place(by)),
                2 => world.pass(Duration::from_millis(dice.below(3_000))),
                _ => world.hears(to, by, message),
            }
            world.carry_one();
            assert!(world.pairs() <= as_u64(MAX_RELAY_PAIRS));
            assert!((1..=2).all(|end| world.links(end) <= as_u64(MAX_RELAYED_LINKS)));
        }
        world.pass(Duration::from_secs(10));
        let is_hostile = |(peer, _): &(NodeId, Misbehavior)| HOSTILE.contains(&number(peer));
        for honest in [RELAY, 1, 2] {
            assert!(world.blamed(honest).iter().all(is_hostile), "{:?}", world.blamed(honest));
        }
        assert_eq!(world.down(1, here), None);
        assert!(world.heard(2, there) == said);
    }
}
