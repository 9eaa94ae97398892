//! More queries than are answered, from where they say and from anywhere.

use super::*;

/// Queries of one node as somebody on its path saw them, in SYNs of their own.
fn syns(world: &mut World, count: u64) -> Vec<Vec<u8>> {
    let mut syns = Vec::new();
    for id in 0..count {
        world.ask(0, 1, 1000 + id, b"find").unwrap();
        world.nodes[0].end.cancel_query(QueryId(1000 + id));
        world.collect();
        syns.extend(world.wire.drain(..).map(|(_, _, datagram)| datagram));
        world.now.mono = world.now.mono + QUERY_TIMEOUT;
    }
    world.sent.clear();
    syns
}

/// Bytes that node 1 said to an address.
fn said_to(world: &World, to: SocketAddr) -> usize {
    world.sent.iter().filter(|(_, addr, _)| *addr == to).map(|(.., sent)| sent.len()).sum()
}

#[test]
fn a_flood_from_made_up_addresses_meets_cookies_and_honest_queries_pass() {
    let mut world = World::new(3);
    let syns = syns(&mut world, 16);
    world.nodes[1].asked.clear();
    let to = world.nodes[1].addr;
    for n in 0..20_000_u32 {
        let syn = &syns[usize::try_from(n).unwrap() % syns.len()];
        world.deliver(&(stranger(n), to, syn.clone()));
        world.collect();
        world.wire.clear();
        let said = said_to(&world, stranger(n));
        assert!(0 < said && said <= syn.len(), "{said} bytes for {}", syn.len());
        world.sent.clear();
        if n % 1000 == 500 {
            world.ask(2, 1, u64::from(n), b"honest").unwrap();
            world.run();
        }
        world.now.mono = world.now.mono + Duration::from_micros(50);
    }
    assert_eq!(world.answers(2).len(), 20);
    assert!(world.answers(2).iter().all(|(_, answer)| answer.is_ok()));
    let asked = world.asked(1).iter().filter(|(body, _)| body == b"find").count();
    assert!(asked <= 2 * usize::try_from(SYNS_PER_SECOND).unwrap(), "{asked} computed");
    assert!(world.nodes[1].end.counters().cookies_sent > 19_000);
    world.assert_nothing_is_left(1);
}

#[test]
fn an_address_gets_its_share_by_proof_even_if_others_use_up_that_without() {
    let mut world = World::new(2);
    let syns = syns(&mut world, 1);
    let (from, to) = (world.nodes[0].addr, world.nodes[1].addr);
    let mut cookie = Vec::new();
    for n in 0..200 {
        world.deliver(&(from, to, syns[0].clone()));
        world.collect();
        let (_, _, answer) = world.wire.pop_front().unwrap();
        match SynAck::decode(&answer[HEADER_LEN..]).unwrap() {
            SynAck::Cookie { cookie: told } => cookie = told.to_vec(),
            SynAck::Noise { .. } => assert!(n < QUERIES_PER_ADDRESS),
        }
    }
    // With the cookie as many again, and then silence.
    let Ok(syn) = Syn::decode(&syns[0][HEADER_LEN..]) else { panic!() };
    let syn = Syn { cookie: &cookie, ..syn };
    let proven = super::unsealed(PacketType::Syn, 0, |out| syn.encode(out));
    let before = world.asked(1).len();
    for _ in 0..200 {
        world.deliver(&(from, to, proven.clone()));
    }
    let share = usize::try_from(QUERIES_PER_ADDRESS).unwrap();
    assert_eq!((before, world.asked(1).len()), (share, 2 * share));
    assert_eq!(world.nodes[1].end.counters().queries_over_limit, 150);
    // The next second is another one; a cookie lasts ten.
    world.now.mono = world.now.mono + Duration::from_secs(1);
    world.deliver(&(from, to, proven.clone()));
    assert_eq!(world.asked(1).len(), 2 * share + 1);
    world.now.mono = world.now.mono + COOKIE_AGE;
    world.deliver(&(from, to, proven));
    assert_eq!(world.asked(1).len(), 2 * share + 2, "it needs none now");
}

#[test]
fn queries_with_tickets_are_bounded_by_address_and_in_all() {
    let mut world = World::new(2);
    let nodes = 2 * QUERIES_PER_SECOND / QUERIES_PER_ADDRESS;
    let mut queries = Vec::new();
    for n in 0..nodes {
        let low = u8::try_from(n).unwrap();
        let node = world.add(100 + low, [10, 50, low, 1], "test");
        world.now.mono = world.now.mono + Duration::from_secs(1);
        world.ask(node, 1, 0, b"a").unwrap();
        world.run();
        queries.push(node);
    }
    world.nodes[1].asked.clear();
    for _ in 0..100 {
        for (id, node) in queries.iter().enumerate() {
            let id = u64::try_from(id).unwrap() + 1;
            world.ask(*node, 1, id, b"b").unwrap();
            world.run();
            world.nodes[*node].end.cancel_query(QueryId(id));
            world.nodes[*node].queries.clear();
        }
    }
    let most = usize::try_from(QUERIES_PER_SECOND).unwrap();
    assert_eq!(world.asked(1).len(), most);
    assert!(world.asked(1).iter().all(|(_, ticketed)| *ticketed));
    let share = usize::try_from(QUERIES_PER_ADDRESS).unwrap();
    world.nodes[1].asked.clear();
    world.now.mono = world.now.mono + Duration::from_secs(1);
    for id in 0..100 {
        world.ask(queries[0], 1, 1000 + id, b"b").unwrap();
        world.run();
    }
    assert_eq!(world.asked(1).len(), share);
}

/// Whoever pretends to be somewhere makes us say no more to that address than it said itself.
#[test]
fn no_query_draws_more_bytes_to_a_made_up_address_than_it_has() {
    let mut world = World::new(2);
    let syn = syns(&mut world, 1).remove(0);
    world.ask(0, 1, 1, &[1; 8]).unwrap();
    world.run();
    world.ask(0, 1, 2, b"a").unwrap();
    world.collect();
    let query = world.wire.pop_front().unwrap().2;
    assert_eq!((syn[2], query[2]), (PacketType::Syn as u8, PacketType::Query as u8));
    let mut asked_in_vain = 0;
    // The longest answers that there are, for a short query.
    world.nodes[1].answers = false;
    for (n, datagram) in (0_u32..).zip([&syn, &query].into_iter().cycle()).take(2000) {
        let mut said = datagram.clone();
        // Genuine ones, and ones that end or change somewhere.
        if n > 200 {
            let at = usize::try_from(n * 7).unwrap() % said.len();
            if n % 3 == 0 {
                said.truncate(at);
            } else {
                said[at] ^= 1;
            }
            put_checksum(&mut said);
        }
        let end = &mut world.nodes[1].end;
        end.handle_datagrams(world.now, stranger(n), said.len(), &said);
        while let Some(event) = end.poll_query() {
            let QueryEvent::Asked { reply, ticketed, .. } = event else { panic!("{event:?}") };
            assert!(!ticketed);
            let answer = vec![1; reply.room()];
            end.answer_query(world.now, reply, &answer).unwrap();
            asked_in_vain += 1;
        }
        world.collect();
        world.wire.clear();
        let drawn = said_to(&world, stranger(n));
        assert!(drawn <= said.len(), "{drawn} bytes for {} of type {}", said.len(), said[2]);
        world.sent.clear();
        world.now.mono = world.now.mono + Duration::from_millis(5);
    }
    assert!(asked_in_vain > 100);
}
