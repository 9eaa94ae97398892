//! Stories of nodes at home, behind whatever translator: they talk through a node that both are
//! linked to, and directly where that can be.

use positron_proto::{
    nat::{Filtering, TrialSender},
    relay::PathPolicy,
    session::sessions::LinkKind,
    time::Duration,
};
use positron_sim::{AddressBlock, Fault, Listen, NatType, Scenario, Selector, Workload, World};

const HOMES: [usize; 2] = [1, 2];

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two homes, and a node on the internet that both are linked to.
fn homes(types: [NatType; 2]) -> Scenario {
    let name = format!("{} and {}", types[0], types[1]);
    let mut story = Scenario::quiet(&name, 3, secs(160));
    story.listen = Listen::Port;
    story.addresses = AddressBlock::Public;
    // Nobody is told of others, and dials them uninvited.
    story.config.peers.min_peers = 1;
    let [a, b] = HOMES;
    story.at_home(a, types[0]).at_home(b, types[1])
}

/// Over what kind of link the session of two nodes goes, if there is one.
fn link(world: &World, of: usize, to: usize) -> Option<LinkKind> {
    let id = world.id(to);
    let mut sessions = world.view(of)?.peers.into_iter().map(|peer| peer.session);
    sessions.find(|session| session.peer.id == id).map(|session| session.transport)
}

#[test]
fn two_homes_talk_through_the_node_that_both_are_linked_to() {
    for seed in 0..5 {
        let mut world = World::new(&homes([NatType::Blocked; 2]), seed);
        world.run_until(secs(20));
        let [from, to] = HOMES;
        assert_eq!(world.say(Workload::Direct { from, to, bytes: 200 }), Some(Ok(())));
        world.run_until(secs(21));
        assert_eq!(link(&world, from, to), Some(LinkKind::Relay), "seed {seed}: within a second");
        world.run_until(secs(160));
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.directs.sent, report.directs.acknowledged), (1, 1), "seed {seed}");
    }
}

/// What hole punching can do: a port that only its receiver sees is of no use to who asks for it.
fn can_meet(types: [NatType; 2]) -> bool {
    use NatType::{AddressRestricted, Blocked, FullCone, Open, Symmetric};
    let [a, b] = types;
    let asks_for_the_port = |of| !matches!(of, Open | FullCone | AddressRestricted);
    let in_vain = |a, b| a == Symmetric && asks_for_the_port(b);
    !types.contains(&Blocked) && !in_vain(a, b) && !in_vain(b, a)
}

/// Of what the link of a pair is made once everything was tried.
fn best(types: [NatType; 2]) -> LinkKind {
    match types {
        [NatType::Open, NatType::Blocked] | [NatType::Blocked, NatType::Open] => LinkKind::Tcp,
        types if can_meet(types) => LinkKind::Udp,
        _ => LinkKind::Relay,
    }
}

/// Lets the first home say something to the second at 20 s, and tells of what their link is made
/// after so many seconds more.
fn meet(types: [NatType; 2], seed: u64, after: u64) -> (World, Option<LinkKind>) {
    let mut world = World::new(&homes(types), seed);
    world.run_until(secs(20));
    let [from, to] = HOMES;
    assert_eq!(world.say(Workload::Direct { from, to, bytes: 200 }), Some(Ok(())));
    world.run_until(secs(20 + after));
    let found = link(&world, from, to);
    (world, found)
}

