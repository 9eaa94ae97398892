//! What a node says of the router before it, by what its peers see: a home of each kind, and three
//! nodes of three owners on the internet.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    fixture::{Fixture, Process, SOON, finish, until},
    lab::{Home, Lab, Machine},
    nat_type::{Mapping, NatType},
    nodes::{PORT, start},
};

/// Of as many owners is what peers see believed.
const OWNERS: usize = 3;

#[test]
fn a_node_in_each_kind_of_home_names_how_its_port_is_mapped_and_its_outside_address() {
    let Some(lab) = Lab::new() else { return };
    let fixture = Fixture::new();
    let third = lab.host().unwrap();
    let hosts: [&Machine; OWNERS] = [&lab.public[0], &lab.public[1], &third];
    let at = hosts.map(|host| host.at(PORT).to_string());
    let mut public: Vec<Process> = Vec::new();
    for (number, host) in hosts.into_iter().enumerate() {
        let (data, known) = (format!("public-{number}"), bootstraps(&at[..number]));
        public.push(start(host, &fixture, &data, &known));
        public[number].started();
    }
    let homes = NatType::ALL.map(|nat| lab.home(nat));
    let seen: Vec<Seen> = thread::scope(|scope| {
        let searches = homes.each_ref().map(|home| {
            let (fixture, known) = (&fixture, bootstraps(&at));
            scope.spawn(move || see(home, fixture, &known))
        });
        searches.into_iter().map(|search| search.join().unwrap()).collect()
    });
    for Seen { nat, named, examined, says } in &seen {
        let ([named, examined], nat) = ([named, examined].map(Duration::as_secs_f64), nat.word());
        println!("{nat:8} named after {named:.2} s, doctor took {examined:.2} s: {says}");
    }
}

/// What a node came to say.
struct Seen {
    nat: NatType,
    /// From its start until it said what is right.
    named: Duration,
    /// How long `doctor` took.
    examined: Duration,
    says: String,
}

/// Starts a node and waits until it says what is the case.
fn see(home: &Home, fixture: &Fixture, known: &[&str]) -> Seen {
    let nat = home.nat;
    let began = Instant::now();
    let node = start(&home.inside, fixture, nat.word(), known);
    let mapping = match (nat, nat.mapping()) {
        // Streams tell the address, and nothing of a port that no datagram leaves.
        (NatType::Blocked, _) => "unknown",
        (_, Mapping::EndpointIndependent) => "same",
        (_, Mapping::AddressDependent | Mapping::AddressAndPortDependent) => "varies",
    };
    let outside = home.outside_ip().to_string();
    node.status_when(fixture, &format!("{nat}: {mapping} at {outside}"), |status| {
        let ipv4 = &status["nat"]["ipv4"];
        let evidence = ipv4["evidence"].as_array().unwrap();
        let addresses = ipv4["public_addresses"].as_array().unwrap();
        let is_outside = |at: &Value| at.as_str().unwrap().rsplit_once(':').unwrap().0 == outside;
        evidence.len() >= OWNERS
            && ipv4["mapping"] == mapping
            && ipv4["public_ip"] == outside.as_str()
            && ipv4["behind_nat"] == !nat.is_routed()
            && addresses.iter().all(is_outside)
            && addresses.is_empty() == (mapping != "same")
    });
    let named = began.elapsed();
    let says = until(&format!("{nat}: the doctor says so"), SOON, || {
        let says = doctor(home, fixture);
        says.contains(words(nat)).then_some(says)
    });
    assert!(says.contains(&outside), "{nat}: {says}");
    let began = Instant::now();
    doctor(home, fixture);
    Seen { nat, named, examined: began.elapsed(), says }
}

/// What people read of it.
fn words(nat: NatType) -> &'static str {
    match nat {
        NatType::Open | NatType::Firewall => "no NAT: seen as ",
        NatType::Symmetric => "and another port for each",
        NatType::Blocked => "none of them sees our UDP port",
        _ => "behind a NAT: seen as ",
    }
}

/// What `doctor` says of the router, by peers.
fn doctor(home: &Home, fixture: &Fixture) -> String {
    let command = home.command(env!("CARGO_BIN_EXE_positron-net"));
    let args = ["doctor", "--json", "--data-dir", home.nat.word()];
    let told = finish(fixture.in_environment(command, args)).json();
    let findings = told["findings"].as_array().unwrap();
    let finding = findings.iter().find(|it| it["about"] == "NAT, by peers");
    finding.unwrap_or_else(|| panic!("{told:#}"))["says"].as_str().unwrap().to_owned()
}

fn bootstraps(at: &[String]) -> Vec<&str> {
    at.iter().flat_map(|at| ["--bootstrap", at]).collect()
}
