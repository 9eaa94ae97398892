//! A node whose machine gets another address, or is carried to another network: how soon its peers
//! reach it again, and strangers by its record.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    control::{get, post},
    fixture::{Fixture, Process, SOON, until},
    lab::{Lab, Machine},
    nat_type::NatType,
};

const PORT: u16 = 8890;

#[test]
fn a_node_that_gets_another_address_is_reached_there_by_its_peers_and_by_strangers() {
    let Some(lab) = Lab::new() else { return };
    let fixture = Fixture::new();
    let mut away = lab.host().unwrap();
    let nodes = Network::start(&lab, &away, &fixture);
    nodes.until_reached(away.ip, Instant::now());
    for (what, stranger) in [("renumbered", "stranger"), ("in another network", "other-stranger")] {
        if what == "renumbered" {
            away.renumber();
        } else {
            lab.replug(&mut away);
        }
        let since = Instant::now();
        let reached = nodes.until_reached(away.ip, since);
        let told = nodes.until_told(away.ip, since);
        println!("{what}: by its peers after {reached:.2?}, its record after {told:.2?}");
        let host = lab.host().unwrap();
        let bootstrap = lab.public[0].at(PORT).to_string();
        let stranger_node = start(&host, &fixture, stranger, &["-b", &bootstrap]);
        stranger_node.started();
        let since = Instant::now();
        until("a stranger gets through", SOON, || say(&fixture.path().join(stranger), &nodes.id));
        println!("{what}: by a stranger {:.2?} after it started", since.elapsed());
    }
}

#[test]
fn a_node_that_was_away_longer_than_its_sessions_last_is_reached_as_soon_as_it_is_back() {
    let Some(lab) = Lab::new() else { return };
    let fixture = Fixture::new();
    let mut away = lab.host().unwrap();
    let nodes = Network::start(&lab, &away, &fixture);
    nodes.until_reached(away.ip, Instant::now());
    away.ip("link set wan down").unwrap();
    // What is said in vain for 15 s ends the sessions at both ends.
    assert_eq!(say(&nodes.data[0], &nodes.id), None);
    until("it has no peer", SOON, || {
        let peers = get(&nodes.data[2], "/v1/peers")?;
        peers["peers"].as_array()?.is_empty().then_some(())
    });
    lab.replug(&mut away);
    let since = Instant::now();
    for data in &nodes.data[..2] {
        // A link on which nothing is said is not missed: what is said first may be said in vain.
        // Through the other peer is reached, too: a path of its own comes later then.
        let over = until("a peer tells it something", 4 * SOON, || {
            say(data, &nodes.id)?;
            Some(nodes.peer_of(data)?["transport"].clone())
        });
        println!("back after 15 s in another network: over {over} after {:.2?}", since.elapsed());
    }
}

#[test]
fn a_node_that_is_carried_from_one_home_to_another_is_reached_again_by_its_peers() {
    let Some(lab) = Lab::new() else { return };
    for (from, to) in [(NatType::Linux, NatType::Port), (NatType::Port, NatType::Symmetric)] {
        let fixture = Fixture::new();
        let (mut home, mut other) = (lab.home(from), lab.home(to));
        let nodes = Network::start(&lab, &home.inside, &fixture);
        nodes.until_reached(home.outside_ip(), Instant::now());
        home.inside.renumber();
        let reached = nodes.until_reached(home.outside_ip(), Instant::now());
        println!("{from}, renumbered: by its peers after {reached:.2?}");
        other.take_in(&mut home.inside);
        let reached = nodes.until_reached(other.outside_ip(), Instant::now());
        println!("from {from} to {to}: by its peers after {reached:.2?}");
    }
}

/// Two nodes on the internet, and one that moves.
struct Network {
    peers: [Process; 2],
    _away: Process,
    /// The folders of the three, the one that moves last.
    data: [PathBuf; 3],
    /// Who moves.
    id: String,
}

impl Network {
    fn start(lab: &Lab, away: &Machine, fixture: &Fixture) -> Self {
        let at = lab.public[0].at(PORT).to_string();
        let first = start(&lab.public[0], fixture, "first", &[]);
        first.started();
        let peers = [first, start(&lab.public[1], fixture, "second", &["-b", &at])];
        let node = start(away, fixture, "away", &["-b", &at]);
        let id = node.started()["node_id"].as_str().unwrap().to_owned();
        let data = ["first", "second", "away"].map(|data| fixture.path().join(data));
        Self { peers, _away: node, data, id }
    }

    /// How long it took until each peer tells it something over UDP, where it is now.
    fn until_reached(&self, ip: Ipv4Addr, since: Instant) -> Duration {
        for data in self.data.iter().take(self.peers.len()) {
            until(&format!("a peer tells it something at {ip}"), SOON, || {
                let peer = self.peer_of(data)?;
                let is_there = peer["address"].as_str()?.starts_with(&format!("{ip}:"));
                (is_there && peer["transport"] == "udp").then_some(())?;
                say(data, &self.id)
            });
        }
        since.elapsed()
    }

    /// What a peer says of its link with it.
    fn peer_of(&self, data: &Path) -> Option<Value> {
        let peers = get(data, "/v1/peers")?;
        let mut peers = peers["peers"].as_array()?.iter();
        peers.find(|peer| peer["node_id"] == *self.id).cloned()
    }

    /// How long it took until its record says where it is now, and nothing else.
    fn until_told(&self, ip: Ipv4Addr, since: Instant) -> Duration {
        let at = json!([format!("{ip}:{PORT}")]);
        until(&format!("its record says {at}"), SOON, || {
            let status = get(&self.data[2], "/v1/status")?;
            (status["external_addresses"] == at).then_some(())
        });
        since.elapsed()
    }
}

/// Whether the node of a data folder gets a message through.
fn say(data: &Path, to: &str) -> Option<()> {
    post(data, "/v1/actions/send", &json!({ "peer": to, "payload": "hello" })).ok().map(drop)
}

fn start(on: &Machine, fixture: &Fixture, data: &str, more: &[&str]) -> Process {
    let port = PORT.to_string();
    let args = [&["start", "--port", &port][..], more].concat();
    let command = on.command(env!("CARGO_BIN_EXE_positron-net"));
    Process::start_as(fixture, fixture.in_environment(command, args), data)
}
