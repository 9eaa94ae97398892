//! The same pair, where one end is hard to find, or was found before.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    punching::{A, B, Pair, addrs, id},
    *,
};
use crate::{
    datagram::contract::StunAnswered,
    limits::{
        MAX_CANDIDATES, PUNCH_AGAIN, PUNCH_FOUND_AGAIN, SEARCH_GUESSES, SEARCH_PACE,
        SEARCH_SOCKETS, SEARCH_TRAFFIC, SEARCH_WISH,
    },
    wire::Address,
};

/// A pair of which A is seen at another port by everybody.
fn hard_and_easy() -> Pair {
    let mut pair = Pair::new();
    pair.nodes[A].own.port_varies = true;
    pair
}

/// Two pairs of ends that want it so.
fn both_ask(pair: &mut Pair) {
    for node in [A, B] {
        pair.at(node, |it, now, _| it.punching.handle_asked(now, &id(1 - node)));
    }
}

#[test]
fn the_hard_side_opens_many_ports_and_the_easy_side_guesses_one_of_them() {
    let mut pair = hard_and_easy();
    both_ask(&mut pair);
    pair.round();
    let easy: SocketAddr = "20.2.2.2:4002".parse().unwrap();
    assert_eq!(pair.nodes[A].open.len(), SEARCH_SOCKETS);
    for socket in &pair.nodes[A].open {
        let opener = |(to, _, hops): &&(SocketAddr, _, Option<u8>)| {
            Some(*to) == socket.path(easy) && hops.is_some()
        };
        assert_eq!(pair.nodes[A].asked.iter().filter(opener).count(), 1);
    }
    assert!(pair.nodes[B].open.is_empty());
    for _ in 0..200 {
        pair.wait(B);
    }
    let is_guess = |to: &SocketAddr| to.ip() == pair.nodes[A].own.public[0].ip();
    let guesses: BTreeSet<_> =
        pair.nodes[B].asked.iter().map(|(to, ..)| *to).filter(is_guess).collect();
    assert!(guesses.len() > 300);
    // One is right.
    let &(hit, name, _) = pair.nodes[B].asked.last().unwrap();
    pair.is_answered(B, hit, name);
    assert_eq!(pair.nodes[B].dialled, [hit]);
    // Nobody dialled the hard side: its sockets are closed after a while.
    while !pair.nodes[A].open.is_empty() {
        pair.wait(A);
    }
    assert!(pair.nodes[A].dialled.len() <= 1, "no more than the first address, by streams");
}

#[test]
fn a_search_ends_after_so_many_guesses_and_is_not_made_again_within_a_minute() {
    let mut pair = hard_and_easy();
    both_ask(&mut pair);
    pair.round();
    let began = pair.now.mono;
    while pair.nodes[B].dialled.is_empty() {
        pair.wait(B);
    }
    let spent = pair.sent(B).len();
    assert!((SEARCH_GUESSES..SEARCH_GUESSES + MAX_CANDIDATES).contains(&spent), "{spent}");
    // Whatever is asked for meanwhile.
    let mut searches = 1;
    while pair.now.mono.since(began) < SEARCH_PACE {
        both_ask(&mut pair);
        pair.wait(A);
        while let Some(message) = pair.nodes[A].said.pop_front() {
            pair.hears(B, message);
        }
        while let Some(message) = pair.nodes[B].said.pop_front() {
            pair.hears(A, message);
        }
        searches = searches.max(pair.counters(B).searches);
    }
    assert_eq!(searches, 1);
}

#[test]
fn nobody_guesses_who_was_neither_paid_nor_asked() {
    for wished in [false, true] {
        let mut pair = hard_and_easy();
        // The hard side asks; that makes the easy side do nothing.
        pair.at(A, |it, now, _| it.punching.handle_asked(now, &id(B)));
        let traffic = SEARCH_TRAFFIC - usize::from(!wished);
        pair.at(B, |it, now, _| it.punching.handle_traffic(now, &id(A), traffic));
        pair.round();
        assert_eq!(pair.counters(B).searches, u64::from(wished));
        assert_eq!(pair.nodes[A].open.is_empty(), !wished);
    }
}

