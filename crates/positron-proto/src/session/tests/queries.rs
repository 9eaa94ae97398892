//! Queries beside sessions, and without any.

use super::*;
use crate::session::sessions::{NotAsked, QueryFailure, QueryId, QueryTarget};

fn worlds(kinds: LinkKinds) -> World {
    World::with_configs(vec![SessionConfig { transports: kinds, ..config() }; 3])
}

impl World {
    fn ask(&mut self, from: usize, to: usize, id: u64) -> Result<(), NotAsked> {
        let Node { addr, noise_static, .. } = self.nodes[to];
        let std::net::IpAddr::V4(ip) = addr.ip() else { panic!("{addr}") };
        let key = *Identity::from_seed([ip.octets()[3]; 32]).public_key();
        let target = QueryTarget { addr, key, noise_static };
        self.with(from, |s, now, _| s.query(now, target, QueryId(id), Bytes::from_static(b"find")))
    }

    /// What became of the queries of a node: name, and how long the answer took.
    fn answered(&self, n: usize) -> Vec<(u64, Result<Duration, QueryFailure>)> {
        let said = self.nodes[n].said.iter();
        said.filter_map(|effect| match effect {
            SessionEffect::Query(QueryEvent::Answered { id, rtt, body }) => {
                assert_eq!(body, "find");
                Some((id.0, Ok(*rtt)))
            }
            SessionEffect::Query(QueryEvent::Failed { id, why }) => Some((id.0, Err(why.clone()))),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn a_query_makes_no_session_and_needs_none() {
    let mut world = worlds(LinkKinds::default());
    world.ask(0, 1, 1).unwrap();
    world.advance(millis(100));
    world.ask(0, 1, 2).unwrap();
    world.advance(millis(100));
    assert_eq!(world.answered(0), [(1, Ok(millis(20))), (2, Ok(millis(20)))]);
    for n in [0, 1] {
        let sessions = &world.nodes[n].sessions;
        assert!(!sessions.has_links() && sessions.half_open() == 0);
        let is_query = |effect: &SessionEffect| matches!(effect, SessionEffect::Query(_));
        assert!(world.nodes[n].said.iter().all(is_query));
    }
    assert_eq!(world.nodes[1].sessions.datagram_counters().queries_heard, 2);
}

#[test]
fn a_query_beside_a_session_leaves_it_as_it_is() {
    let mut world = worlds(LinkKinds::default());
    let to = world.nodes[1].addr;
    world.with(0, |s, now, out| s.dial(now, dial(to), out));
    world.advance(secs(1));
    let ups = |world: &World| {
        [0, 1].map(|n| world.count(n, |effect| matches!(effect, SessionEffect::Up(_))))
    };
    assert_eq!(ups(&world), [1, 1]);
    for id in 0..10 {
        world.ask(0, 1, id).unwrap();
        world.ask(1, 0, id).unwrap();
        world.advance(secs(1));
    }
    assert_eq!((world.answered(0).len(), world.answered(1).len(), ups(&world)), (10, 10, [1, 1]));
    let is_down = |effect: &SessionEffect| matches!(effect, SessionEffect::Down { .. });
    assert_eq!((world.count(0, is_down), world.count(1, is_down)), (0, 0));
}

#[test]
fn a_query_that_is_lost_fails_and_one_that_is_given_up_says_nothing() {
    let mut world = worlds(LinkKinds::default());
    world.block(&[LinkKind::Udp]);
    world.ask(0, 1, 1).unwrap();
    world.ask(0, 1, 2).unwrap();
    world.with(0, |s, _, _| s.cancel_query(QueryId(2)));
    world.advance(secs(10));
    assert_eq!(world.answered(0), [(1, Err(QueryFailure::Silent))]);
}

#[test]
fn a_node_without_datagrams_asks_nobody_and_hears_nobody() {
    let mut world = World::with_configs(vec![
        SessionConfig { transports: LinkKinds::TCP, ..config() },
        SessionConfig { transports: LinkKinds::default(), ..config() },
    ]);
    assert_eq!(world.ask(0, 1, 1), Err(NotAsked::NoDatagrams));
    world.ask(1, 0, 1).unwrap();
    world.advance(secs(10));
    assert_eq!(world.answered(1), [(1, Err(QueryFailure::Silent))]);
    assert!(world.nodes[0].said.is_empty());
}
