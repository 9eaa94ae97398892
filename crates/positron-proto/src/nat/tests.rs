//! What peers say, and what follows from it.

mod filtering;
mod mapped;
mod port_mapping;
mod punching;
mod scripted_router;
mod searching;
mod strangers;

use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::{
    handshake::Direction,
    id::NodeId,
    limits::{MAX_SIGHTINGS, SIGHTING_LIFE},
    rng::Seed,
    time::{Duration, Instant},
};

struct Story {
    nat: Nat,
    now: Instant,
}

impl Story {
    /// A machine with an address of a private network.
    fn new() -> Self {
        Self::at(&["192.168.1.7", "127.0.0.1"])
    }

    fn at(interfaces: &[&str]) -> Self {
        let mut nat = Nat::new(&[], &Seed::from_number(7));
        nat.handle_interfaces(&ips(interfaces));
        Self { nat, now: Instant::from_micros(5_000_000) }
    }

    /// Peer `n`, which we dialled over UDP, and which is in a /16 of its own, sees us there.
    fn sees(&mut self, n: u8, seen: &str) {
        self.says(n, [n, 1, 0, 1], seen, |_| {});
    }

    fn says(&mut self, n: u8, from: [u8; 4], seen: &str, but: impl FnOnce(&mut Sighting)) {
        let mut sighting = Sighting {
            peer: peer(n),
            from: SocketAddr::from((from, 9000)),
            direction: Direction::Outbound,
            seen: seen.parse().unwrap(),
            is_listening_socket: true,
        };
        but(&mut sighting);
        self.nat.handle_seen(self.now, sighting);
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn ipv4(&self) -> FamilyNat {
        self.nat.info(self.now).ipv4
    }
}

fn peer(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn three_owners_who_see_one_port_make_it_the_same_and_two_do_not() {
    let mut story = Story::new();
    assert_eq!(story.nat.info(story.now), NatInfo::default());
    story.sees(11, "203.0.113.5:4000");
    story.sees(12, "203.0.113.5:4000");
    assert_eq!(story.ipv4().mapping, PortMapping::Unknown);
    assert_eq!(story.ipv4().public_ip, Some("203.0.113.5".parse().unwrap()));
    assert!(story.ipv4().public_addresses.is_empty());
    story.sees(13, "203.0.113.5:4000");
    let info = story.ipv4();
    assert_eq!(info.mapping, PortMapping::Same);
    assert_eq!(info.public_addresses, ["203.0.113.5:4000".parse().unwrap()]);
    assert_eq!((info.behind_nat, info.evidence.len()), (Some(true), 3));
    let words = story.nat.info(story.now).in_words();
    assert_eq!(words, "behind a NAT: seen as 203.0.113.5:4000 by peers of 3 networks");
}

#[test]
fn many_peers_of_one_owner_have_one_voice() {
    let mut story = Story::new();
    for n in 0..20 {
        story.says(n, [60, 1, n, 1], "203.0.113.5:4000", |_| {});
    }
    assert_eq!(story.ipv4().mapping, PortMapping::Unknown);
}

#[test]
fn another_port_for_each_varies_and_a_liar_among_those_who_agree_changes_nothing() {
    let mut story = Story::new();
    for n in 11..14 {
        story.sees(n, &format!("203.0.113.5:{}", 4000 + u16::from(n)));
    }
    let info = story.ipv4();
    assert_eq!((info.mapping, info.behind_nat), (PortMapping::Varies, Some(true)));
    assert!(info.public_addresses.is_empty(), "none of them is of use to others");

    let mut story = Story::new();
    for n in 11..14 {
        story.sees(n, "203.0.113.5:4000");
    }
    story.sees(20, "203.0.113.5:5000");
    story.sees(21, "198.51.100.1:4000");
    assert_eq!(story.ipv4().mapping, PortMapping::Same);
    story.sees(12, "203.0.113.5:4001");
    story.sees(13, "203.0.113.5:4002");
    assert_eq!(story.ipv4().mapping, PortMapping::Varies, "they see it otherwise now");
    story.sees(12, "203.0.113.5:4000");
    // Two of four see the same: no more than half.
    assert_eq!(story.ipv4().mapping, PortMapping::Varies);
}

#[test]
fn two_of_three_who_agree_are_no_verdict() {
    let mut story = Story::new();
    story.sees(11, "203.0.113.5:4000");
    story.sees(12, "203.0.113.5:4000");
    story.sees(13, "203.0.113.5:5000");
    assert_eq!(story.ipv4().mapping, PortMapping::Unknown);
}

#[test]
fn links_from_ports_of_their_own_tell_of_the_address_and_not_of_the_mapping() {
    let mut story = Story::new();
    for n in 11..15 {
        let seen = format!("203.0.113.5:{}", 4000 + u16::from(n));
        story.says(n, [n, 1, 0, 1], &seen, |it| it.is_listening_socket = false);
    }
    let info = story.ipv4();
    assert_eq!((info.mapping, info.behind_nat), (PortMapping::Unknown, Some(true)));
    let words = story.nat.info(story.now).in_words();
    assert_eq!(
        words,
        "behind a NAT: seen as 203.0.113.5 by peers of 4 networks, and none of them sees our UDP \
         port"
    );
}

#[test]
fn the_words_say_of_how_many_owners_they_are_and_how_many_it_takes() {
    let words = |story: &Story| story.nat.info(story.now).in_words();
    let mut story = Story::at(&["203.0.113.5"]);
    story.sees(11, "203.0.113.5:4000");
    let one = "no NAT: seen as 203.0.113.5:4000 by peers of one network so far; it takes 3 to be \
               sure";
    assert_eq!(words(&story), one);
    // Another peer of the same owner is no other word.
    story.says(12, [11, 1, 7, 1], "203.0.113.5:4000", |_| {});
    assert_eq!(words(&story), one);
    story.sees(13, "203.0.113.5:4000");
    assert!(words(&story).contains("by peers of 2 networks so far"), "{}", words(&story));
    story.sees(14, "203.0.113.5:5000");
    assert_eq!(
        words(&story),
        "no NAT: seen as 203.0.113.5 by peers of 3 networks, of which 2 see port 4000 and others \
         another; it takes 3 that agree to be sure"
    );
    story.sees(13, "203.0.113.5:6000");
    assert_eq!(
        words(&story),
        "no NAT: 203.0.113.5, and another port for each, by peers of 3 networks"
    );
}

#[test]
fn each_family_is_judged_by_itself() {
    let mut story = Story::at(&["192.168.1.7", "2a00:1::7"]);
    for n in 11..14 {
        story.sees(n, "203.0.113.5:4000");
        story.says(n + 10, [n, 1, 0, 1], "[2a00:1::7]:7000", |_| {});
    }
    let info = story.nat.info(story.now);
    assert_eq!((info.ipv4.behind_nat, info.ipv6.behind_nat), (Some(true), Some(false)));
    assert_eq!(info.ipv6.mapping, PortMapping::Same);
    assert_eq!(info.is_behind_nat(), Some(true));
    let both = ["203.0.113.5:4000", "[2a00:1::7]:7000"].map(|addr| addr.parse().unwrap());
    assert_eq!(info.public_addresses().collect::<Vec<SocketAddr>>(), both);
}

#[test]
fn whose_interface_has_the_address_is_behind_no_nat_by_one_word() {
    let mut story = Story::at(&["203.0.113.5"]);
    story.says(11, [11, 1, 0, 1], "203.0.113.5:4000", |it| it.direction = Direction::Inbound);
    assert_eq!(story.ipv4().behind_nat, Some(false));
    // Another address is a guest's word, until a second owner says so.
    let mut story = Story::new();
    story.says(11, [11, 1, 0, 1], "203.0.113.5:4000", |it| it.direction = Direction::Inbound);
    assert_eq!(story.ipv4().behind_nat, None);
    story.says(12, [12, 1, 0, 1], "203.0.113.5:4000", |it| it.direction = Direction::Inbound);
    assert_eq!(story.ipv4().behind_nat, Some(true));
}

#[test]
fn private_networks_say_nothing_of_the_internet() {
    let mut story = Story::new();
    for n in 11..15 {
        story.sees(n, "192.168.1.7:4000");
        story.says(n + 10, [10, n, 0, 1], "203.0.113.5:4000", |_| {});
        story.says(n + 20, [127, 0, 0, n], "127.0.0.1:4000", |_| {});
    }
    assert_eq!(story.nat.info(story.now), NatInfo::default());
}

#[test]
fn what_the_operator_says_goes_before_what_peers_see() {
    let mut story = Story::new();
    story.nat = Nat::new(&["198.51.100.9:443".parse().unwrap()], &Seed::from_number(7));
    story.nat.handle_interfaces(&ips(&["192.168.1.7"]));
    for n in 11..15 {
        story.sees(n, &format!("203.0.113.5:{}", 4000 + u16::from(n)));
    }
    let info = story.ipv4();
    assert!(info.is_forced && info.mapping == PortMapping::Same && info.behind_nat == Some(true));
    assert_eq!(info.public_addresses, ["198.51.100.9:443".parse().unwrap()]);
    assert_eq!(info.evidence.len(), 4);
}

#[test]
fn words_have_an_age_outlive_their_peers_a_while_and_go_with_the_address() {
    let mut story = Story::new();
    for n in 11..14 {
        story.sees(n, "203.0.113.5:4000");
        story.wait(Duration::from_secs(1));
    }
    let ages: Vec<u64> = story.ipv4().evidence.iter().map(|seen| seen.age.as_secs()).collect();
    assert_eq!(ages, [3, 2, 1]);
    story.nat.peer_down(story.now, &peer(11));
    story.wait(SIGHTING_LIFE - Duration::from_secs(1));
    assert_eq!(story.ipv4().mapping, PortMapping::Same);
    story.wait(Duration::from_secs(1));
    assert_eq!((story.ipv4().mapping, story.ipv4().evidence.len()), (PortMapping::Unknown, 2));
    // Who is linked still sees it; who left saw what was before.
    story.nat.peer_down(story.now, &peer(12));
    story.sees(13, "203.0.113.77:4000");
    let left: Vec<NodeId> = story.ipv4().evidence.iter().map(|seen| seen.peer).collect();
    assert_eq!(left, [peer(13)]);
}

#[test]
fn in_another_network_the_word_of_who_left_is_forgotten_and_that_of_who_is_linked_while_it_is() {
    let mut story = Story::new();
    for n in 11..15 {
        story.sees(n, "203.0.113.5:4000");
    }
    story.nat.peer_down(story.now, &peer(11));
    story.nat.handle_interfaces(&ips(&["10.0.0.3", "127.0.0.1"]));
    // Perhaps only a bridge for containers came: whoever is linked would say if it were more.
    let evidence = |story: &Story| -> Vec<NodeId> {
        story.ipv4().evidence.iter().map(|seen| seen.peer).collect()
    };
    assert_eq!(evidence(&story), [peer(12), peer(13), peer(14)]);
    assert_eq!(story.ipv4().mapping, PortMapping::Same);
    // A session that did not outlive the move says nothing of the new network.
    story.nat.peer_down(story.now, &peer(12));
    assert_eq!(evidence(&story), [peer(13), peer(14)]);
    story.sees(13, "198.51.100.8:4000");
    story.nat.peer_down(story.now, &peer(13));
    story.nat.peer_down(story.now, &peer(14));
    assert_eq!(evidence(&story), [peer(13)]);
}

#[test]
fn sightings_are_bounded_and_who_is_linked_stays() {
    let mut story = Story::new();
    let most = u8::try_from(MAX_SIGHTINGS).unwrap();
    for n in 0..most + 10 {
        story.says(n, [20 + n, 1, 0, 1], "203.0.113.5:4000", |_| {});
    }
    let has = |story: &Story, n| story.ipv4().evidence.iter().any(|seen| seen.peer == peer(n));
    assert_eq!(story.ipv4().evidence.len(), MAX_SIGHTINGS);
    assert!(!has(&story, most + 1));
    story.nat.peer_down(story.now, &peer(3));
    story.says(most + 1, [120, 1, 0, 1], "203.0.113.5:4000", |_| {});
    assert!(has(&story, most + 1) && !has(&story, 3));
    assert_eq!(story.ipv4().evidence.len(), MAX_SIGHTINGS);
}
