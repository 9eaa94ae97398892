//! Queries between endpoints, and what can go wrong with them on the way.

use super::*;
use crate::{
    datagram::{
        client_handshake::unsealed,
        contract::{AnswerTooLong, NotAsked, QueryFailure, QueryId, QueryTarget},
    },
    limits::{
        COOKIE_AGE, MAX_COLD_ANSWER, MAX_COLD_QUERY, MAX_QUERIES_UNDER_WAY, MAX_QUERIES_WAITING,
        MAX_TICKETED_ANSWER, MAX_TICKETED_QUERY, QUERIES_PER_ADDRESS, QUERIES_PER_SECOND,
        QUERY_TIMEOUT, SYNS_PER_SECOND, TICKET_LATENESS, TICKET_LIFE,
    },
    wire::{
        frame::CloseReason,
        packet::{QUERY_PATTERN, QueryPacket, Syn},
    },
};

mod floods;
mod tickets;

impl World {
    fn target(&self, n: usize) -> QueryTarget {
        let Node { addr, key, noise_static, .. } = self.nodes[n];
        QueryTarget { addr, key, noise_static }
    }

    /// How others see node `n` when it asks.
    fn asker(&self, n: usize) -> Asker {
        let Node { addr, key, noise_static, .. } = self.nodes[n];
        Asker { addr, key, noise_static }
    }

    fn ask(&mut self, from: usize, to: usize, id: u64, body: &[u8]) -> Result<(), NotAsked> {
        let target = self.target(to);
        let body = Bytes::copy_from_slice(body);
        self.nodes[from].end.query(self.now, target, QueryId(id), body)
    }

    /// What became of the queries of node `n`, by their names.
    fn answers(&self, n: usize) -> Vec<(u64, Result<&[u8], QueryFailure>)> {
        let mut answers = Vec::new();
        for event in &self.nodes[n].queries {
            match event {
                QueryEvent::Answered { id, body, .. } => answers.push((id.0, Ok(&body[..]))),
                QueryEvent::Failed { id, why } => answers.push((id.0, Err(why.clone()))),
                QueryEvent::Asked { .. } => {}
            }
        }
        answers
    }

    /// What node `n` was asked, and whether with a ticket.
    fn asked(&self, n: usize) -> Vec<(&[u8], bool)> {
        self.nodes[n].asked.iter().map(|asked| (&asked.body[..], asked.ticketed)).collect()
    }

    /// Nothing is left of any query at node `n`.
    #[track_caller]
    fn assert_nothing_is_left(&mut self, n: usize) {
        let end = &mut self.nodes[n].end;
        assert_eq!((end.half_open(), end.views().len(), end.queries_under_way()), (0, 0, 0));
        assert_eq!(end.poll_timeout(), None);
    }
}

#[test]
fn a_query_is_answered_in_one_round_trip_and_nothing_is_left_of_it() {
    let mut world = World::new(2);
    world.ask(0, 1, 7, b"who is near?").unwrap();
    world.run();
    assert_eq!(world.answers(0), [(7, Ok(&b"?raen si ohw"[..]))]);
    assert_eq!(world.asked(1), [(&b"who is near?"[..], false)]);
    assert_eq!(world.nodes[1].asked[0].from, world.asker(0));
    assert_eq!(world.sent.len(), 2);
    let lens: Vec<usize> = world.sent.iter().map(|(_, _, datagram)| datagram.len()).collect();
    assert!(lens[0] == LEAST_DATAGRAM && lens[1] <= LEAST_DATAGRAM, "{lens:?}");
    for n in [0, 1] {
        world.assert_nothing_is_left(n);
        assert_eq!(world.nodes[n].events, []);
    }
}