#[test]
fn homes_of_every_pair_of_types_are_linked_directly_where_that_can_be() {
    let pairs = NatType::ALL.into_iter().flat_map(|a| NatType::ALL.map(|b| [a, b]));
    let mut wrong = Vec::new();
    for types in pairs {
        let (mut world, found) = meet(types, 7, 4);
        if found != Some(best(types)) {
            wrong.push(format!("{}-{}: {found:?}, not {:?}", types[0], types[1], best(types)));
        }
        world.run_until(secs(160));
        world.finish().expect_ok();
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn homes_that_are_far_apart_in_time_find_each_other_too() {
    let mut took = Vec::new();
    let pairs = NatType::ALL.into_iter().flat_map(|a| NatType::ALL.map(|b| [a, b]));
    for (types, seed) in pairs.filter(|types| can_meet(*types)).zip(0..) {
        let mut story = homes(types);
        story.physics.delay = (Duration::from_millis(10), Duration::from_millis(300));
        story.physics.loss = 0.0;
        let mut world = World::new(&story, seed);
        world.run_until(secs(20));
        let [from, to] = HOMES;
        // The rest goes over the relay meanwhile, in front of what is said to find the path.
        for bytes in [200, 40_000, 40_000, 40_000] {
            assert_eq!(world.say(Workload::Direct { from, to, bytes }), Some(Ok(())));
        }
        let steps = (1..=200).map(|step| Duration::from_millis(100 * step));
        let mut relayed = None;
        let direct = steps.map(|after| (after, secs(20) + after)).find(|(_, at)| {
            world.run_until(*at);
            let found = link(&world, from, to);
            relayed = relayed.or(found.map(|_| at.as_millis() - 20_000));
            found == Some(LinkKind::Udp)
        });
        let name = format!("{}-{}, seed {seed}", types[0], types[1]);
        let direct = direct.unwrap_or_else(|| panic!("{name}: no direct path")).0;
        let rounds = world.view(from).unwrap().counters.nat.rounds;
        println!("{name}: linked after {relayed:?} ms, directly {direct:?}, {rounds} rounds");
        took.push((relayed, direct));
    }
    for which in ["linked", "directly"] {
        let pick = |it: &(Option<u128>, Duration)| match which {
            "linked" => it.0.unwrap(),
            _ => it.1.as_millis(),
        };
        let mut took: Vec<u128> = took.iter().map(pick).collect();
        took.sort_unstable();
        let at = |part: usize| took[(took.len() - 1) * part / 100];
        println!(
            "{} pairs {which}: p50 {} ms, p90 {}, max {}",
            took.len(),
            at(50),
            at(90),
            at(100)
        );
    }
}

/// Of each kind that asks for the port, with one whose port is another one for everybody.
fn hard_pairs() -> impl Iterator<Item = [NatType; 2]> {
    let pairs = NatType::ALL.into_iter().flat_map(|a| NatType::ALL.map(|b| [a, b]));
    pairs.filter(|types| {
        let is_hard = types[0] == NatType::Symmetric || types[1] == NatType::Symmetric;
        is_hard && types[0] != types[1] && !types.contains(&NatType::Blocked) && !can_meet(*types)
    })
}

#[test]
fn who_is_seen_at_another_port_by_everybody_is_found_by_guessing_once_it_is_worth_it() {
    let mut took = Vec::new();
    for (types, seed) in hard_pairs().flat_map(|types| (0..4).map(move |seed| (types, seed))) {
        let mut story = homes(types);
        let second = story.nodes;
        story.nodes += 1;
        let mut world = World::new(&story, seed);
        world.run_until(secs(10));
        let [from, to] = HOMES;
        // Who has one peer only does not know that its port varies.
        for home in HOMES {
            let hello = Workload::Direct { from: home, to: second, bytes: 200 };
            assert_eq!(world.say(hello), Some(Ok(())));
        }
        world.run_until(secs(20));
        assert_eq!(world.say(Workload::Direct { from, to, bytes: 100_000 }), Some(Ok(())));
        let steps = (1..=100).map(|step| Duration::from_millis(100 * step));
        let direct = steps.map(|after| (after, secs(20) + after)).find(|(_, at)| {
            world.run_until(*at);
            link(&world, from, to) == Some(LinkKind::Udp)
        });
        let name = format!("{}-{}, seed {seed}", types[0], types[1]);
        took.push(direct.unwrap_or_else(|| panic!("{name}: no direct path")).0);
        world.run_until(secs(160));
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.directs.sent, report.directs.acknowledged), (3, 3), "{name}");
    }
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_millis();
    println!("{} searches: p50 {} ms, p90 {}, max {}", took.len(), at(50), at(90), at(100));
}

