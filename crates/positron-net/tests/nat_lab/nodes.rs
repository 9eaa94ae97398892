//! Whole nodes in the lab: two on the internet, and one behind a router of each kind.

use serde_json::json;

use crate::{
    control::post,
    fixture::{Fixture, Process, SOON, finish, until},
    lab::{Lab, Machine},
    nat_type::NatType,
};

/// On which nodes listen.
pub(crate) const PORT: u16 = 8888;

#[test]
fn from_every_home_a_node_reaches_the_internet_and_what_it_says_reaches_all() {
    let Some(lab) = Lab::new() else { return };
    let fixture = Fixture::new();
    let first = lab.public[0].at(PORT).to_string();
    let public = [
        start(&lab.public[0], &fixture, "first", &[]),
        start(&lab.public[1], &fixture, "second", &["-b", &first]),
    ];
    let ids = public.each_ref().map(|node| node.started()["node_id"].clone());
    let homes = NatType::ALL.map(|nat| lab.home(nat));
    let nodes = homes
        .each_ref()
        .map(|home| start(&home.inside, &fixture, home.nat.word(), &["--bootstrap", &first]));
    for (home, node) in homes.iter().zip(&nodes) {
        // A busy machine may have taken TCP first; it does not stay with it.
        let transport = if home.nat == NatType::Blocked { "tcp" } else { "udp" };
        let what = format!("{}: a public peer over {transport}", home.nat);
        node.status_when(&fixture, &what, |status| {
            let mut peers = status["peers"].as_array().unwrap().iter();
            peers.any(|peer| ids.contains(&peer["node_id"]) && peer["transport"] == transport)
        });
    }
    let all = || NatType::ALL.map(NatType::word).into_iter().chain(["first", "second"]);
    for from in [NatType::Blocked, NatType::Symmetric] {
        let message = broadcast(&fixture, from.word());
        for node in all() {
            let what = format!("what {from} said is heard by {node}");
            let heard = until(&what, SOON, || {
                let told =
                    finish(fixture.command(["trace", &message, "--data-dir", node, "--json"]));
                (told.code == Some(0)).then(|| told.json())
            });
            assert_eq!(heard["local"]["own"], node == from.word(), "{what}");
        }
    }
}

/// Starts a node on a machine, with a data folder of its own.
pub(crate) fn start(on: &Machine, fixture: &Fixture, data: &str, more: &[&str]) -> Process {
    let port = PORT.to_string();
    let args = [&["start", "--port", &port][..], more].concat();
    let command = on.command(env!("CARGO_BIN_EXE_positron-net"));
    Process::start_as(fixture, fixture.in_environment(command, args), data)
}

/// Has the node of a data folder say something to all, and returns the id of the message.
#[track_caller]
fn broadcast(fixture: &Fixture, data: &str) -> String {
    let hello = json!({ "payload": "hello" });
    let done = post(&fixture.path().join(data), "/v1/actions/broadcast", &hello).unwrap();
    done["message"].as_str().unwrap().to_owned()
}