#[test]
fn the_longest_query_and_answer_fill_their_datagrams_exactly() {
    let mut world = World::new(2);
    world.nodes[1].answers = false;
    let answer = |world: &mut World, len: usize, extra: usize| {
        world.collect();
        let query = world.wire.pop_front().unwrap();
        let Node { end, .. } = &mut world.nodes[1];
        end.handle_datagrams(world.now, query.0, query.2.len(), &query.2);
        let Some(QueryEvent::Asked { reply, .. }) = end.poll_query() else { panic!("no query") };
        assert_eq!(reply.room(), len);
        let answered = end.answer_query(world.now, reply, &vec![1; len + extra]);
        let too_long = AnswerTooLong { len: len + 1, limit: len };
        assert_eq!(answered, if extra == 0 { Ok(()) } else { Err(too_long) });
        world.run();
        (query.2.len(), world.sent.last().unwrap().2.len())
    };
    let too = NotAsked::TooLarge { len: MAX_COLD_QUERY + 1, limit: MAX_COLD_QUERY };
    assert_eq!(world.ask(0, 1, 1, &[1; MAX_COLD_QUERY + 1]), Err(too));
    world.ask(0, 1, 1, &[1; MAX_COLD_QUERY]).unwrap();
    assert_eq!(answer(&mut world, MAX_COLD_ANSWER, 0), (LEAST_DATAGRAM, LEAST_DATAGRAM));
    // The room that a longest cookie would take is the only one that is left.
    let syn = &world.sent[0].2;
    let zeros = syn.iter().rev().take_while(|byte| **byte == 0).count();
    assert!((crate::limits::MAX_COOKIE + 1..crate::limits::MAX_COOKIE + 4).contains(&zeros));
    let too = NotAsked::TooLarge { len: MAX_TICKETED_QUERY + 1, limit: MAX_TICKETED_QUERY };
    assert_eq!(world.ask(0, 1, 2, &[1; MAX_TICKETED_QUERY + 1]), Err(too));
    world.ask(0, 1, 2, &[1; MAX_TICKETED_QUERY]).unwrap();
    assert_eq!(answer(&mut world, MAX_TICKETED_ANSWER, 0), (LEAST_DATAGRAM, LEAST_DATAGRAM));
    let lens: Vec<usize> =
        world.answers(0).into_iter().map(|(_, answer)| answer.unwrap().len()).collect();
    assert_eq!(lens, [MAX_COLD_ANSWER, MAX_TICKETED_ANSWER]);
    world.ask(0, 1, 3, b"a").unwrap();
    let (asked, _) = answer(&mut world, MAX_TICKETED_ANSWER, 1);
    assert_eq!((world.sent.last().unwrap().2.len(), world.answers(0).len()), (asked, 2), "silence");
}

#[test]
fn a_query_whose_reply_is_dropped_is_met_by_silence() {
    let mut world = World::new(2);
    world.nodes[1].answers = false;
    world.ask(0, 1, 1, b"a").unwrap();
    world.run();
    assert_eq!(world.asked(1).len(), 1);
    world.assert_nothing_is_left(1);
    world.advance(QUERY_TIMEOUT);
    assert_eq!(world.answers(0), [(1, Err(QueryFailure::Silent))]);
    assert_eq!(world.sent.len(), 1, "nothing is said twice");
    world.assert_nothing_is_left(0);
}

/// What is asked may have to be looked up first, or a signature be checked elsewhere.
#[test]
fn a_reply_can_be_given_later_and_to_several_in_any_order() {
    let mut world = World::new(3);
    for id in 1..=2 {
        for from in [0, 2] {
            world.ask(from, 1, id, b"a").unwrap();
        }
        let mut replies = Vec::new();
        world.collect();
        for (from, _, datagram) in core::mem::take(&mut world.wire) {
            let end = &mut world.nodes[1].end;
            end.handle_datagrams(world.now, from, datagram.len(), &datagram);
            let Some(QueryEvent::Asked { reply, .. }) = end.poll_query() else { panic!() };
            replies.push((from.to_string(), reply));
        }
        world.advance(Duration::from_millis(150));
        for (from, reply) in replies.into_iter().rev() {
            world.nodes[1].end.answer_query(world.now, reply, from.as_bytes()).unwrap();
        }
        world.run();
        for from in [0, 2] {
            let addr = world.nodes[from].addr.to_string();
            assert_eq!(world.answers(from).last(), Some(&(id, Ok(addr.as_bytes()))));
        }
    }
}

