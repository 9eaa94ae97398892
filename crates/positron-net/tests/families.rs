//! Machines (network namespaces) with one address family, with several interfaces, with a bridge
//! for containers: invites name every address from which the node can be joined, and no other.
//!
//! It takes root and `ip`; where they are missing the test says so and is over.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use positron_networking::{NetworkConfig, Node};

/// What is done to a machine with loopback alone, and what its invite names.
const MACHINES: [(&str, &[&str], &[&str]); 5] = [
    (
        "v6",
        &[
            "link add va0 type veth peer name vb0",
            "link set va0 up",
            "link set vb0 up",
            "addr del 127.0.0.1/8 dev lo",
            "addr add fd00:77::1/64 dev va0 nodad",
        ],
        &["[fd00:77::1]:8888"],
    ),
    (
        "v4",
        &[
            "link add va0 type veth peer name vb0",
            "link set va0 up",
            "link set vb0 up",
            "addr flush dev lo scope host",
            "addr add 127.0.0.1/8 dev lo",
            "addr add 10.203.78.1/24 dev va0",
        ],
        &["10.203.78.1:8888"],
    ),
    (
        "both",
        &[
            "link add va0 type veth peer name vb0",
            "link set va0 up",
            "link set vb0 up",
            "addr add 10.203.78.1/24 dev va0",
            "addr add 10.203.79.1/24 dev vb0",
            "addr add fd00:77::1/64 dev vb0 nodad",
            "route add default via 10.203.79.2",
        ],
        &["10.203.79.1:8888", "10.203.78.1:8888", "[fd00:77::1]:8888"],
    ),
    (
        "bridge",
        &[
            "link add docker9 type bridge",
            "link add va0 type veth peer name vb0",
            "link set va0 master docker9",
            "link set docker9 up",
            "link set va0 up",
            "link set vb0 up",
            "addr add 172.29.0.1/16 dev docker9",
        ],
        &["127.0.0.1:8888", "[::1]:8888"],
    ),
    ("alone", &["addr del ::1/128 dev lo"], &["127.0.0.1:8888"]),
];

#[test]
fn an_invite_names_every_address_that_can_be_dialled_and_no_other() {
    for (name, steps, expected) in MACHINES {
        let Some(machine) = Machine::new(name) else { return };
        for step in steps {
            assert!(machine.ip(step), "{name}: {step}");
        }
        let mut named = machine.invited();
        if name == "both" {
            assert_eq!(named[0], expected[0], "the route to the world comes first");
        }
        let mut expected = expected.to_vec();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{name}");
    }
}

#[test]
fn nodes_are_simulated_on_a_machine_without_ipv4() {
    let Some(machine) = Machine::new("simulate") else { return };
    assert!(machine.ip("addr del 127.0.0.1/8 dev lo"));
    let args = ["simulate", "-n", "3", "--duration", "1"];
    let output = machine.command().args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A network namespace whose loopback is up.
struct Machine {
    name: String,
    folder: tempfile::TempDir,
}

impl Machine {
    fn new(name: &str) -> Option<Self> {
        let name = format!("positron-{name}-{}", std::process::id());
        if !succeeds(Command::new("ip").args(["netns", "add", &name])) {
            println!("skipped: network namespaces take root and `ip`");
            return None;
        }
        let machine = Self { name, folder: tempfile::tempdir().unwrap() };
        assert!(machine.ip("link set lo up"));
        Some(machine)
    }

    fn ip(&self, step: &str) -> bool {
        succeeds(Command::new("ip").args(["-n", &self.name]).args(step.split(' ')))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_positron-net")]);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command
    }

    /// The addresses in the invite of a node with the default configuration.
    fn invited(&self) -> Vec<String> {
        let data = self.folder.path().join("node");
        let config = NetworkConfig { data_dir: Some(data.clone()), ..NetworkConfig::loopback() };
        let lived = async { Node::start(config).await.unwrap().stop().await };
        tokio::runtime::Runtime::new().unwrap().block_on(lived).unwrap();
        let invite = self.command().args(["invite", "--json", "--data-dir"]).arg(&data).output();
        let invite = invite.unwrap();
        assert!(invite.status.success(), "{}", String::from_utf8_lossy(&invite.stderr));
        let told: serde_json::Value = serde_json::from_slice(&invite.stdout).unwrap();
        let addresses = told["addresses"].as_array().unwrap();
        addresses.iter().map(|address| address.as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        succeeds(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
