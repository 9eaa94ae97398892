//! A machine at home, its router, and one on the internet (network namespaces): which
//! kind of router makes the address of the one at home worth passing on.
//!
//! It takes root, `ip` and `nft`; where they are missing the tests say so and are over.
#![cfg(target_os = "linux")]

#[allow(dead_code)] // the other tests of the command use the rest
#[path = "command/fixture.rs"]
mod fixture;
mod namespaces;

use std::process::Command;

use fixture::{Fixture, Process, SOON, finish, until};
use namespaces::{Namespaces, run};

const PUBLIC: &str = "203.0.113.2";
const INSIDE: &str = "192.168.50.2";
const ROUTER: &str = "203.0.113.1:8888";

#[test]
fn an_address_behind_a_router_that_lets_in_only_whom_it_knows_is_not_passed_on() {
    let to_inside = format!("dport 8888 dnat to {INSIDE}");
    let from_public = format!("ip saddr {PUBLIC} udp {to_inside}");
    let (udp, tcp) = (format!("udp {to_inside}"), format!("tcp {to_inside}"));
    // What the router lets in beside answers, and how many peers the public node would pass on.
    let kinds: [(&str, &[&str], u64); 3] =
        [("port", &[], 0), ("address", &[&from_public], 0), ("forward", &[&udp, &tcp], 1)];
    for (name, lets_in, passed_on) in kinds {
        let Some(world) = World::new(name, lets_in) else { return };
        let fixture = Fixture::new();
        let public = world.process(2, &fixture, "public", &["start", "-p", "8888"]);
        public.started();
        let join = ["join", &format!("{PUBLIC}:8888"), "-p", "8888"];
        let inside = world.process(0, &fixture, "inside", &join);
        inside.status_when(&fixture, "where it is seen", |status| {
            status["external_addresses"].as_array().unwrap().iter().any(|at| at == ROUTER)
        });
        // One peer tells whose address it is, and not how others would see the port.
        inside.status_when(&fixture, "that it is behind a NAT", |status| {
            let ipv4 = &status["nat"]["ipv4"];
            let (behind, ip) = (&ipv4["behind_nat"], &ipv4["public_ip"]);
            *behind == true && ip == "203.0.113.1" && ipv4["mapping"] == "unknown"
        });
        public.status_when(&fixture, "that it is behind none", |status| {
            status["nat"]["ipv4"]["behind_nat"] == false
        });
        // One probe may be lost, not each.
        public.status_when(&fixture, name, |status| {
            let probes = status["discovery"]["probes"].as_u64();
            status["active_peers"] == 1 && probes >= Some(if passed_on == 0 { 2 } else { 1 })
        });
        let kept = || {
            let stats = fixture.command(["stats", "--json", "--data-dir", "public"]);
            finish(stats).expect(0).json()["proven_peers"].as_u64()
        };
        until(name, SOON, || (kept() == Some(passed_on)).then_some(()));
    }
}

/// Three namespaces in a row; the one in the middle translates. Dropping it removes them.
struct World {
    machines: Namespaces<3>,
}

impl World {
    /// `None`, and why on stderr, where there can be none.
    fn new(name: &str, lets_in: &[&str]) -> Option<Self> {
        let furnish = |names: &[String; 3]| Self::furnish(names, lets_in);
        Some(Self { machines: Namespaces::new(name, ["in", "nat", "out"], furnish)? })
    }

    fn furnish(names: &[String; 3], lets_in: &[&str]) -> Result<(), String> {
        run("nft --version")?;
        let [inside, router, outside] = names;
        for (cable, end, gateway, other) in
            [("lan", inside, "192.168.50.1/24", INSIDE), ("wan", outside, "203.0.113.1/24", PUBLIC)]
        {
            run(&format!(
                "ip link add {cable} netns {router} type veth peer name cable netns {end}"
            ))?;
            run(&format!("ip -n {router} address add {gateway} dev {cable}"))?;
            run(&format!("ip -n {end} address add {other}/24 dev cable"))?;
            run(&format!("ip -n {router} link set {cable} up"))?;
            run(&format!("ip -n {end} link set cable up"))?;
        }
        run(&format!("ip -n {inside} route add default via 192.168.50.1"))?;
        let at_router = format!("ip netns exec {router}");
        run(&format!("{at_router} sysctl -q -w net.ipv4.ip_forward=1"))?;
        let nft = format!("{at_router} nft add");
        run(&format!("{nft} table ip home"))?;
        for (chain, priority) in [("postrouting", 100), ("prerouting", -100)] {
            let hook = format!("{{ type nat hook {chain} priority {priority} ; }}");
            run(&format!("{nft} chain ip home {chain} {hook}"))?;
        }
        run(&format!("{nft} rule ip home postrouting oifname wan masquerade"))?;
        for rule in lets_in {
            run(&format!("{nft} rule ip home prerouting iifname wan {rule}"))?;
        }
        Ok(())
    }

    fn process(&self, machine: usize, fixture: &Fixture, data: &str, args: &[&str]) -> Process {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.machines.names[machine],
            env!("CARGO_BIN_EXE_positron-net"),
        ]);
        Process::start_as(fixture, fixture.in_environment(command, args), data)
    }
}