/// An endpoint whose application never asks for queries.
#[test]
fn queries_do_not_pile_up_where_nobody_takes_them() {
    let mut world = World::new(2);
    for id in 0..100 {
        world.ask(0, 1, id, b"a").unwrap();
        world.nodes[0].end.cancel_query(QueryId(id));
        world.collect();
        let (from, _, datagram) = world.wire.pop_front().unwrap();
        let end = &mut world.nodes[1].end;
        end.handle_datagrams(world.now, from, datagram.len(), &datagram);
        world.now.mono = world.now.mono + QUERY_TIMEOUT;
    }
    let end = &mut world.nodes[1].end;
    let waiting = std::iter::from_fn(|| end.poll_query()).count();
    let over = end.counters().queries_over_limit;
    let most = u64::try_from(MAX_QUERIES_WAITING).unwrap();
    assert_eq!((waiting, over), (MAX_QUERIES_WAITING, 100 - most));
}

#[test]
fn a_query_to_where_there_is_no_way_fails_at_once_and_no_other_does() {
    let mut world = World::new(3);
    world.ask(0, 1, 1, b"a").unwrap();
    world.ask(0, 2, 2, b"a").unwrap();
    let (now, to) = (world.now, world.nodes[1].addr);
    world.nodes[0].end.handle_no_way(now, to);
    world.nodes[0].attend(now);
    assert_eq!(world.answers(0), [(1, Err(QueryFailure::NoWay))]);
    world.run();
    assert_eq!(world.answers(0).last(), Some(&(2, Ok(&b"a"[..]))));
    world.assert_nothing_is_left(0);
}

#[test]
fn a_given_up_query_is_gone_and_its_answer_comes_to_nothing() {
    let mut world = World::new(2);
    world.ask(0, 1, 1, b"a").unwrap();
    assert_eq!(world.ask(0, 1, 1, b"b"), Err(NotAsked::NameTaken));
    world.nodes[0].end.cancel_query(QueryId(1));
    world.run();
    assert_eq!((world.answers(0), world.asked(1).len()), (vec![], 1));
    assert_eq!(world.nodes[0].end.counters().unknown_connections, 1);
    world.ask(0, 1, 1, b"c").unwrap();
    world.run();
    assert_eq!(world.answers(0).len(), 1);
}

#[test]
fn only_the_node_that_was_asked_is_believed() {
    let mut world = World::new(3);
    // Its key, and another node's static key and address.
    let target = QueryTarget { key: world.nodes[2].key, ..world.target(1) };
    world.nodes[0].end.query(world.now, target, QueryId(1), Bytes::from_static(b"a")).unwrap();
    // Another network.
    let stranger = world.add(9, [10, 9, 0, 1], "other");
    world.ask(0, stranger, 2, b"a").unwrap();
    // Ourselves.
    world.ask(0, 0, 3, b"a").unwrap();
    world.run();
    let refused = |why| Err(QueryFailure::Refused(why));
    let expected = [
        (1, refused(CloseReason::WrongNode)),
        (2, refused(CloseReason::WrongNetwork)),
        (3, refused(CloseReason::SelfDial)),
    ];
    assert_eq!(world.answers(0), expected);
    for n in [1, stranger, 0] {
        assert_eq!((world.asked(n), world.nodes[n].end.counters().queries_refused), (vec![], 1));
        world.assert_nothing_is_left(n);
    }
    // A static key that is not the one there: that is anybody's word, and told if nothing else is.
    let target = QueryTarget { noise_static: world.nodes[2].noise_static, ..world.target(1) };
    world.nodes[0].end.query(world.now, target, QueryId(4), Bytes::from_static(b"a")).unwrap();
    world.advance(QUERY_TIMEOUT);
    assert_eq!(world.answers(0).last(), Some(&(4, Err(QueryFailure::NotThisKey))));
    // One of small order is none.
    let target = QueryTarget { noise_static: [0; 32], ..world.target(1) };
    let asked = world.nodes[0].end.query(world.now, target, QueryId(5), Bytes::new());
    assert_eq!(asked, Err(NotAsked::BadKey));
    world.assert_nothing_is_left(0);
}