#[test]
fn a_stream_that_begins_over_a_relay_goes_on_over_the_direct_path_and_is_whole() {
    for (seed, types) in [[NatType::Linux; 2], [NatType::FullCone, NatType::Symmetric]]
        .into_iter()
        .flat_map(|types| (0..3).map(move |seed| (seed, types)))
    {
        let mut world = World::new(&homes(types), seed);
        world.run_until(secs(20));
        let [from, to] = HOMES;
        let bytes = 8 << 20;
        assert_eq!(world.say(Workload::Stream { from, to, bytes }), Some(Ok(())));
        world.run_until(secs(160));
        assert_eq!(link(&world, from, to), Some(LinkKind::Udp), "seed {seed}");
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.streams.opened, report.streams.delivered), (1, 1), "seed {seed}");
    }
}

#[test]
fn when_a_router_forgets_a_direct_path_two_homes_go_on_over_the_relay_and_find_another_one() {
    for seed in 0..3 {
        let (mut world, found) = meet([NatType::PortRestricted; 2], seed, 10);
        assert_eq!(found, Some(LinkKind::Udp), "seed {seed}");
        let [from, to] = HOMES;
        world.apply(&Fault::RebootBoxes(Selector::Node(to)));
        let mut kinds = Vec::new();
        for second in 31..=100 {
            // Who hears nothing of its router and says nothing is not found before its next sign of
            // life.
            for [from, to] in [[from, to], [to, from]] {
                assert!(world.say(Workload::Direct { from, to, bytes: 200 }).is_some());
            }
            world.run_until(secs(second));
            kinds.push(link(&world, from, to));
        }
        let lost = kinds.iter().filter(|kind| kind.is_none()).count();
        assert!(lost <= 3, "seed {seed}: {kinds:?}");
        let moves = world.view(from).unwrap().moves;
        assert_eq!((moves[LinkKind::Relay], moves[LinkKind::Udp]), (1, 2), "seed {seed}");
        assert_eq!(kinds.last(), Some(&Some(LinkKind::Udp)), "seed {seed}: {kinds:?}");
        world.run_until(secs(160));
        let report = world.finish();
        report.expect_ok();
        assert_eq!(report.directs.sent, report.directs.acknowledged, "seed {seed}");
    }
}

/// Two homes in a network whose nodes take these paths alone; tells
/// over what they are linked a minute after one had something for the other.
fn meet_by(paths: PathPolicy, types: [NatType; 2]) -> Option<LinkKind> {
    let mut story = homes(types);
    story.config.relay.paths = paths;
    story.config.peers.hidden = paths == PathPolicy::RelayOnly;
    let mut world = World::new(&story, 3);
    world.run_until(secs(20));
    let [from, to] = HOMES;
    assert_eq!(world.say(Workload::Direct { from, to, bytes: 200 }), Some(Ok(())));
    world.run_until(secs(80));
    for node in 0..3 {
        let view = world.view(node).unwrap();
        let tells = !view.external_addresses.is_empty() || !view.candidates.is_empty();
        assert!(!(tells && paths == PathPolicy::RelayOnly), "node {node} tells where it is");
    }
    link(&world, from, to)
}

#[test]
fn a_node_that_takes_no_relays_is_not_linked_through_one() {
    let types = [NatType::Symmetric; 2];
    assert_eq!(meet_by(PathPolicy::Any, types), Some(LinkKind::Relay));
    assert_eq!(meet_by(PathPolicy::DirectOnly, types), None);
}

#[test]
fn a_node_that_tells_nobody_where_it_is_stays_behind_its_relay() {
    for types in [[NatType::Linux; 2], [NatType::Open; 2]] {
        assert_eq!(meet_by(PathPolicy::RelayOnly, types), Some(LinkKind::Relay), "{types:?}");
    }
}

/// Homes among nodes on the internet: more than each of them knows, so that some are strangers.
fn homes_among_many(types: &[NatType]) -> Scenario {
    let mut story = Scenario::quiet("homes among many", MANY + types.len(), secs(200));
    story.listen = Listen::Port;
    story.addresses = AddressBlock::Public;
    types.iter().enumerate().fold(story, |story, (n, it)| story.at_home(MANY + n, *it))
}

/// Nodes on the internet, in networks of 16 owners.
const MANY: usize = 48;

/// Who is let in, as theory says.
fn filtering(nat_type: NatType) -> Filtering {
    match nat_type {
        NatType::Open | NatType::FullCone => Filtering::EndpointIndependent,
        NatType::AddressRestricted => Filtering::AddressDependent,
        NatType::Blocked => Filtering::Unknown,
        _ => Filtering::AddressAndPortDependent,
    }
}

