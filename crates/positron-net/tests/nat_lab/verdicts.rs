//! What a node says of the router before it, by what its peers see and send: two homes of each
//! kind, and six nodes of six owners on the internet, to all of which each home sends.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    fixture::{Fixture, Process, SOON, finish, until},
    lab::{Home, Lab, Machine},
    nat_type::{Filtering, Mapping, NatType},
    nodes::{PORT, start},
};

/// Of as many owners is what peers see believed.
const OWNERS: usize = 3;
/// Nodes on the internet: each of three has somebody send that the other two have not named.
const PUBLIC: usize = 6;

#[test]
fn a_node_in_two_homes_of_each_kind_names_how_its_port_is_mapped_who_is_let_in_and_its_address() {
    let Some(lab) = Lab::new() else { return };
    let fixture = Fixture::new();
    let more: Vec<Machine> = (lab.public.len()..PUBLIC).map(|_| lab.host().unwrap()).collect();
    let hosts: Vec<&Machine> = lab.public.iter().chain(&more).collect();
    let at: Vec<String> = hosts.iter().map(|host| host.at(PORT).to_string()).collect();
    let mut public: Vec<Process> = Vec::new();
    for (number, host) in hosts.into_iter().enumerate() {
        let (data, known) = (format!("public-{number}"), bootstraps(&at[..number]));
        public.push(start(host, &fixture, &data, &known));
        public[number].started();
    }
    let twice = NatType::ALL.into_iter().flat_map(|nat| [(nat, 1), (nat, 2)]);
    let homes: Vec<(String, Home)> =
        twice.map(|(nat, number)| (format!("{nat}-{number}"), lab.home(nat))).collect();
    let seen: Vec<Seen> = thread::scope(|scope| {
        let searches = homes.iter().map(|(name, home)| {
            let (fixture, known) = (&fixture, bootstraps(&at));
            scope.spawn(move || see(name, home, fixture, &known))
        });
        let searches: Vec<_> = searches.collect();
        searches.into_iter().map(|search| search.join().unwrap()).collect()
    });
    for Seen { name, named, judged, examined, says } in &seen {
        let [named, judged, examined] = [named, judged, examined].map(Duration::as_secs_f64);
        println!(
            "{name:9} mapping after {named:.2} s, filtering after {judged:.2} s, doctor took \
             {examined:.2} s: {says}"
        );
    }
}

/// What a node came to say.
struct Seen {
    name: String,
    /// From its start until it said what is right of its mapping and its address.
    named: Duration,
    /// The same, of who is let in.
    judged: Duration,
    /// How long `doctor` took.
    examined: Duration,
    says: String,
}

/// Starts a node and waits until it says what is the case.
fn see(name: &str, home: &Home, fixture: &Fixture, known: &[&str]) -> Seen {
    let nat = home.nat;
    let began = Instant::now();
    let node = start(&home.inside, fixture, name, known);
    let mapping = match (nat, nat.mapping()) {
        // Streams tell the address, and nothing of a port that no datagram leaves.
        (NatType::Blocked, _) => "unknown",
        (_, Mapping::EndpointIndependent) => "same",
        (_, Mapping::AddressDependent | Mapping::AddressAndPortDependent) => "varies",
    };
    let outside = home.outside_ip().to_string();
    node.status_when(fixture, &format!("{name}: {mapping} at {outside}"), |status| {
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
    let filtering = match (nat, nat.filtering()) {
        (NatType::Blocked, _) => "unknown",
        (_, Filtering::EndpointIndependent) => "endpoint_independent",
        (_, Filtering::AddressDependent) => "address_dependent",
        (_, Filtering::AddressAndPortDependent) => "address_and_port_dependent",
    };
    // Less than all may be known before, and nothing that is wrong.
    let also = match filtering {
        "unknown" => "unknown",
        "address_and_port_dependent" => "dependent",
        _ => "at_most_address_dependent",
    };
    node.status_when(fixture, &format!("{name}: {filtering}"), |status| {
        let ipv4 = &status["nat"]["ipv4"];
        assert!(["unknown", filtering, also].iter().any(|it| ipv4["filtering"] == *it), "{ipv4:#}");
        let evidence = ipv4["filtering_evidence"].as_array().unwrap();
        ipv4["filtering"] == filtering && evidence.is_empty() == (nat == NatType::Blocked)
    });
    let judged = began.elapsed();
    let says = until(&format!("{name}: the doctor says so"), SOON, || {
        let says = doctor(name, home, fixture);
        words(nat).iter().all(|words| says.contains(words)).then_some(says)
    });
    assert!(says.contains(&outside), "{name}: {says}");
    let began = Instant::now();
    doctor(name, home, fixture);
    Seen { name: name.to_owned(), named, judged, examined: began.elapsed(), says }
}

/// What people read of it.
fn words(nat: NatType) -> [&'static str; 2] {
    let mapping = match nat {
        NatType::Open | NatType::Firewall => "no NAT: seen as ",
        NatType::Symmetric => "and another port for each",
        NatType::Blocked => "none of them sees our UDP port",
        _ => "behind a NAT: seen as ",
    };
    let filtering = match nat.filtering() {
        _ if nat == NatType::Blocked => "",
        Filtering::EndpointIndependent => "strangers are let in",
        Filtering::AddressDependent => "who was sent to is let in from every port, and strangers",
        Filtering::AddressAndPortDependent => "who was sent to is let in from that port only",
    };
    [mapping, filtering]
}

/// What `doctor` says of the router, by peers.
fn doctor(name: &str, home: &Home, fixture: &Fixture) -> String {
    let command = home.command(env!("CARGO_BIN_EXE_positron-net"));
    let args = ["doctor", "--json", "--data-dir", name];
    let told = finish(fixture.in_environment(command, args)).json();
    let findings = told["findings"].as_array().unwrap();
    let finding = findings.iter().find(|it| it["about"] == "NAT, by peers");
    finding.unwrap_or_else(|| panic!("{told:#}"))["says"].as_str().unwrap().to_owned()
}

fn bootstraps(at: &[String]) -> Vec<&str> {
    at.iter().flat_map(|at| ["--bootstrap", at]).collect()
}
