use std::{collections::VecDeque, net::SocketAddr};

use super::world::{World, address, config, crowd, network};
use crate::{
    handshake::Direction,
    id::LinkId,
    identity::{Identity, Signed},
    misbehavior::{Misbehavior, Observation},
    peers::{PeersConfig, PeersEffect, PeersMessage, StatedRelays},
    session::sessions::{DownReason, LinkDown, Peer, Purpose},
    time::Duration,
    wire::{Address, frame::CloseReason, record::PeerRecord},
};

/// Somebody who says what it likes.
pub(super) struct Stranger {
    me: Identity,
    pub peer: Peer,
}

impl Stranger {
    pub(super) fn new(number: u8, addr: &str, direction: Direction) -> Self {
        let me = Identity::from_seed([number; 32]);
        let peer = Peer {
            id: me.node_id(),
            key: *me.public_key(),
            noise_static: [number; 32],
            addr: addr.parse().unwrap(),
            direction,
            link: LinkId::of_driver(u64::from(number)),
            boot: 1,
        };
        Self { me, peer }
    }

    pub(super) fn record(&self, world: &World, addresses: &[&str]) -> Signed<PeerRecord> {
        let record = PeerRecord {
            key: self.peer.key,
            sequence: world.now.wall.as_unix_micros(),
            noise_static: self.peer.noise_static,
            capabilities: 0,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            carriers: Vec::new(),
            software: String::new(),
        };
        self.me.sign(record, &network()).claim().clone()
    }

    /// Is linked to the first node and says hello.
    fn hello(&self, world: &mut World, record: Signed<PeerRecord>) -> Vec<PeersEffect> {
        self.hello_with(world, record, "1.2.3.4:5", Vec::new())
    }

    pub(super) fn hello_with(
        &self,
        world: &mut World,
        record: Signed<PeerRecord>,
        observed: &str,
        peers: Vec<Signed<PeerRecord>>,
    ) -> Vec<PeersEffect> {
        let observed = observed.parse().unwrap();
        let now = world.now;
        let node = &mut world.nodes[0];
        let mut out = VecDeque::new();
        node.peers.peer_up(now, self.peer, &node.standings, &mut out);
        let hello = PeersMessage::Hello { answer: false, record, observed, peers };
        node.peers.handle_message(now, self.peer.id, hello, &node.standings, &mut out);
        let mut all = Vec::new();
        while let Some(done) = out.pop_front() {
            if let PeersEffect::Verify { from, record } = &done {
                let verdict = record.job(&network()).run();
                match record.clone().accept(verdict) {
                    Some(record) => node.peers.handle_verified(now, *from, record, &mut out),
                    None => {
                        node.peers.handle_refuted(now, *from, record.content().node_id(), &mut out);
                    }
                }
            }
            all.push(done);
        }
        node.peers.handle_timeout(now, &node.standings, &mut out);
        all.extend(out);
        all
    }
}

fn probes(out: &[PeersEffect]) -> Vec<SocketAddr> {
    let probed = out.iter().filter_map(|out| match out {
        PeersEffect::Dial(dial) if dial.purpose == Purpose::Probe => Some(dial.to),
        _ => None,
    });
    probed.collect()
}

fn alone() -> World {
    let mut world = World::new(1);
    world.add(&address(0), config());
    world
}

#[test]
fn a_peer_from_afar_cannot_make_us_dial_our_own_machine() {
    let all = ["127.0.0.1:22", "10.0.0.1:80", "192.168.1.1:80", "[::1]:5", "169.254.169.254:80"];
    for (number, from) in [(1, "5.5.5.5:1"), (2, "[2a00::1]:1")] {
        let mut world = alone();
        let stranger = Stranger::new(number, from, Direction::Inbound);
        let record = stranger.record(&world, &all);
        let out = stranger.hello(&mut world, record);
        assert_eq!(probes(&out), []);
        assert_eq!(world.nodes[0].peers.known().count(), 0);
    }
    let mut world = alone();
    let neighbour = Stranger::new(3, "10.0.0.9:1", Direction::Inbound);
    let record = neighbour.record(&world, &all);
    let out = neighbour.hello(&mut world, record);
    assert_eq!(probes(&out), ["10.0.0.1:80".parse().unwrap()]);

    let mut world = alone();
    let local = Stranger::new(4, "127.0.0.1:9", Direction::Inbound);
    let record = local.record(&world, &all);
    let out = local.hello(&mut world, record);
    assert_eq!(probes(&out), ["127.0.0.1:22".parse().unwrap()]);
}