#[test]
fn traffic_over_a_relay_is_worth_a_search_for_a_while() {
    let mut pair = hard_and_easy();
    pair.at(A, |it, now, _| it.punching.handle_traffic(now, &id(B), SEARCH_TRAFFIC));
    pair.at(B, |it, now, _| it.punching.handle_traffic(now, &id(A), SEARCH_TRAFFIC));
    pair.now.mono = pair.now.mono + SEARCH_WISH;
    pair.round();
    assert_eq!(pair.counters(B).searches, 0);
    // More of it, and the round that waits for its time begins at once.
    while pair.nodes[A].punching.waits_for() > 0 {
        pair.wait(A);
    }
    while pair.nodes[B].punching.waits_for() > 0 {
        pair.wait(B);
    }
    pair.at(B, |it, now, _| it.punching.handle_traffic(now, &id(A), SEARCH_TRAFFIC));
    pair.at(A, |it, now, _| it.punching.handle_traffic(now, &id(B), SEARCH_TRAFFIC));
    assert_eq!(pair.wait(A), Duration::ZERO);
    pair.carry_one(A);
    pair.carry_one(B);
    pair.carry_one(A);
    assert_eq!(pair.counters(B).searches, 1);
}

#[test]
fn nobody_searches_if_the_ports_of_both_or_of_neither_vary_or_in_its_own_network() {
    for (ours, theirs) in [(false, false), (true, true)] {
        let mut pair = Pair::new();
        pair.nodes[A].own.port_varies = ours;
        pair.nodes[B].own.port_varies = theirs;
        both_ask(&mut pair);
        pair.round();
        assert_eq!((pair.counters(A).searches, pair.counters(B).searches), (0, 0));
    }
    let mut pair = hard_and_easy();
    pair.nodes[A].own.public = addrs(&["20.2.2.2:4001"]);
    both_ask(&mut pair);
    pair.round();
    assert_eq!((pair.counters(A).searches, pair.counters(B).searches), (0, 0));
}

#[test]
fn a_path_that_was_there_before_is_looked_for_more_often() {
    for (was_direct, longest) in [(false, PUNCH_AGAIN[4]), (true, PUNCH_FOUND_AGAIN)] {
        let mut pair = Pair::new();
        if was_direct {
            pair.at(A, |node, _, _| node.punching.peer_direct(&id(B)));
            pair.link(None);
        }
        let mut pauses = Vec::new();
        for _ in PUNCH_AGAIN {
            pair.due(A);
            // Nobody answers.
            pair.wait(A);
            let next = pair.nodes[A].punching.poll_timeout().unwrap();
            pauses.push(next.since(pair.now.mono));
            pair.now.mono = next;
        }
        assert_eq!(pauses.last(), Some(&longest), "{pauses:?}");
    }
}

#[test]
fn a_round_that_is_not_the_first_has_a_port_that_nobody_heard_of() {
    let relay: SocketAddr = "20.9.9.9:8888".parse().unwrap();
    let mut pair = Pair::unlinked();
    pair.link(Some(&relay.to_string()));
    pair.due(A);
    assert!(pair.nodes[A].open.is_empty(), "the first one has not");
    while pair.nodes[A].open.is_empty() {
        pair.wait(A);
        pair.nodes[A].said.clear();
    }
    let socket = *pair.nodes[A].open.first().unwrap();
    let asks = |(to, _, hops): &&(SocketAddr, _, Option<u8>)| {
        Some(*to) == socket.path(relay) && hops.is_none()
    };
    let &(from, id, _) = pair.nodes[A].asked.iter().find(asks).unwrap();
    let mapped: SocketAddr = "20.1.1.1:50000".parse().unwrap();
    let answered = StunAnswered { from, id, mapped: Some(mapped) };
    pair.at(A, |node, now, out| node.punching.handle_stun_answer(now, &answered, out));
    while pair.nodes[A].said.is_empty() {
        pair.wait(A);
    }
    let NatMessage::Connect(offer) = pair.nodes[A].said[0].clone() else { panic!("a round") };
    assert_eq!(offer.candidates.first(), Some(&Address::from(mapped)));
    pair.carry_one(A);
    while pair.nodes[B].said.is_empty() {
        pair.wait(B);
    }
    assert!(pair.sent(B).contains_key(&mapped), "it is expected from there");
    pair.nodes[A].asked.clear();
    pair.carry_one(B);
    let easy: SocketAddr = "20.2.2.2:4002".parse().unwrap();
    assert!(pair.sent(A).contains_key(&socket.path(easy).unwrap()), "and opened from there");
}
