//! What hosts outside see of a home.

use std::{collections::BTreeSet, net::SocketAddr};

use crate::{
    Closed, DEFAULT_TTL, Delivery, Dice, Event, FLOW_TIMEOUT, Filtering, Header, HostId, INSIDE,
    Internet, Loss, Mapping, Middlebox, NatType, PathLaws, Protocol, StreamLaws, Time, Translator,
    Verdict,
};

const MS: Time = Time::from_millis(1);
const SECOND: Time = Time::from_secs(1);

/// Where the internet knows the home, if ports stay as they are.
const HOME: ([u8; 4], u16) = ([198, 51, 100, 1], 8888);
/// Hosts with public addresses that know of each other. `ALICE_TOO` is on Alice's machine.
const ALICE: ([u8; 4], u16) = ([203, 0, 113, 1], 1_000);
const ALICE_TOO: ([u8; 4], u16) = ([203, 0, 113, 1], 1_001);
const BOB: ([u8; 4], u16) = ([203, 0, 113, 2], 1_000);

/// A home of one type, and hosts outside, 10 ms apart.
struct Lab {
    internet: Internet<Vec<u8>>,
    home: HostId,
    now: Time,
}

impl Lab {
    fn new(nat_type: NatType) -> Self {
        let mut internet = Internet::new(7, PathLaws::calm(10 * MS), StreamLaws::CALM);
        let home = internet.add_host(HOME.into());
        internet.kernel_mut(home).put_behind(nat_type, 7);
        let alice = internet.add_host(ALICE.into());
        internet.kernel_mut(alice).bind(ALICE_TOO.1);
        internet.add_host(BOB.into());
        Self { internet, home, now: Time::ZERO }
    }

    fn pass(&mut self, time: Time) -> Vec<Delivery<Vec<u8>>> {
        self.now += time;
        std::iter::from_fn(|| self.internet.poll(self.now)).collect()
    }

    /// From where the home is seen by whom it speaks to, if that hears it.
    fn seen_by(&mut self, whom: impl Into<SocketAddr>) -> Option<SocketAddr> {
        self.speak(HOME.1, whom.into(), DEFAULT_TTL).ok()?;
        let heard = self.pass(SECOND);
        heard.into_iter().find(|heard| heard.host != self.home).and_then(|heard| {
            match heard.event {
                Event::Datagram { from, .. } => Some(from),
                _ => None,
            }
        })
    }

    /// The home sends a datagram from one of its ports.
    fn speak(&mut self, port: u16, to: impl Into<SocketAddr>, ttl: u8) -> Result<(), Loss> {
        self.internet.send_from(self.now, self.home, port, to.into(), b"hello".to_vec(), ttl)
    }

    /// Whether a datagram from outside gets to the home.
    fn reaches(&mut self, from: impl Into<SocketAddr>, to: SocketAddr) -> bool {
        self.knock(from, to, DEFAULT_TTL)
    }

    fn knock(&mut self, from: impl Into<SocketAddr>, to: SocketAddr, ttl: u8) -> bool {
        let sent = self.internet.send(self.now, from.into(), to, b"knock".to_vec(), ttl);
        let heard = self.pass(SECOND);
        sent.is_ok() && heard.iter().any(|heard| heard.host == self.home)
    }
}

/// What can be told from outside of a home whose datagrams get out.
#[derive(Debug, PartialEq)]
struct Seen {
    /// `None`: it is seen where it is.
    mapping: Option<Mapping>,
    keeps_port: bool,
    /// `None`: it is reached before it said anything.
    filtering: Option<Filtering>,
}