#[test]
fn hearsay_about_our_own_machine_is_not_believed_from_afar_either() {
    let mut world = alone();
    let stranger = Stranger::new(1, "5.5.5.5:1", Direction::Inbound);
    let other = Stranger::new(2, "6.6.6.6:1", Direction::Inbound);
    let hearsay = other.record(&world, &["127.0.0.1:22", "192.168.0.1:80"]);
    let record = stranger.record(&world, &[]);
    let out = stranger.hello_with(&mut world, record, "1.2.3.4:5", vec![hearsay]);
    assert!(!out.iter().any(|out| matches!(out, PeersEffect::Dial(_))), "{out:?}");
    assert_eq!(world.nodes[0].peers.known().count(), 0);
}

#[test]
fn a_hello_with_the_record_of_somebody_else_ends_the_session() {
    let mut world = alone();
    let stranger = Stranger::new(1, "5.5.5.5:1", Direction::Inbound);
    let other = Stranger::new(2, "6.6.6.6:1", Direction::Inbound);
    let record = other.record(&world, &["6.6.6.6:1"]);
    let out = stranger.hello(&mut world, record);
    let wrong = Observation::Misbehaved(Misbehavior::ProtocolViolation);
    assert!(out.contains(&PeersEffect::Observed { peer: stranger.peer.id, what: wrong }));
    assert!(out.iter().any(|out| {
        matches!(out, PeersEffect::Disconnect { reason: CloseReason::Violation(_), .. })
    }));
}

#[test]
fn a_forged_record_is_held_against_who_brought_it() {
    let mut world = alone();
    let stranger = Stranger::new(1, "5.5.5.5:1", Direction::Inbound);
    let other = Stranger::new(2, "6.6.6.6:1", Direction::Inbound);
    let genuine = other.record(&world, &["6.6.6.6:1"]);
    let mut content = genuine.content().clone();
    content.addresses = vec!["7.7.7.7:1".parse().unwrap()];
    let forged = Signed::new(content, *genuine.signature());
    let record = stranger.record(&world, &["5.5.5.5:7"]);
    let out = stranger.hello_with(&mut world, record, "1.2.3.4:5", vec![forged]);
    let what = Observation::Misbehaved(Misbehavior::ForgedSignature);
    assert!(out.contains(&PeersEffect::Observed { peer: stranger.peer.id, what }));
    assert_eq!(world.nodes[0].peers.counters().records_forged, 1);
    assert_eq!(world.nodes[0].peers.known().count(), 1, "only the stranger itself");
}

#[test]
fn a_node_whose_clock_lost_the_year_still_learns_records() {
    let mut world = alone();
    let stranger = Stranger::new(1, "5.5.5.5:1", Direction::Inbound);
    let before = world.now;
    world.now.wall = before.wall + Duration::from_secs(50 * 365 * 86_400);
    let record = stranger.record(&world, &["5.5.5.5:7"]);
    world.now = before;
    let out = stranger.hello(&mut world, record);
    assert!(out.iter().any(|out| matches!(out, PeersEffect::Verify { .. })));
}

#[test]
fn an_inbound_peer_is_passed_on_only_after_a_probe_found_it() {
    let mut world = crowd(1, 2, &config());
    let told = |world: &World| {
        world.nodes[0].peers.known().filter(|known| known.dialled.is_some()).count()
    };
    assert!(world.run_until(Duration::from_secs(2), |world| told(world) == 1));
    assert_eq!(world.nodes[0].peers.counters().probes, 1);
    let probe = world.nodes[0].dialled.iter().find(|(_, dial)| dial.purpose == Purpose::Probe);
    assert_eq!(probe.unwrap().1.to, world.nodes[1].addr);
}

#[test]
fn an_address_of_somebody_else_is_passed_on_by_nobody_and_held_against_nobody() {
    let mut world = crowd(1, 3, &config());
    world.run(Duration::from_secs(10));
    let victim = world.nodes[2].addr.to_string();
    // The fourth node says that it listens where the third does.
    let bootstrap = vec![address(0)];
    let liar =
        world.add_bound(&address(3), &victim, PeersConfig { bootstrap, ..config() }, Vec::new());
    world.run(Duration::from_secs(300));
    let id = world.id(liar);
    assert!(!world.hostile, "where somebody is blamed, the world ends");
    for node in &world.nodes[..3] {
        assert!(node.said.iter().all(|(_, message)| match message {
            PeersMessage::Hello { peers, .. } | PeersMessage::Announcement(peers) =>
                peers.iter().all(|record| record.content().node_id() != id),
            _ => true,
        }));
    }
    assert!(world.linked(0, liar), "a link is not ended for it");
    let probes = world.nodes[0].peers.counters().probes;
    assert!(probes < 20, "{probes} probes");
}

