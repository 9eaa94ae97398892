//! A node and the router of its network: what is asked when, and what is made of the answers.

use std::{collections::VecDeque, net::Ipv4Addr};

use super::{super::port_mapper::PortMapper, scripted_router::ScriptedRouter, *};
use crate::limits::{ROUTER_AGAIN, ROUTER_LIFETIME, ROUTER_LOOK, ROUTER_TRIES};

const PORT: u16 = 8888;
const NONCE: [u8; 12] = [7; 12];

struct Home {
    mapper: PortMapper,
    router: ScriptedRouter,
    now: Instant,
    out: VecDeque<NatEffect>,
    /// Whether packets get to the router.
    is_linked: bool,
}

impl Home {
    /// A node that has not heard of its router.
    fn new(script: impl FnOnce(&mut ScriptedRouter)) -> Self {
        let now = Instant::from_micros(5_000_000_000);
        let mut router = ScriptedRouter::new(now - Duration::from_secs(1_000));
        script(&mut router);
        let mapper = PortMapper::new(PortWish { with_tcp: true, nonce: NONCE });
        Self { mapper, router, now, out: VecDeque::new(), is_linked: true }
    }

    /// One that has, and has said all to it.
    fn begun(script: impl FnOnce(&mut ScriptedRouter)) -> Self {
        let mut home = Self::new(script);
        home.comes_to([192, 168, 1, 7]);
        home
    }

    fn comes_to(&mut self, own: [u8; 4]) {
        let gateway = Gateway { address: Ipv4Addr::new(192, 168, 1, 1), own: own.into() };
        self.mapper.handle_gateway(self.now, Some(gateway), PORT, &mut self.out);
        self.settle();
    }

    /// The router hears what is said, and is heard.
    fn settle(&mut self) {
        while let Some(effect) = self.out.pop_front() {
            let NatEffect::AskRouter { to, bytes } = effect else { panic!("{effect:?}") };
            assert_eq!(to, ScriptedRouter::address());
            let answer = self.router.hear(self.now, &bytes);
            if let Some(answer) = answer.filter(|_| self.is_linked) {
                self.mapper.handle_answer(self.now, to, &answer, &mut self.out);
            }
        }
    }

    /// Time passes, and everything is done that is due meanwhile.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.mapper.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.mapper.handle_timeout(self.now, &mut self.out);
            self.settle();
            wakes += 1;
            assert!(wakes < 10_000, "it never rests: {:?}", self.mapper);
        }
        self.now = until;
    }

    fn hears(&mut self, from: &str, bytes: &[u8]) {
        self.mapper.handle_answer(self.now, from.parse().unwrap(), bytes, &mut self.out);
    }

    fn external(&self) -> Option<String> {
        self.mapper.external().map(|at| at.to_string())
    }

    fn failure(&self) -> Option<RouterFailure> {
        self.mapper.told().failure
    }

    fn asked_since(&self, before: usize) -> usize {
        self.router.asked.len() - before
    }
}

#[test]
fn a_router_that_speaks_pcp_maps_the_port_for_udp_and_tcp() {
    let home = Home::begun(|_| {});
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
    assert_eq!(home.router.mapped, [Some(PORT), Some(PORT)]);
    let told = home.mapper.told();
    assert_eq!((told.protocol, told.is_for_tcp), (Some(RouterProtocol::Pcp), true));
    assert_eq!((told.state, told.failure), (MappedState::Unverified, None));
    assert_eq!(home.router.asked.len(), 2, "one question for each");
}

#[test]
fn a_router_that_speaks_nat_pmp_alone_is_asked_in_that() {
    let home = Home::begun(|router| router.speaks_pcp = false);
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
    assert_eq!(home.router.mapped, [Some(PORT), Some(PORT)]);
    assert_eq!(home.mapper.told().protocol, Some(RouterProtocol::NatPmp));
}

#[test]
fn one_that_is_silent_to_pcp_is_asked_by_nat_pmp_after_a_while() {
    let mut home = Home::new(|router| router.speaks_pcp = false);
    home.is_linked = false;
    home.comes_to([192, 168, 1, 7]);
    home.wait(Duration::from_millis(3_749));
    assert!(home.router.asked.iter().all(|asked| asked[0] == 2), "{:?}", home.router.asked);
    assert_eq!(home.router.asked.len(), usize::try_from(ROUTER_TRIES).unwrap());
    home.is_linked = true;
    home.wait(Duration::from_millis(1));
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
}

