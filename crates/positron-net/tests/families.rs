//! Machines (network namespaces) of one family, of both, with several interfaces and without a
//! route to the world: where a node listens, what its invite names, and who can join with it, also
//! after the machine got another address.
//!
//! It takes root and `ip`; where they are missing the tests say so and are over.
#![cfg(target_os = "linux")]

#[allow(dead_code)] // the other tests of the command use the rest
#[path = "command/fixture.rs"]
mod fixture;
mod namespaces;

use std::process::Command;

use fixture::{Fixture, Outcome, Process, finish};
use namespaces::{Namespaces, run};
use serde_json::{Value, json};

const PORT: &str = "8888";
/// Without these two a namespace has both families on loopback, as every machine.
const V6_OFF: &str = "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1";
const V4_GONE: &str = "ip address del 127.0.0.1/8 dev lo";

#[test]
fn with_ipv6_alone_an_invite_names_it_and_another_node_joins() {
    let Some(world) = World::new("v6") else { return };
    world.on_both(&[V4_GONE]);
    world.addresses("cable", ["fd77::1/64", "fd77::2/64"]);
    let fixture = Fixture::new();
    let host = world.start(0, &fixture, "host", &[]);
    assert_eq!(invited(&host.started()), ["[fd77::1]:8888"]);
    world.joins(&fixture, &host);
}