#[test]
fn who_cannot_be_reached_is_probed_a_few_times_and_blamed_for_nothing() {
    let mut world = World::new(1);
    world.add(&address(0), config());
    let bootstrap = vec![address(0)];
    // Behind a translator that lets nobody in.
    let bound = "0.0.0.0:8888";
    world.add_bound("9.9.9.9:1", bound, PeersConfig { bootstrap, ..config() }, Vec::new());
    world.run(Duration::from_secs(1200));
    assert_eq!(world.nodes[1].peers.external_addresses(), ["9.9.9.9:8888".parse().unwrap()]);
    let probes = world.nodes[0].peers.counters().probes;
    assert!((1..=6).contains(&probes), "{probes} probes");
    let wrongs = world.nodes[0].observed.iter();
    assert!(wrongs.clone().all(|(_, what)| !matches!(what, Observation::Misbehaved(_))));
    assert!(world.linked(0, 1));
}

#[test]
fn behind_any_address_a_node_learns_its_own_from_others() {
    let mut world = World::new(1);
    let bootstrap = vec![address(0)];
    for node in 0..6 {
        let config = if node == 0 {
            config()
        } else {
            PeersConfig { bootstrap: bootstrap.clone(), ..config() }
        };
        world.add_bound(&address(node), "0.0.0.0:8888", config, Vec::new());
    }
    world.run(Duration::from_secs(30));
    for node in 0..6 {
        let own = world.nodes[node].peers.external_addresses();
        assert_eq!(own, [world.nodes[node].addr]);
    }
    assert!((0..6).all(|node| world.degree(node) == 5));
}

#[test]
fn where_the_operator_says_that_others_reach_us_is_first_in_our_record() {
    let mut world = World::new(1);
    world.add(&address(0), config());
    let told: Vec<SocketAddr> = ["9.9.9.9:443", "0.0.0.0:1"].map(|t| t.parse().unwrap()).into();
    let config = PeersConfig { bootstrap: vec![address(0)], external: told.clone(), ..config() };
    world.add_bound("9.9.9.9:1", "0.0.0.0:8888", config, Vec::new());
    world.run(Duration::from_secs(30));
    let wanted = [told[0], "9.9.9.9:8888".parse().unwrap()];
    assert_eq!(world.nodes[1].peers.external_addresses(), wanted);
    let heard: Vec<_> = world.nodes[0].peers.known().collect();
    let addresses = heard[0].record.content().addresses.iter();
    assert_eq!(addresses.filter_map(Address::socket_addr).collect::<Vec<_>>(), wanted);
}

#[test]
fn what_peers_of_one_family_see_does_not_contradict_those_of_the_other() {
    let mut world = World::new(1);
    world.add_bound(&address(0), "[::]:8888", config(), Vec::new());
    for (number, at, seen) in
        [(1, "5.5.5.5:1", "9.9.9.9:1234"), (2, "[2a00::5]:1", "[2a01::9]:1234")]
    {
        let dialled = Stranger::new(number, at, Direction::Outbound);
        let record = dialled.record(&world, &[]);
        dialled.hello_with(&mut world, record, seen, Vec::new());
    }
    world.run(Duration::from_secs(10));
    let both = ["9.9.9.9:8888", "[2a01::9]:8888"].map(|addr| addr.parse().unwrap());
    assert_eq!(world.nodes[0].peers.external_addresses(), both);
}

#[test]
fn a_mapped_port_takes_the_place_of_what_peers_see_and_leaves_the_other_family_alone() {
    let mut world = World::new(1);
    world.add_bound(&address(0), "[::]:8888", config(), Vec::new());
    observer(&mut world, 1, "5.5.5.5:1", "9.9.9.9:1234");
    observer(&mut world, 2, "[2a00::5]:1", "[2a01::9]:1234");
    assert_own(&mut world, &["9.9.9.9:8888", "[2a01::9]:8888"]);
    let mut map = |mapped: Option<SocketAddr>| {
        let stated = StatedRelays { mapped, ..StatedRelays::default() };
        world.act(0, |node, now, out| node.peers.handle_relays(now, stated, out));
        world.run(Duration::from_secs(10));
        world.nodes[0].peers.external_addresses()
    };
    let addrs = |texts: &[&str]| -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let mapped = "9.9.9.9:40001".parse().unwrap();
    assert_eq!(map(Some(mapped)), addrs(&["9.9.9.9:40001", "[2a01::9]:8888"]));
    assert_eq!(map(None), addrs(&["9.9.9.9:8888", "[2a01::9]:8888"]), "it is over");
    interfaces(&mut world, &["9.9.9.9"]);
    let stated = StatedRelays { mapped: Some(mapped), ..StatedRelays::default() };
    world.act(0, |node, now, out| node.peers.handle_relays(now, stated, out));
    let both = ["9.9.9.9:40001", "9.9.9.9:8888", "[2a01::9]:8888"];
    assert_own(&mut world, &both);
}

