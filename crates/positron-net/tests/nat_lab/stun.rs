//! A STUN server that is not ours, coturn, on a public host of the lab; and what its own clients
//! say of the homes (RFC 8489, RFC 5780).
//!
//! What a STUN client in a home hears from a node, and what a node's own client hears from this
//! server, belongs here too.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use crate::{
    fixture::{Reaped, SOON, finish, until},
    lab::{Home, Lab, Machine},
    nat_type::{Filtering, Mapping, NatType},
};

/// RFC 8489, 18.6.
const PORT: u16 = 3478;

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
        for program in ["turnserver", "turnutils_stunclient", "turnutils_natdiscovery"] {
            let mut found = Command::new("sh");
            found.args(["-c", &format!("command -v {program} >/dev/null")]);
            if !found.status().unwrap().success() {
                eprintln!("skipped: there is no {program}");
                return None;
            }
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

    /// What a client of coturn in a home says of this server.
    fn told_by(&self, program: &str, flags: &[&str], home: &Home) -> String {
        // Its clients wait for ever for an answer that does not come.
        let mut client = home.command("timeout");
        client.arg(SOON.as_secs().to_string()).arg(program).args(flags);
        client.args(["-p", &self.address.port().to_string(), &self.address.ip().to_string()]);
        client.stdin(Stdio::null());
        finish(client).stdout
    }
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
        let said = server.told_by("turnutils_stunclient", &[], &home);
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
    for nat in [NatType::Full, NatType::Address, NatType::Port, NatType::Symmetric] {
        let home = lab.home(nat);
        let said = server.told_by("turnutils_natdiscovery", &["-m", "-f"], &home);
        let mapping = match nat.mapping() {
            Mapping::EndpointIndependent => "NAT with Endpoint Independent Mapping!",
            Mapping::AddressDependent => "NAT with Address Dependent Mapping!",
            Mapping::AddressAndPortDependent => "NAT with Address and Port Dependent Mapping!",
        };
        assert!(said.contains(mapping), "{nat}: {said}");
        let filtering = match nat.filtering() {
            Filtering::EndpointIndependent => "NAT with Endpoint Independent Filtering!",
            Filtering::AddressDependent => "NAT with Address Dependent Filtering!",
            Filtering::AddressAndPortDependent => "NAT with Address and Port Dependent Filtering!",
        };
        assert!(said.contains(filtering), "{nat}: {said}");
    }
}
