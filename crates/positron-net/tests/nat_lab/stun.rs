//! A STUN server that is not ours, coturn, on a public host of the lab; and what its own clients
//! say of the homes (RFC 8489, RFC 5780), by that server and by nodes.
//!
//! A node answers from one address and from nowhere else, so that it names none to ask next: by one
//! node a client hears its address, by several whether its mapping is the same for all. What asks a
//! server to answer from elsewhere (filtering, and which part of the destination a mapping depends
//! on) has no answer there to compare; nor have requests that are padded to 1,500 bytes, which a
//! node does not read.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
};

use crate::{
    fixture::{Fixture, Process, Reaped, SOON, finish, until},
    lab::{Home, Lab, Machine},
    nat_type::{Filtering, Mapping, NatType},
    nodes,
};

/// RFC 8489, 18.6.
const PORT: u16 = 3478;
/// From which clients ask that are to be seen from several places.
const ASKING_PORT: u16 = 7777;

/// coturn, answering Binding requests on a public host. Dropping it ends the process.
pub(crate) struct StunServer {
    pub(crate) address: SocketAddr,
    _process: Reaped,
}

impl StunServer {
    /// Starts it at the address of a host, and at `second`, an address of the same network from
    /// which it answers `CHANGE-REQUEST` (RFC 5780, 4.2). `None`, and why on stderr, where there
    /// is no coturn.
    #[track_caller]
    pub(crate) fn start(on: &Machine, second: Option<Ipv4Addr>) -> Option<Self> {
        if !has_coturn() {
            return None;
        }
        let mut command = on.command("turnserver");
        command.args(["-n", "--stun-only", "--no-auth", "--no-cli", "--no-tls", "--no-dtls"]);
        command.args(["--log-file", "stdout", "--pidfile", "/dev/null"]);
        command.args(["--listening-port", &PORT.to_string()]);
        command.args(["--listening-ip", &on.ip.to_string()]);
        if let Some(second) = second {
            on.ip(&format!("address add {second}/24 dev wan")).unwrap();
            command.args(["--listening-ip", &second.to_string()]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { address: on.at(PORT), _process: on.spawn(command) };
        // It takes streams when it takes datagrams.
        let listens = || TcpStream::connect_timeout(&server.address, SOON).ok();
        on.within(|| until("coturn listens", SOON, listens));
        Some(server)
    }
}

/// Whether coturn is there; it is said if not.
fn has_coturn() -> bool {
    ["turnserver", "turnutils_stunclient", "turnutils_natdiscovery"].iter().all(|program| {
        let mut found = Command::new("sh");
        found.args(["-c", &format!("command -v {program} >/dev/null")]);
        let is_there = found.status().unwrap().success();
        if !is_there {
            eprintln!("skipped: there is no {program}");
        }
        is_there
    })
}

/// What a client of coturn in a home says of a server.
#[track_caller]
fn told(home: &Home, program: &str, flags: &[&str], server: SocketAddr) -> String {
    // They wait for ever for an answer that does not come.
    let mut client = home.command("timeout");
    client.arg(SOON.as_secs().to_string()).arg(program).args(flags);
    client.args(["-p", &server.port().to_string(), &server.ip().to_string()]);
    client.stdin(Stdio::null());
    finish(client).stdout
}

/// Has each home ask from one port of its own, all at once, and `judge` what it hears.
#[track_caller]
fn discover(homes: &[Home], judge: impl Fn(&Home, &dyn Fn(&str, SocketAddr) -> String) + Sync) {
    thread::scope(|scope| {
        for home in homes {
            let (judge, port) = (&judge, ASKING_PORT.to_string());
            scope.spawn(move || {
                let from = home.inside_addr().to_string();
                judge(home, &|flag, server| {
                    let flags = [flag, "-L", &from, "-l", &port];
                    told(home, "turnutils_natdiscovery", &flags, server)
                });
            });
        }
    });
}

/// The address behind the last "reflexive addr" in what a client says.
fn reflexive(said: &str) -> SocketAddr {
    let (_, address) = said.rsplit_once("reflexive addr: ").unwrap_or_else(|| panic!("{said}"));
    address.lines().next().unwrap().trim().parse().unwrap()
}

#[test]
fn a_foreign_client_of_a_foreign_server_hears_the_outside_address_of_its_home() {
    let Some(lab) = Lab::new() else { return };
    let Some(server) = StunServer::start(&lab.public[0], None) else { return };
    for nat in [NatType::Open, NatType::Linux, NatType::CarrierGrade, NatType::Symmetric] {
        let home = lab.home(nat);
        let said = told(&home, "turnutils_stunclient", &[], server.address);
        assert_eq!(reflexive(&said).ip(), IpAddr::V4(home.outside_ip()), "{nat}: {said}");
    }
}

#[test]
fn a_foreign_client_names_mapping_and_filtering_as_the_lab_does() {
    let Some(lab) = Lab::new() else { return };
    let on = &lab.public[0];
    let [a, b, c, d] = on.ip.octets();
    let second = Some(Ipv4Addr::new(a, b, c, d + 1));
    let Some(server) = StunServer::start(on, second) else { return };
    let homes: Vec<Home> = NatType::with_udp().map(|nat| lab.home(nat)).collect();
    discover(&homes, |home, ask| {
        let nat = home.nat;
        // Before the port has sent to more than one place.
        let filtering = match nat.filtering() {
            Filtering::EndpointIndependent => "NAT with Endpoint Independent Filtering!",
            Filtering::AddressDependent => "NAT with Address Dependent Filtering!",
            Filtering::AddressAndPortDependent => "NAT with Address and Port Dependent Filtering!",
        };
        let said = ask("-f", server.address);
        assert!(said.contains(filtering), "{nat}: {said}");
        let mapping = match nat.mapping() {
            _ if nat.is_routed() => "No NAT! (Endpoint Independent Mapping)",
            Mapping::EndpointIndependent => "NAT with Endpoint Independent Mapping!",
            Mapping::AddressDependent => "NAT with Address Dependent Mapping!",
            Mapping::AddressAndPortDependent => "NAT with Address and Port Dependent Mapping!",
        };
        let said = ask("-m", server.address);
        assert!(said.contains(mapping), "{nat}: {said}");
    });
}

#[test]
fn by_three_nodes_a_foreign_client_finds_the_mapping_that_the_lab_made() {
    let Some(lab) = Lab::new().filter(|_| has_coturn()) else { return };
    let (fixture, third) = (Fixture::new(), lab.host().unwrap());
    let hosts = [&lab.public[0], &lab.public[1], &third];
    let nodes: Vec<Process> =
        hosts.iter().map(|host| nodes::start(host, &fixture, &host.ip.to_string(), &[])).collect();
    nodes.iter().for_each(|node| drop(node.started()));
    let homes: Vec<Home> = NatType::with_udp().map(|nat| lab.home(nat)).collect();
    discover(&homes, |home, ask| {
        let nat = home.nat;
        let said = hosts.map(|host| ask("-m", host.at(nodes::PORT)));
        let seen = said.each_ref().map(|said| reflexive(said));
        assert_eq!(seen.map(|at| at.ip()), [IpAddr::V4(home.outside_ip()); 3], "{nat}");
        let is_same = seen.iter().all(|at| *at == seen[0]);
        assert_eq!(is_same, nat.mapping() == Mapping::EndpointIndependent, "{nat}: {seen:?}");
        for said in said {
            assert_eq!(said.contains("No NAT!"), nat.is_routed(), "{nat}: {said}");
        }
    });
}