#[test]
fn one_liar_cannot_give_us_an_address_on_the_internet() {
    let mut world = World::new(1);
    world.add_bound(&address(0), "0.0.0.0:8888", config(), Vec::new());
    let liar = Stranger::new(1, "5.5.5.5:1", Direction::Inbound);
    let record = liar.record(&world, &[]);
    liar.hello_with(&mut world, record, "6.6.6.6:8888", Vec::new());
    assert!(world.nodes[0].peers.external_addresses().is_empty());
    let honest = Stranger::new(2, "7.7.7.7:1", Direction::Inbound);
    let record = honest.record(&world, &[]);
    honest.hello_with(&mut world, record, &address(0), Vec::new());
    assert!(world.nodes[0].peers.external_addresses().is_empty(), "one word against another");
    let second = Stranger::new(3, "8.8.8.8:1", Direction::Inbound);
    let record = second.record(&world, &[]);
    second.hello_with(&mut world, record, &address(0), Vec::new());
    assert_eq!(world.nodes[0].peers.external_addresses(), [address(0).parse().unwrap()]);
}

/// Who is linked to the first node and says in its hello that it sees it there.
pub(super) fn observer(world: &mut World, number: u8, at: &str, seen: &str) -> Stranger {
    let observer = Stranger::new(number, at, Direction::Outbound);
    let record = observer.record(world, &[]);
    observer.hello_with(world, record, seen, Vec::new());
    observer
}

impl Stranger {
    /// Its link to the first node is over.
    pub(super) fn leaves(&self, world: &mut World) {
        world.act(0, |node, now, out| {
            node.peers.peer_down(now, self.peer.id, &DownReason::Link(LinkDown::Eof), out);
        });
    }

    /// Says that it sees the first node elsewhere.
    pub(super) fn sees_at(&self, world: &mut World, at: &str) {
        let observed = PeersMessage::ObservedAddress(at.parse().unwrap());
        world.act(0, |node, now, out| {
            node.peers.handle_message(now, self.peer.id, observed, &node.standings, out);
        });
    }
}

/// The operating system tells the first node the addresses of its interfaces.
fn interfaces(world: &mut World, addresses: &[&str]) {
    let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    world.act(0, |node, now, out| node.peers.handle_interfaces(now, &addresses, out));
}

/// What the record of the first node says, when it had the time to make a new one.
#[track_caller]
pub(super) fn assert_own(world: &mut World, wanted: &[&str]) {
    world.run(Duration::from_secs(10));
    let wanted: Vec<SocketAddr> = wanted.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(world.nodes[0].peers.external_addresses(), wanted);
}

#[test]
fn an_address_that_an_interface_lost_is_forgotten_and_comes_back_with_it() {
    let mut world = World::new(1);
    world.add_bound(&address(0), "[::]:8888", config(), Vec::new());
    interfaces(&mut world, &["9.9.9.9", "192.168.0.9"]);
    let peers = [("5.5.5.5:1", "9.9.9.9:40"), ("192.168.0.5:1", "192.168.0.9:41")];
    let [far, near] = [0, 1].map(|n: u8| {
        let (at, seen) = peers[usize::from(n)];
        observer(&mut world, n + 1, at, seen)
    });
    assert_own(&mut world, &["9.9.9.9:8888", "192.168.0.9:8888"]);
    // A cable is out for a moment: nobody has to say anything again.
    interfaces(&mut world, &["192.168.0.9"]);
    assert_own(&mut world, &["192.168.0.9:8888"]);
    interfaces(&mut world, &["9.9.9.9", "192.168.0.9"]);
    assert_own(&mut world, &["9.9.9.9:8888", "192.168.0.9:8888"]);
    // Both move.
    interfaces(&mut world, &["8.8.8.8", "10.0.0.9"]);
    assert_own(&mut world, &[]);
    far.sees_at(&mut world, "8.8.8.8:40");
    near.sees_at(&mut world, "10.0.0.9:41");
    assert_own(&mut world, &["8.8.8.8:8888", "10.0.0.9:8888"]);
}