/// `None`: nothing gets out.
fn measure(nat_type: NatType) -> Option<Seen> {
    let seen: Option<Vec<_>> = {
        let mut lab = Lab::new(nat_type);
        [ALICE, ALICE_TOO, BOB].into_iter().map(|whom| lab.seen_by(whom)).collect()
    };
    let seen = seen?;
    let own = SocketAddr::new(Lab::new(nat_type).internet.kernel_mut(HostId::new(0)).ip(), HOME.1);
    let mapping = match seen.iter().collect::<BTreeSet<_>>().len() {
        1 if seen[0] == own => None,
        1 => Some(Mapping::EndpointIndependent),
        3 => Some(Mapping::AddressAndPortDependent),
        _ => panic!("{nat_type} maps by the address only: {seen:?}"),
    };
    let filtering = if Lab::new(nat_type).reaches(BOB, HOME.into()) {
        None
    } else {
        let mut lab = Lab::new(nat_type);
        let at = lab.seen_by(ALICE).expect("it was heard before");
        let gets_in = [ALICE, ALICE_TOO, BOB].map(|from| lab.reaches(from, at));
        Some(match gets_in {
            [true, true, true] => Filtering::EndpointIndependent,
            [true, true, false] => Filtering::AddressDependent,
            [true, false, false] => Filtering::AddressAndPortDependent,
            _ => panic!("{nat_type} lets in {gets_in:?}"),
        })
    };
    Some(Seen { mapping, keeps_port: seen[0].port() == HOME.1, filtering })
}

#[test]
fn each_type_looks_from_outside_as_its_row_of_the_table_says() {
    use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let row = |mapping, keeps_port, filtering| Some(Seen { mapping, keeps_port, filtering });
    let same = Some(Mapping::EndpointIndependent);
    let varies = Some(Mapping::AddressAndPortDependent);
    let table = [
        (NatType::Open, row(None, true, None)),
        (NatType::Firewall, row(None, true, Some(AddressAndPortDependent))),
        (NatType::FullCone, row(same, false, Some(EndpointIndependent))),
        (NatType::AddressRestricted, row(same, false, Some(AddressDependent))),
        (NatType::PortRestricted, row(same, false, Some(AddressAndPortDependent))),
        (NatType::Linux, row(same, true, Some(AddressAndPortDependent))),
        (NatType::Clash, row(same, true, Some(AddressAndPortDependent))),
        (NatType::CarrierGrade, row(same, false, Some(AddressAndPortDependent))),
        (NatType::Symmetric, row(varies, false, Some(AddressAndPortDependent))),
        (NatType::Blocked, None),
    ];
    assert_eq!(table.each_ref().map(|(nat_type, _)| *nat_type), NatType::ALL);
    for (nat_type, seen) in table {
        assert_eq!(measure(nat_type), seen, "{nat_type}");
        let translates = seen.is_some_and(|seen| seen.mapping.is_some());
        assert_eq!(nat_type.behavior().is_some(), translates, "{nat_type}");
    }
}

#[test]
fn each_type_has_a_word_of_its_own_that_names_it() {
    for nat_type in NatType::ALL {
        assert_eq!(nat_type.to_string().parse(), Ok(nat_type));
    }
    let error = "natural".parse::<NatType>().unwrap_err().to_string();
    assert!(error.ends_with("open fw full addr port linux clash cgn sym blocked"), "{error}");
}

#[test]
fn a_host_behind_a_translator_knows_its_address_inside_only() {
    for nat_type in NatType::ALL {
        let mut lab = Lab::new(nat_type);
        let own = lab.internet.kernel_mut(lab.home).ip();
        let is_inside = own == INSIDE;
        assert_eq!(is_inside, nat_type.behavior().is_some(), "{nat_type}");
        assert!(is_inside || own == SocketAddr::from(HOME).ip(), "{nat_type}");
    }
}

#[test]
fn streams_go_out_of_every_home_and_come_in_at_the_open_one_only() {
    for nat_type in NatType::ALL {
        let mut lab = Lab::new(nat_type);
        let out = lab.internet.connect(lab.now, lab.home, ALICE.into());
        let connected = Event::Connected { id: out };
        assert!(lab.pass(SECOND).iter().any(|heard| heard.event == connected), "{nat_type}");
        // The full cone's port was mapped for datagrams, and is not for streams.
        let at = lab.seen_by(ALICE).unwrap_or(HOME.into());
        let alice = HostId::new(1);
        let id = lab.internet.connect(lab.now, alice, at);
        let told = match nat_type {
            NatType::Open => Event::Connected { id },
            _ => Event::Closed { id, why: Closed::TimedOut },
        };
        let heard = lab.pass(60 * SECOND).into_iter().filter(|heard| heard.host == alice);
        assert_eq!(heard.map(|heard| heard.event).collect::<Vec<_>>(), [told], "{nat_type}");
    }
}