#[test]
fn what_can_not_be_asked_is_refused_and_changes_nothing() {
    let mut world = World::new(2);
    for bad in ["10.0.0.1:0", "0.0.0.0:1", "224.0.0.1:1"] {
        let addr = bad.parse().unwrap();
        let target = QueryTarget { addr, ..world.target(1) };
        let asked = world.nodes[0].end.query(world.now, target, QueryId(1), Bytes::new());
        assert_eq!(asked, Err(NotAsked::BadAddress(addr)));
    }
    for id in 0..=u64::try_from(MAX_QUERIES_UNDER_WAY).unwrap() {
        let [a, b, ..] = id.to_le_bytes();
        let addr = SocketAddr::from(([10, 8, a, b], 1));
        let target = QueryTarget { addr, ..world.target(1) };
        let asked = world.nodes[0].end.query(world.now, target, QueryId(id), Bytes::new());
        let most = u64::try_from(MAX_QUERIES_UNDER_WAY).unwrap();
        assert_eq!(asked, if id < most { Ok(()) } else { Err(NotAsked::TooMany) });
    }
    world.collect();
    world.wire.clear();
    world.advance(QUERY_TIMEOUT);
    assert_eq!(world.answers(0).len(), MAX_QUERIES_UNDER_WAY);
    world.assert_nothing_is_left(0);
}

#[test]
fn no_copy_or_forgery_of_a_cold_query_or_its_answer_does_any_harm() {
    let mut world = World::new(3);
    world.ask(0, 1, 1, b"a").unwrap();
    world.collect();
    let (from, to, syn) = world.wire.pop_front().unwrap();
    // The answer's address, and any byte of it.
    world.deliver(&(from, to, syn.clone()));
    world.collect();
    let (_, _, answer) = world.wire.pop_front().unwrap();
    let somebody = world.nodes[2].addr;
    world.deliver(&(somebody, from, answer.clone()));
    // What is in front of the payload is anybody's, and means nothing.
    for at in HEADER_LEN..answer.len() {
        let mut forged = answer.clone();
        forged[at] ^= 1;
        put_checksum(&mut forged);
        world.deliver(&(to, from, forged));
        world.deliver(&(to, from, answer[..at].to_vec()));
    }
    assert_eq!(world.answers(0), []);
    world.deliver(&(to, from, answer.clone()));
    world.deliver(&(to, from, answer));
    assert_eq!(world.answers(0), [(1, Ok(&b"a"[..]))]);
    // Of the query: what is sealed and what the transcript covers.
    let heard = world.nodes[1].asked.len();
    let padding = syn.iter().rev().take_while(|byte| **byte == 0).count();
    for at in (0..syn.len()).filter(|at| *at < 37 || *at > 38) {
        let mut forged = syn.clone();
        forged[at] ^= 0x80;
        put_checksum(&mut forged);
        world.deliver(&(from, to, forged));
        world.now.mono = world.now.mono + Duration::from_millis(20);
    }
    assert!(padding < syn.len());
    // Flags and numbers of an unsealed packet mean nothing and nobody looks at them.
    let unread = (3..14).chain(14..16).chain(20..28).count();
    assert!(world.nodes[1].asked.len() - heard <= unread);
    assert_eq!(world.nodes[1].end.half_open(), 0);
}

/// A query is no beginning of a connection, and the other way round: not even for somebody on the
/// path, who can change what is not sealed.
#[test]
fn a_query_is_never_taken_for_a_dial_nor_a_dial_for_a_query() {
    let mut world = World::new(2);
    world.ask(0, 1, 1, &[0; 8]).unwrap();
    world.dial(0, 1, true);
    world.collect();
    for (from, to, mut syn) in core::mem::take(&mut world.wire) {
        syn[HEADER_LEN] = if syn[HEADER_LEN] == QUERY_PATTERN { 1 } else { QUERY_PATTERN };
        put_checksum(&mut syn);
        world.deliver(&(from, to, syn));
    }
    world.collect();
    assert!(world.wire.iter().all(|(_, _, datagram)| datagram[2] == PacketType::Rst as u8));
    assert_eq!((world.wire.len(), world.asked(1)), (2, vec![]));
}