#[test]
fn one_word_is_enough_for_an_address_that_an_interface_has_and_no_lie_displaces_it() {
    for own in ["9.9.9.9", "10.0.0.9"] {
        let true_one = format!("{own}:8888");
        let mut world = World::new(1);
        world.add_bound(&address(0), "0.0.0.0:8888", config(), Vec::new());
        interfaces(&mut world, &[own]);
        // Guests, who choose themselves whom they dial, and come in numbers.
        for number in 1..=9 {
            let guest = Stranger::new(number, &format!("10.0.0.1{number}:1"), Direction::Inbound);
            let record = guest.record(&world, &[]);
            let lie = match number {
                1 => true_one.clone(),
                2..=5 => format!("{own}:1234"),
                _ => "10.6.6.6:8888".into(),
            };
            guest.hello_with(&mut world, record, &lie, Vec::new());
        }
        world.run(Duration::from_secs(10));
        let named = world.nodes[0].peers.external_addresses();
        assert!(named.contains(&true_one.parse().unwrap()), "{named:?}");
    }
}

#[test]
fn an_address_behind_a_translator_is_left_when_peers_of_two_networks_see_another() {
    let mut world = World::new(1);
    world.add_bound(&address(0), "0.0.0.0:8888", config(), Vec::new());
    interfaces(&mut world, &["192.168.0.9"]);
    let at = ["5.5.5.5:1", "6.6.6.6:1", "7.7.7.7:1"];
    let peers =
        [0, 1, 2].map(|n: u8| observer(&mut world, n + 1, at[usize::from(n)], "9.9.9.9:40"));
    assert_own(&mut world, &["9.9.9.9:8888"]);
    peers[0].sees_at(&mut world, "66.6.6.6:8888");
    assert_own(&mut world, &["9.9.9.9:8888"]);
    peers[1].sees_at(&mut world, "8.8.8.8:40");
    assert_own(&mut world, &["9.9.9.9:8888"]);
    peers[2].sees_at(&mut world, "8.8.8.8:41");
    assert_own(&mut world, &["8.8.8.8:8888"]);
}

#[test]
fn an_address_that_no_peer_of_several_networks_sees_is_left_though_they_do_not_agree() {
    let mut world = World::new(1);
    world.add_bound(&address(0), "0.0.0.0:8888", config(), Vec::new());
    let at = ["5.5.5.5:1", "6.6.6.6:1"];
    let peers = [0, 1].map(|n: u8| observer(&mut world, n + 1, at[usize::from(n)], "9.9.9.9:40"));
    assert_own(&mut world, &["9.9.9.9:8888"]);
    // One translator with several addresses shows a different one to each.
    peers[0].sees_at(&mut world, "8.8.8.8:40");
    peers[1].sees_at(&mut world, "8.8.4.4:40");
    assert_own(&mut world, &[]);
}

#[test]
fn a_peer_that_moves_is_told_where_it_is_seen_now_also_if_only_its_port_changed() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    let (to, before) = (world.id(1), world.nodes[0].said.len());
    let places = ["21.1.1.1:8888", "21.1.1.1:9999", "[::ffff:21.1.1.1]:9999"];
    for moved in places.map(|place| place.parse().unwrap()) {
        world.act(0, |node, now, out| {
            node.peers.handle_moved(now, to, moved, &node.standings, out);
        });
    }
    let place = |at: &str| PeersMessage::ObservedAddress(at.parse().unwrap());
    let told = [(to, place("21.1.1.1:8888")), (to, place("21.1.1.1:9999"))];
    assert_eq!(world.nodes[0].said[before..], told);
}

#[test]
fn our_record_grows_and_is_not_remade_all_the_time() {
    let mut world = World::new(1);
    world.add_bound("127.0.0.1:8888", "0.0.0.0:8888", config(), Vec::new());
    let mut sequences = Vec::new();
    for second in 0..20_u8 {
        let teller = Stranger::new(second + 1, "127.0.0.1:9", Direction::Inbound);
        let record = teller.record(&world, &[]);
        teller.hello_with(&mut world, record, &format!("127.0.{second}.1:8888"), Vec::new());
        world.run(Duration::from_millis(500));
        sequences.push(world.nodes[0].peers.own.record().sequence);
    }
    assert!(sequences.is_sorted());
    sequences.dedup();
    assert!(sequences.len() <= 4, "{} records in ten seconds", sequences.len());
}