#[test]
fn with_ipv6_alone_who_asks_for_ipv4_is_warned_and_simulate_runs() {
    let Some(world) = World::new("v6only") else { return };
    world.addresses("cable", ["fd77::1/64", "fd77::2/64"]);
    let fixture = Fixture::new();
    let host = world.start(0, &fixture, "data", &["--host", "0.0.0.0"]);
    assert_eq!(invited(&host.started()), ["127.0.0.1:8888"]);
    let outcome = world.run(0, &fixture, &["invite", "-d", "data"]).expect(0);
    assert!(outcome.stderr.contains("warning: only nodes on this machine"), "{}", outcome.stderr);

    world.on_both(&[V4_GONE]);
    let outcome = world.run(0, &fixture, &["invite", "-d", "data"]).expect(5);
    assert!(outcome.stderr.contains("--host ::"), "{}", outcome.stderr);
    drop(host);
    fixture.file("c.json", r#"{ "host": "0.0.0.0" }"#);
    let outcome = world.run(0, &fixture, &["invite", "-d", "data", "-c", "c.json"]).expect(5);
    assert!(outcome.stderr.contains("no address of a family"), "{}", outcome.stderr);
    let simulated = ["simulate", "--count", "3", "--messages", "5"];
    world.run(0, &fixture, &simulated).expect(0);
}

#[test]
fn with_ipv6_switched_off_the_default_and_all_addresses_serve_ipv4_and_name_it() {
    let Some(world) = World::new("v4") else { return };
    world.on_both(&[V6_OFF]);
    world.addresses("cable", ["10.203.78.1/24", "10.203.78.2/24"]);
    for (data, host) in [("default", None), ("v6", Some("::")), ("v4", Some("0.0.0.0"))] {
        let fixture = Fixture::new();
        let flags: Vec<&str> = host.iter().flat_map(|host| ["--host", *host]).collect();
        let host = world.start(0, &fixture, data, &flags);
        assert_eq!(invited(&host.started()), ["10.203.78.1:8888"], "{flags:?}");
        world.joins(&fixture, &host);
    }
}

#[test]
fn both_families_are_served_and_named_and_either_is_enough_to_join() {
    let Some(world) = World::new("both") else { return };
    world.addresses("cable", ["10.203.79.1/24", "10.203.79.2/24"]);
    world.addresses("cable", ["fd79::1/64", "fd79::2/64"]);
    let fixture = Fixture::new();
    let host = world.start(0, &fixture, "host", &[]);
    assert_eq!(host.address(), "[::]:8888");
    let named = invited(&host.started());
    assert_eq!(named, ["10.203.79.1:8888", "[fd79::1]:8888"]);
    for (number, address) in named.iter().enumerate() {
        for transport in ["udp", "tcp"] {
            let data = format!("guest-{number}-{transport}");
            let guest = ["join", address, "-p", "0", "--transport", transport];
            let guest = world.process(1, &fixture, &data, &guest);
            guest.status_when(&fixture, "a peer", |status| status["active_peers"] == 1);
        }
    }
}

#[test]
fn several_interfaces_are_all_named_bridges_last_and_a_dead_first_address_holds_nobody_up() {
    let Some(world) = World::new("many") else { return };
    let [first, _] = &world.machines.names;
    // The address that looks best leads nowhere from the other machine, and no default route leads
    // anywhere from this one.
    for (name, address) in
        [("docker0", "172.17.0.1/16"), ("wan", "198.51.100.5/24"), ("lan", "192.168.7.5/24")]
    {
        let cable = format!("ip -n {first} link add {name} type veth peer name {name}-end");
        run(&cable).unwrap();
        run(&format!("ip -n {first} link set {name}-end up")).unwrap();
        run(&format!("ip -n {first} address add {address} dev {name}")).unwrap();
        run(&format!("ip -n {first} link set {name} up")).unwrap();
    }
    world.addresses("cable", ["10.203.80.1/24", "10.203.80.2/24"]);
    let fixture = Fixture::new();
    let host = world.start(0, &fixture, "host", &[]);
    let named = invited(&host.started());
    let mut private = named[1..3].to_vec();
    private.sort();
    assert_eq!((named[0].as_str(), named[3].as_str()), ("198.51.100.5:8888", "172.17.0.1:8888"));
    assert_eq!(private, ["10.203.80.1:8888", "192.168.7.5:8888"]);
    assert_eq!(named.len(), 4);
    world.joins(&fixture, &host);
    drop(host);

    // With a default route the address it begins with is before its like.
    run(&format!("ip -n {first} route add default dev lan")).unwrap();
    let stopped = world.run(0, &fixture, &["invite", "-d", "host", "--json"]).expect(0).json();
    assert_eq!(stopped["addresses"][1], "192.168.7.5:8888");
}

#[test]
fn external_addresses_are_first_in_the_invite_and_in_the_record() {
    let Some(world) = World::new("ext") else { return };
    world.addresses("cable", ["10.203.81.1/24", "10.203.81.2/24"]);
    let fixture = Fixture::new();
    let told = r#"{ "external_addresses": ["node.example.org:443", "198.51.100.7"] }"#;
    fixture.file("c.json", told);
    let host = world.start(0, &fixture, "host", &["-c", "c.json"]);
    let wanted = ["node.example.org:443", "198.51.100.7:8888", "10.203.81.1:8888"];
    assert_eq!(invited(&host.started()), wanted);
    let record = |status: &Value| status["external_addresses"][0] == "198.51.100.7:8888";
    host.status_when(&fixture, "its record", record);
    world.joins(&fixture, &host);
    drop(host);
    let args = ["invite", "-d", "host", "-c", "c.json", "--json"];
    let stopped = world.run(0, &fixture, &args).expect(0).json();
    assert_eq!(addresses_of(stopped["invite"].as_str().unwrap()), wanted);
}

#[test]
fn a_node_whose_machine_gets_another_address_is_known_by_that_one_and_no_more_by_the_old_one() {
    for (name, transport) in [("moved", "auto"), ("movedudp", "udp"), ("movedtcp", "tcp")] {
        let Some(world) = World::new(name) else { return };
        world.addresses("cable", ["10.203.82.1/24", "10.203.82.2/24"]);
        let fixture = Fixture::new();
        let over = ["--transport", transport];
        let peer = world.start(1, &fixture, "peer", &over);
        let join = ["join", "10.203.82.2:8888", "-p", PORT, "--transport", transport];
        let moving = world.process(0, &fixture, "moving", &join);
        let id = moving.started()["node_id"].clone();
        // What the record says, what the invite says, and where the peer has it.
        let known_at = |address: &str| {
            let own = json!([address]);
            let told = |status: &Value| status["external_addresses"] == own;
            let status = moving.status_when(&fixture, address, told);
            assert_eq!(addresses_of(status["invite"].as_str().unwrap()), [address]);
            let (host, _) = address.split_once(':').unwrap();
            let at = |status: &Value| {
                let peers = status["peers"].as_array().unwrap();
                let address = peers.first().and_then(|peer| peer["address"].as_str());
                address.is_some_and(|at| at.split_once(':').unwrap().0 == host)
            };
            peer.status_when(&fixture, host, at);
        };
        known_at("10.203.82.1:8888");
        let [machine, _] = &world.machines.names;
        run(&format!("ip -n {machine} address del 10.203.82.1/24 dev cable")).unwrap();
        run(&format!("ip -n {machine} address add 10.203.82.11/24 dev cable")).unwrap();
        known_at("10.203.82.11:8888");

        // Who comes later is told by the peer where to dial it.
        let join = ["join", "10.203.82.2:8888", "-p", "0", "--transport", transport];
        let newcomer = world.process(1, &fixture, "newcomer", &join);
        newcomer.status_when(&fixture, "a link to who moved", |status| {
            let peers = status["peers"].as_array().unwrap();
            peers.iter().any(|peer| peer["node_id"] == id)
        });
    }
}

/// The addresses of the invite of a node that is up.
fn invited(started: &Value) -> Vec<String> {
    addresses_of(started["invite"].as_str().unwrap())
}

fn addresses_of(invite: &str) -> Vec<String> {
    let (_, rest) = invite.split_once('@').unwrap();
    rest.split('?').next().unwrap().split(',').map(Into::into).collect()
}

/// Two namespaces with a cable between them. Dropping it removes them.
struct World {
    machines: Namespaces<2>,
}

impl World {
    /// `None`, and why on stderr, where there can be none.
    fn new(name: &str) -> Option<Self> {
        Some(Self { machines: Namespaces::new(name, ["a", "b"], Self::furnish)? })
    }

    fn furnish(names: &[String; 2]) -> Result<(), String> {
        let [a, b] = names;
        run(&format!("ip link add cable netns {a} type veth peer name cable netns {b}"))?;
        for name in names {
            run(&format!("ip -n {name} link set cable up"))?;
            run(&format!("ip netns exec {name} sysctl -q net.ipv6.conf.all.disable_ipv6"))?;
        }
        Ok(())
    }

    fn on_both(&self, commands: &[&str]) {
        for name in &self.machines.names {
            for command in commands {
                run(&format!("ip netns exec {name} {command}")).unwrap();
            }
        }
    }

    /// One address for each; usable at once, without asking whether others have it.
    fn addresses(&self, interface: &str, addresses: [&str; 2]) {
        for (name, address) in self.machines.names.iter().zip(addresses) {
            let flags = if address.contains(':') { " nodad" } else { "" };
            run(&format!("ip -n {name} address add {address} dev {interface}{flags}")).unwrap();
        }
    }

    fn inside(&self, machine: usize) -> Command {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.machines.names[machine],
            env!("CARGO_BIN_EXE_positron-net"),
        ]);
        command
    }

    fn run(&self, machine: usize, fixture: &Fixture, args: &[&str]) -> Outcome {
        finish(fixture.in_environment(self.inside(machine), args))
    }

    fn start(&self, machine: usize, fixture: &Fixture, data: &str, flags: &[&str]) -> Process {
        let args: Vec<&str> = ["start", "-p", PORT].iter().chain(flags).copied().collect();
        self.process(machine, fixture, data, &args)
    }

    fn process(&self, machine: usize, fixture: &Fixture, data: &str, args: &[&str]) -> Process {
        Process::start_as(fixture, fixture.in_environment(self.inside(machine), args), data)
    }

    /// The other machine joins with the host's invite.
    #[track_caller]
    fn joins(&self, fixture: &Fixture, host: &Process) {
        let invite = host.started()["invite"].as_str().unwrap().to_owned();
        let guest = self.process(1, fixture, "guest", &["join", &invite, "-p", "0"]);
        let status = guest.status_when(fixture, "a peer", |status| status["active_peers"] == 1);
        assert_eq!(status["peers"][0]["node_id"], host.started()["node_id"]);
    }
}