/// Every kind of home alone among nodes on the internet: what each names wrongly.
#[track_caller]
fn expect_filtering_is_named(story: impl Fn(NatType) -> Scenario, seed: u64) {
    let mut wrong = Vec::new();
    for nat_type in NatType::ALL {
        let story = story(nat_type);
        let mut world = World::new(&story, seed);
        world.run_until(secs(15));
        let view = world.view(story.nodes - 1).unwrap();
        let nat = &view.nat.ipv4;
        if nat.filtering != filtering(nat_type) {
            wrong.push(format!("{nat_type}: {nat:?}, not {:?}", filtering(nat_type)));
        }
    }
    assert!(wrong.is_empty(), "seed {seed}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_node_finds_out_from_its_peers_who_is_let_in() {
    expect_filtering_is_named(|nat_type| homes_among_many(&[nat_type]), 3);
}

/// A home in a network so small that all are linked with all, soon.
fn home_among_few(nat_type: NatType) -> Scenario {
    let mut story = Scenario::quiet("a home among few", FEW + 1, secs(800));
    story.listen = Listen::Port;
    story.addresses = AddressBlock::Public;
    story.at_home(FEW, nat_type)
}

/// With a home they are a dozen.
const FEW: usize = 11;

#[test]
fn who_is_let_in_is_found_out_among_a_dozen() {
    for seed in 0..3 {
        expect_filtering_is_named(home_among_few, seed);
    }
}

#[test]
fn who_is_let_in_is_found_out_again_where_nobody_is_a_stranger_any_more() {
    for nat_type in [NatType::Open, NatType::FullCone, NatType::AddressRestricted] {
        let mut world = World::new(&home_among_few(nat_type), 1);
        world.run_until(secs(700));
        let nat = world.view(FEW).unwrap().nat.ipv4;
        assert_eq!(nat.filtering, filtering(nat_type), "{nat_type}: {nat:?}");
        let is_let_in = nat.filtering == Filtering::EndpointIndependent;
        // To a socket that was opened for it.
        let mut trials = nat.filtering_evidence.iter();
        let is_new = trials.any(|it| {
            let is_it = it.sender == TrialSender::Stranger && !it.is_listening_socket;
            is_it && it.arrived == is_let_in && it.age < secs(100)
        });
        assert!(is_new, "{nat_type}: {nat:?}");
    }
}

#[test]
fn a_port_that_somebody_opened_in_the_router_is_not_said_to_be_shut() {
    // Those that keep its number: it is seen where it is opened.
    for nat_type in [NatType::Linux, NatType::Clash] {
        let mut story = home_among_few(nat_type);
        story.forwarded.push(FEW);
        let mut world = World::new(&story, 1);
        for second in [15, 30, 700] {
            world.run_until(secs(second));
            let nat = world.view(FEW).unwrap().nat.ipv4;
            assert!(nat.filtering != Filtering::Unknown && !nat.is_shut(), "{nat_type}: {nat:?}");
        }
    }
}

#[test]
fn a_clashing_home_that_says_through_whom_it_is_reached_is_met() {
    for seed in 0..2 {
        let mut world = World::new(&homes_among_many(&[NatType::Clash; 2]), seed);
        let [from, to] = [MANY, MANY + 1];
        let is_judged = |world: &World| world.view(to).is_some_and(|view| view.nat.ipv4.is_shut());
        // Whoever asks all of its peers in vain asks again later, and its record is not everywhere
        // at once.
        let met = (20..=120).step_by(5).find(|at| {
            world.run_until(secs(*at));
            if !is_judged(&world) {
                return false;
            }
            let view = world.view(to).unwrap();
            assert_eq!(view.external_addresses, [], "seed {seed}: nobody comes uninvited");
            assert!(world.say(Workload::Direct { from, to, bytes: 200 }).is_some());
            world.run_until(secs(at + 4));
            link(&world, from, to) == Some(LinkKind::Udp)
        });
        let met = met.unwrap_or_else(|| panic!("seed {seed}: not met"));
        println!("seed {seed}: met by {met} s");
    }
}