#[test]
fn any_external_port_will_do_and_tcp_must_have_the_same() {
    let home = Home::begun(|router| {
        (router.gives, router.gives_tcp) = (Some(40_001), Some(40_001));
    });
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:40001"));
    assert!(home.mapper.told().is_for_tcp);
    let home = Home::begun(|router| router.gives_tcp = Some(40_002));
    assert_eq!(home.router.mapped, [Some(PORT), None], "of no use, so it was let go of");
    assert!(!home.mapper.told().is_for_tcp);
}

#[test]
fn a_silent_router_is_left_alone_for_ten_minutes() {
    let mut home = Home::begun(|router| {
        (router.speaks_pcp, router.speaks_nat_pmp) = (false, false);
    });
    home.wait(Duration::from_secs(8));
    assert_eq!(home.failure(), Some(RouterFailure::Silent));
    let before = home.router.asked.len();
    assert_eq!(before, 2 * usize::try_from(ROUTER_TRIES).unwrap(), "each protocol as often");
    home.wait(ROUTER_AGAIN - Duration::from_secs(8));
    assert_eq!(home.asked_since(before), 0);
    home.router.speaks_nat_pmp = true;
    home.wait(Duration::from_secs(8));
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
    assert_eq!(home.failure(), None);
}

#[test]
fn one_that_refuses_is_asked_in_the_other_protocol_and_then_left_alone() {
    let mut home = Home::begun(|router| router.refuses = Some(2));
    assert_eq!(home.failure(), Some(RouterFailure::Refused(2)));
    assert_eq!(home.router.asked.iter().map(|it| it[0]).collect::<Vec<_>>(), [2, 0]);
    home.router.refuses = None;
    home.wait(ROUTER_AGAIN - Duration::from_millis(1));
    assert_eq!(home.external(), None);
    home.wait(Duration::from_millis(1));
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
}

#[test]
fn a_mapping_is_renewed_at_half_of_its_time_and_stays_where_it_is() {
    let mut home = Home::begun(|router| router.gives = Some(40_001));
    home.router.gives = None;
    let maps = |home: &Home| home.router.asked.iter().filter(|asked| asked.len() == 60).count();
    home.wait(ROUTER_LIFETIME / 2 - Duration::from_secs(1));
    let before = maps(&home);
    home.wait(Duration::from_secs(1));
    assert_eq!(maps(&home), before + 2, "UDP and TCP");
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:40001"), "it wished for that one");
    home.wait(10 * ROUTER_LIFETIME);
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:40001"));
    assert_eq!(maps(&home), before + 42, "both, twice in each lifetime");
}

#[test]
fn a_mapping_that_is_not_renewed_is_over_when_its_time_is() {
    let mut home = Home::begun(|_| {});
    home.is_linked = false;
    home.wait(ROUTER_LIFETIME - Duration::from_millis(1));
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
    assert_eq!(home.failure(), Some(RouterFailure::Silent));
    home.wait(Duration::from_millis(1));
    assert_eq!(home.external(), None);
    home.is_linked = true;
    home.wait(ROUTER_AGAIN + Duration::from_secs(8));
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
}

#[test]
fn a_router_that_has_forgotten_everything_is_asked_anew_within_a_minute() {
    for speaks_pcp in [true, false] {
        let mut home = Home::begun(|router| router.speaks_pcp = speaks_pcp);
        home.wait(Duration::from_secs(600));
        home.router.restart(home.now);
        home.wait(ROUTER_LOOK);
        assert_eq!(home.router.mapped, [Some(PORT), Some(PORT)], "pcp: {speaks_pcp}");
        // Its clock counts on from there.
        let before = home.router.asked.len();
        home.wait(ROUTER_LOOK);
        assert_eq!(home.asked_since(before), 1, "one look, and nothing else");
    }
}

#[test]
fn a_router_whose_clock_stood_still_has_forgotten_everything_too() {
    let mut home = Home::begun(|_| {});
    home.router.restart(home.now - Duration::from_secs(990));
    home.wait(ROUTER_LOOK);
    assert_eq!(home.router.mapped, [Some(PORT), Some(PORT)]);
}

