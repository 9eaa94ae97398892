//! Which homes meet by punching: both send to where a third saw the other.

use std::net::SocketAddr;

use crate::{
    DEFAULT_TTL, Delivery, Event, Filtering, HostId, Internet, Mapping, NatType, PathLaws,
    StreamLaws, Time,
};

const PORT: u16 = 8888;
const PROBE: &[u8] = b"probe";
const ANSWER: &[u8] = b"answer";
/// One way between any two hosts.
const DELAY: Time = Time::from_millis(20);
const INTERVAL: Time = Time::from_millis(50);
const ROUNDS: u32 = 20;

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, host, 1], PORT))
}

/// Whether both send packets that open their own routers and die before the other's, before either
/// sends one that arrives.
#[derive(Clone, Copy, PartialEq)]
enum Openers {
    Sent,
    Omitted,
}

/// Two homes, and a third host that tells each where the other is seen.
struct Meeting {
    internet: Internet<Vec<u8>>,
    homes: [HostId; 2],
    /// Where each is told, or found, that the other is.
    other: [Vec<SocketAddr>; 2],
    now: Time,
}

impl Meeting {
    /// `None`: the coordinator hears nothing of one of them.
    fn new(types: [NatType; 2]) -> Option<Self> {
        let mut internet = Internet::new(7, PathLaws::calm(DELAY), StreamLaws::CALM);
        let homes = [0, 1].map(|home| internet.add_host(addr(home)));
        for (host, nat_type) in homes.into_iter().zip(types) {
            internet.kernel_mut(host).put_behind(nat_type, host.index() as u64);
        }
        let coordinator = addr(2);
        internet.add_host(coordinator);
        let mut now = Time::ZERO;
        let seen = homes.map(|host| {
            let hello = b"hello".to_vec();
            internet.send_from(now, host, PORT, coordinator, hello, DEFAULT_TTL).ok()?;
            now += DELAY;
            match internet.poll(now)?.event {
                Event::Datagram { from, .. } => Some(from),
                _ => None,
            }
        });
        let [a, b] = seen;
        Some(Self { internet, homes, other: [vec![b?], vec![a?]], now })
    }

    fn send(&mut self, at: Time, home: usize, to: SocketAddr, payload: &[u8], ttl: u8) {
        // A packet that does not arrive is nobody's business here.
        let _ = self.internet.send_from(at, self.homes[home], PORT, to, payload.to_vec(), ttl);
    }

    /// A hop limit that ends at the one router that every two hosts have between them.
    fn open(&mut self, types: [NatType; 2]) {
        for (home, nat_type) in types.into_iter().enumerate() {
            let boxes = nat_type.boxes(addr(0).ip(), 0).len();
            let ttl = u8::try_from(boxes).unwrap() + 1;
            self.send(self.now, home, self.other[home][0], b"opener", ttl);
        }
    }

    fn probe(&mut self, home: usize) {
        for to in self.other[home].clone() {
            self.send(self.now, home, to, PROBE, DEFAULT_TTL);
        }
    }

    /// What arrives in one interval is answered; whether an answer is among it.
    fn pass(&mut self) -> bool {
        self.now += INTERVAL;
        let mut met = false;
        while let Some(Delivery { at, host, event }) = self.internet.poll(self.now) {
            let Event::Datagram { from, payload, .. } = event else { continue };
            let home = host.index();
            if payload == PROBE {
                self.send(at, home, from, ANSWER, DEFAULT_TTL);
                if !self.other[home].contains(&from) {
                    self.other[home].push(from);
                }
            }
            met |= payload == ANSWER;
        }
        met
    }
}

/// Whether two homes meet, the second beginning `late` after the first.
fn punch(types: [NatType; 2], openers: Openers, late: Time) -> bool {
    let Some(mut meeting) = Meeting::new(types) else { return false };
    if openers == Openers::Sent {
        meeting.open(types);
    }
    let second_begins = meeting.now + late;
    (0..ROUNDS).any(|_| {
        meeting.probe(0);
        if meeting.now >= second_begins {
            meeting.probe(1);
        }
        meeting.pass()
    })
}

/// What theory allows: a port that only its receiver sees is of no use to who asks for the port.
fn can_meet(types: [NatType; 2]) -> bool {
    let [a, b] = types;
    let varies = |of: NatType| of.mapping() == Some(Mapping::AddressAndPortDependent);
    let asks_for_the_port = |of: NatType| {
        let filtering = of.behavior().map(|behavior| behavior.filtering);
        of == NatType::Firewall || filtering == Some(Filtering::AddressAndPortDependent)
    };
    let in_vain = |a, b| varies(a) && asks_for_the_port(b);
    !types.contains(&NatType::Blocked) && !in_vain(a, b) && !in_vain(b, a)
}

/// All pairs of two homes of each type, 190.
fn pairs() -> impl Iterator<Item = [NatType; 2]> {
    let homes = || NatType::ALL.into_iter().chain(NatType::ALL);
    homes().enumerate().flat_map(move |(n, a)| homes().skip(n + 1).map(move |b| [a, b]))
}

#[test]
fn of_190_pairs_of_homes_132_meet_by_punching_and_those_that_theory_allows() {
    assert_eq!(pairs().count(), 190);
    for late in [Time::ZERO, 2 * INTERVAL] {
        let met: Vec<_> = pairs().filter(|it| punch(*it, Openers::Sent, late)).collect();
        assert_eq!(met, pairs().filter(|it| can_meet(*it)).collect::<Vec<_>>(), "{late:?} late");
        assert_eq!(met.len(), 132, "{late:?} late");
    }
}

#[test]
fn who_begins_together_far_enough_apart_needs_no_openers() {
    let met = pairs().filter(|it| punch(*it, Openers::Omitted, Time::ZERO));
    assert_eq!(met.count(), 132);
}

#[test]
fn without_openers_a_clashing_router_that_begins_late_is_lost_to_whoever_asks_for_its_port() {
    let late = 2 * DELAY + INTERVAL;
    let both_orders = NatType::ALL.into_iter().flat_map(|a| NatType::ALL.map(|b| [a, b]));
    for types in both_orders {
        let [first, second] = types;
        let is_lost = second == NatType::Clash
            && !matches!(first, NatType::Open | NatType::FullCone | NatType::AddressRestricted);
        let meets = can_meet(types) && !is_lost;
        assert_eq!(punch(types, Openers::Omitted, late), meets, "{first}, and then {second}");
        assert_eq!(punch(types, Openers::Sent, late), can_meet(types), "{first}, {second}");
    }
}