#[test]
fn who_knocks_at_a_clashing_router_before_the_inside_spoke_drives_it_to_another_port() {
    for nat_type in [NatType::Linux, NatType::Clash] {
        let mut lab = Lab::new(nat_type);
        assert!(!lab.reaches(ALICE, HOME.into()));
        let at = lab.seen_by(ALICE).unwrap();
        assert_eq!(at == HOME.into(), nat_type == NatType::Linux, "{nat_type}");
        assert!(lab.reaches(ALICE, at), "{nat_type}");
        // The flow is taken, and not the port: others see it as before.
        assert_eq!(lab.seen_by(ALICE_TOO), Some(HOME.into()), "{nat_type}");
        assert_eq!(lab.seen_by(BOB), Some(HOME.into()), "{nat_type}");
        lab.pass(FLOW_TIMEOUT);
        assert_eq!(lab.seen_by(ALICE), Some(HOME.into()), "{nat_type}: it was forgotten");
    }
}

#[test]
fn an_opener_that_dies_behind_its_own_router_lets_in_who_would_have_clashed() {
    let mut lab = Lab::new(NatType::Clash);
    assert_eq!(lab.speak(HOME.1, ALICE, 2), Err(Loss::Expired));
    assert!(lab.reaches(ALICE, HOME.into()));
    assert_eq!(lab.seen_by(ALICE), Some(HOME.into()));
}

#[test]
fn an_opener_that_dies_at_the_other_router_clashes_and_one_hop_before_it_does_not() {
    for (ttl, clashes) in [(2, false), (3, true)] {
        let mut lab = Lab::new(NatType::Clash);
        let alice = HostId::new(1);
        lab.internet.kernel_mut(alice).put_behind(NatType::Linux, 8);
        let opener = b"opener".to_vec();
        let sent = lab.internet.send_from(lab.now, alice, ALICE.1, HOME.into(), opener, ttl);
        assert_eq!(sent.is_err(), !clashes, "a hop limit of {ttl}");
        assert!(lab.pass(SECOND).is_empty(), "a hop limit of {ttl}");
        assert_eq!(lab.seen_by(ALICE).is_none(), clashes, "a hop limit of {ttl}");
    }
}

#[test]
fn an_opener_must_pass_both_boxes_of_a_home_behind_a_carrier() {
    for (ttl, opens) in [(1, false), (2, false), (3, true)] {
        let mut lab = Lab::new(NatType::CarrierGrade);
        let at = lab.seen_by(BOB).unwrap();
        assert!(!lab.reaches(ALICE, at));
        assert_eq!(lab.speak(HOME.1, ALICE, ttl), Err(Loss::Expired));
        assert_eq!(lab.reaches(ALICE, at), opens, "a hop limit of {ttl}");
    }
}

#[test]
fn a_flow_lasts_half_a_minute_from_the_last_packet_of_the_inside_whatever_comes_in() {
    let filters = |nat_type: &NatType| !matches!(nat_type, NatType::Open | NatType::Blocked);
    for nat_type in NatType::ALL.into_iter().filter(filters) {
        let mut lab = Lab::new(nat_type);
        let at = lab.seen_by(ALICE).unwrap();
        lab.pass(25 * SECOND);
        assert!(lab.reaches(ALICE, at), "{nat_type}");
        assert_eq!(lab.seen_by(ALICE), Some(at), "{nat_type}");
        lab.pass(25 * SECOND);
        assert!(lab.reaches(ALICE, at), "{nat_type}: the inside refreshed it");
        lab.pass(5 * SECOND);
        assert!(!lab.reaches(ALICE, at), "{nat_type}: the outside does not");
    }
}