#[test]
fn a_router_at_another_address_has_the_port_mapped_there() {
    let mut home = Home::begun(|router| router.speaks_pcp = false);
    home.router.ip = Ipv4Addr::new(20, 9, 9, 9);
    home.router.mapped = [None, None];
    home.wait(ROUTER_LOOK);
    assert_eq!(home.external().as_deref(), Some("20.9.9.9:8888"));
    assert_eq!(home.router.mapped, [Some(PORT), Some(PORT)]);
}

#[test]
fn a_router_without_an_address_maps_nothing() {
    let mut home = Home::begun(|router| {
        (router.speaks_pcp, router.ip) = (false, Ipv4Addr::UNSPECIFIED);
    });
    assert_eq!((home.external(), home.failure()), (None, Some(RouterFailure::NoAddress)));
    home.router.ip = Ipv4Addr::new(20, 1, 1, 1);
    home.wait(ROUTER_LOOK);
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
}

#[test]
fn with_another_address_all_begins_anew() {
    let mut home = Home::begun(|router| router.speaks_pcp = false);
    let before = home.router.asked.len();
    home.comes_to([192, 168, 1, 7]);
    assert_eq!(home.asked_since(before), 0, "nothing has changed");
    home.router.mapped = [None, None];
    home.comes_to([192, 168, 1, 9]);
    assert_eq!(home.router.mapped, [Some(PORT), Some(PORT)]);
    home.mapper.handle_gateway(home.now, None, PORT, &mut home.out);
    assert_eq!((home.external(), home.failure()), (None, Some(RouterFailure::NoGateway)));
    assert_eq!(home.mapper.poll_timeout(), None);
}

#[test]
fn a_machine_that_is_on_the_internet_itself_asks_nobody() {
    let mut home = Home::new(|_| {});
    home.comes_to([20, 1, 1, 9]);
    assert!(home.router.asked.is_empty());
    assert_eq!(home.failure(), Some(RouterFailure::Untranslated));
    assert_eq!(home.mapper.poll_timeout(), None);
}

#[test]
fn a_node_that_stops_lets_go_of_its_port() {
    for speaks_pcp in [true, false] {
        let mut home = Home::begun(|router| router.speaks_pcp = speaks_pcp);
        home.mapper.stop(home.now, &mut home.out);
        home.settle();
        assert_eq!(home.router.mapped, [None, None], "pcp: {speaks_pcp}");
        assert_eq!(home.mapper.poll_timeout(), None);
    }
}

#[test]
fn what_nobody_asked_or_somebody_else_says_is_counted_and_dropped() {
    let mut home = Home::new(|_| {});
    home.is_linked = false;
    home.comes_to([192, 168, 1, 7]);
    let question = home.router.asked[0].clone();
    let answer = home.router.hear(home.now, &question).unwrap();
    let with = |at: usize, byte: u8| {
        let mut changed = answer.clone();
        changed[at] = byte;
        changed
    };
    let router = "192.168.1.1:5351";
    home.hears("192.168.1.66:5351", &answer);
    home.hears("192.168.1.1:1900", &answer);
    home.hears(router, &answer[..59]);
    home.hears(router, &[]);
    home.hears(router, &vec![2; 1_101]);
    home.hears(router, &with(0, 9));
    home.hears(router, &with(1, 1)); // a question
    home.hears(router, &with(24, 8)); // another nonce
    home.hears(router, &with(36, 6)); // for TCP
    home.hears(router, &with(36, 50));
    home.hears(router, &with(41, 1)); // another port of ours
    home.hears(router, &[0, 129, 0, 0, 0, 0, 0, 9, 34, 184, 34, 184, 0, 0, 28, 32]);
    assert_eq!(home.mapper.counters().router_ignored, 12);
    assert_eq!(home.external(), None);
    home.hears(router, &answer);
    assert_eq!(home.external().as_deref(), Some("20.1.1.1:8888"));
}

#[test]
fn no_bytes_of_a_router_bring_the_node_down() {
    let mut home = Home::new(|_| {});
    home.is_linked = false;
    home.comes_to([192, 168, 1, 7]);
    let mut rng = Seed::from_number(11).stream("bytes of a router");
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = (0..rng.index(70)).map(|_| rng.bytes::<1>()[0]).collect();
        if let [version, kind, ..] = &mut bytes[..] {
            (*version, *kind) = (*version & 2, 128 + (*kind & 3));
        }
        home.hears("192.168.1.1:5351", &bytes);
        home.out.clear();
        if round % 16 == 0 {
            home.wait(Duration::from_millis(700));
        }
    }
    assert!(home.mapper.counters().router_ignored > 10_000);
}