#[test]
fn a_mapping_lasts_while_the_inside_speaks_to_anybody() {
    for nat_type in [NatType::FullCone, NatType::AddressRestricted, NatType::PortRestricted] {
        let mut lab = Lab::new(nat_type);
        let at = lab.seen_by(ALICE).unwrap();
        lab.pass(20 * SECOND);
        assert_eq!(lab.seen_by(BOB), Some(at), "{nat_type}");
        lab.pass(20 * SECOND);
        let lets_in_alice = nat_type == NatType::FullCone;
        assert_eq!(lab.reaches(ALICE, at), lets_in_alice, "{nat_type}");
        assert_eq!(lab.seen_by(ALICE), Some(at), "{nat_type}");
    }
}

#[test]
fn a_box_that_reboots_knows_of_no_flow_and_begins_anew() {
    let filters = |nat_type: &NatType| !matches!(nat_type, NatType::Open | NatType::Blocked);
    for nat_type in NatType::ALL.into_iter().filter(filters) {
        let mut lab = Lab::new(nat_type);
        let at = lab.seen_by(ALICE).unwrap();
        lab.internet.kernel_mut(lab.home).reboot_boxes();
        assert!(!lab.reaches(ALICE, at), "{nat_type}");
        let keeps = matches!(nat_type, NatType::Firewall | NatType::Linux);
        let again = lab.seen_by(ALICE).unwrap();
        // The router that clashes took the knock for a flow of its own.
        assert_eq!(again == at, keeps, "{nat_type}");
        assert!(lab.reaches(ALICE, again), "{nat_type}");
    }
}

#[test]
fn a_home_that_is_renumbered_is_seen_elsewhere_and_reached_by_nobody_it_spoke_to() {
    let elsewhere = SocketAddr::from(([198, 51, 100, 99], HOME.1));
    for nat_type in NatType::ALL.into_iter().filter(|nat_type| *nat_type != NatType::Blocked) {
        let mut lab = Lab::new(nat_type);
        let at = lab.seen_by(ALICE).unwrap();
        lab.internet.move_host(lab.home, HOME.into(), elsewhere);
        assert!(!lab.reaches(ALICE, at), "{nat_type}: nobody is there");
        let moved = SocketAddr::new(elsewhere.ip(), at.port());
        let still_mapped = nat_type == NatType::Open;
        assert_eq!(lab.reaches(ALICE, moved), still_mapped, "{nat_type}");
        assert_eq!(lab.seen_by(BOB).unwrap().ip(), elsewhere.ip(), "{nat_type}");
        let own = lab.internet.kernel_mut(lab.home).ip();
        let inside = nat_type.behavior().map_or(elsewhere.ip(), |_| INSIDE.into());
        assert_eq!(own, inside, "{nat_type}");
    }
}

#[test]
fn a_host_reaches_itself_at_its_outer_address_only_through_a_box_that_hairpins() {
    let other_port = 9999;
    for nat_type in NatType::ALL {
        let Some(behavior) = nat_type.behavior() else { continue };
        let mut lab = Lab::new(nat_type);
        let at = lab.seen_by(ALICE).unwrap();
        assert_eq!(lab.speak(other_port, at, DEFAULT_TTL), Err(Loss::Filtered), "{nat_type}");
        if behavior.filtering != Filtering::EndpointIndependent {
            continue;
        }
        let mut lab = Lab::new(NatType::Open);
        let outside = SocketAddr::from(HOME).ip();
        let hairpin = Translator::new(outside, behavior, Dice::new(7)).with_hairpinning();
        let kernel = lab.internet.kernel_mut(lab.home);
        kernel.renumber(INSIDE.into());
        kernel.install(Box::new(hairpin));
        let at = lab.seen_by(ALICE).unwrap();
        lab.speak(other_port, at, DEFAULT_TTL).unwrap();
        let heard = lab.pass(SECOND);
        let from = heard.iter().find_map(|heard| match heard.event {
            Event::Datagram { from, .. } if heard.host == lab.home => Some(from),
            _ => None,
        });
        // As from outside, and not as from a neighbour.
        assert_eq!(from.map(|from| from.ip()), Some(outside), "{nat_type}");
    }
}

#[test]
fn a_packet_whose_hop_limit_ends_at_the_router_is_not_passed_on_to_who_asked_for_it() {
    for (ttl, arrives) in [(2, false), (3, true)] {
        let mut lab = Lab::new(NatType::Linux);
        let at = lab.seen_by(ALICE).unwrap();
        assert_eq!(lab.knock(ALICE, at, ttl), arrives, "a hop limit of {ttl}");
    }
}

#[test]
fn a_port_that_is_to_be_another_one_is_never_the_one_inside() {
    let outside = SocketAddr::from(HOME).ip();
    let inside = SocketAddr::new(INSIDE.into(), 20_000);
    let header = Header { protocol: Protocol::Udp, from: inside, to: ALICE.into(), ttl: 9 };
    let behavior = NatType::PortRestricted.behavior().unwrap();
    let mapped = |seed| {
        let mut translator = Translator::new(outside, behavior, Dice::new(seed));
        match translator.outbound(Time::ZERO, header) {
            Verdict::Forward(header) => header.from.port(),
            Verdict::Drop => panic!("there are 9,999 free ports"),
        }
    };
    // So many draws of one port of 10,000 that it would be drawn but for a chance of e^-5.
    let ports: Vec<_> = (0..50_000).map(mapped).collect();
    assert!(ports.iter().all(|port| (20_001..=29_999).contains(port)));
    assert!(ports.contains(&20_001) && ports.contains(&29_999));
}

#[test]
fn a_stream_that_is_asked_for_from_both_ends_at_once_does_not_come_in_either() {
    for nat_type in NatType::ALL {
        let [home, remote] = [HOME, ALICE].map(SocketAddr::from);
        let inside = nat_type.behavior().map_or(home.ip(), |_| INSIDE.into());
        let from = SocketAddr::new(inside, HOME.1);
        let mut header = Header { protocol: Protocol::Tcp, from, to: remote, ttl: 9 };
        let mut boxes = nat_type.boxes(home.ip(), 7);
        for middlebox in &mut boxes {
            let Verdict::Forward(changed) = middlebox.outbound(Time::ZERO, header) else {
                panic!("streams go out of {nat_type}");
            };
            header = changed;
        }
        let back = Header { from: remote, to: header.from, ..header };
        let comes_in = boxes.last_mut().map(|last| last.inbound(Time::ZERO, back));
        assert!(comes_in.is_none_or(|verdict| verdict == Verdict::Drop), "{nat_type}");
    }
}

#[test]
fn a_port_that_is_forwarded_lets_in_strangers_and_streams_until_the_router_starts_again() {
    let [home, alice] = [SocketAddr::from(HOME), SocketAddr::from(ALICE)];
    let answers = |lab: &mut Lab| {
        let gets_in = lab.reaches(alice, home);
        gets_in && lab.seen_by(alice) == Some(home)
    };
    for nat_type in NatType::ALL.into_iter().filter(|nat_type| nat_type.behavior().is_some()) {
        let mut lab = Lab::new(nat_type);
        lab.internet.kernel_mut(lab.home).forward_port(HOME.1);
        let is_forwarded = nat_type != NatType::CarrierGrade;
        assert_eq!(answers(&mut lab), is_forwarded, "{nat_type}");
        let id = lab.internet.connect(lab.now, HostId::new(1), home);
        let connected = Event::Connected { id };
        let connects = lab.pass(SECOND).iter().any(|heard| heard.event == connected);
        assert_eq!(connects, is_forwarded, "{nat_type}");
        lab.internet.kernel_mut(lab.home).reboot_boxes();
        assert!(!lab.reaches(BOB, home), "{nat_type}");
    }
}
