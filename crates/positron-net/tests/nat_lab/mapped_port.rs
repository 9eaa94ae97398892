//! A home whose router maps ports for who asks: miniupnpd, the program that does it in many of
//! them, by PCP and NAT-PMP.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{
    control::{get, post},
    fixture::{Fixture, Process, Reaped, SOON, finish, until},
    lab::{Home, Lab, Machine},
    nat_type::NatType,
    nodes::{PORT, start},
};

/// The first external port that the router gives: not the one that the node asks for.
const GIVEN: u16 = 9_000;

#[test]
fn a_stranger_dials_a_home_at_the_port_that_its_router_mapped() {
    let Some(lab) = Lab::new() else { return };
    let fixture = Fixture::new();
    let home = lab.home(NatType::Port);
    let Some(_mapper) = map_ports(&home, &fixture) else { return };
    let more = [lab.host().unwrap(), lab.host().unwrap()];
    let hosts: Vec<&Machine> = lab.public.iter().chain(&more).collect();
    let first = hosts[0].at(PORT).to_string();
    let known = ["-b", first.as_str()];
    let mut public: Vec<Process> = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let known = if number == 0 { &[] } else { &known[..] };
        public.push(start(host, &fixture, &format!("public-{number}"), known));
        public[number].started();
    }
    let mut node = start(&home.inside, &fixture, "home", &[&known[..], &["--map-port"]].concat());
    let id = node.started()["node_id"].as_str().unwrap().to_owned();
    let outside = format!("{}:{GIVEN}", home.outside_ip());
    let status = node.status_when(&fixture, "strangers get in at the mapped port", |status| {
        let (nat, mapped) = (&status["nat"], &status["nat"]["port_mapping"]);
        let is_verified = mapped["state"] == "verified" && mapped["is_for_tcp"] == true;
        is_verified && nat["ipv4"]["mapping"] == "same"
    });
    let mapping = &status["nat"]["port_mapping"];
    assert_eq!(mapping["external"], *outside, "{mapping:#}");
    assert_eq!(mapping["protocol"], "pcp", "{mapping:#}");
    node.status_when(&fixture, "its record says so, and names no other address", |status| {
        status["external_addresses"] == json!([outside])
    });
    assert!(doctor(&home, &fixture).contains(&format!("{outside} by PCP: strangers get in")));

    // Nobody dials it where it is, and it takes no path through a relay.
    let guarded = lab.home(NatType::Firewall);
    let _stranger =
        start(&guarded.inside, &fixture, "stranger", &[&known[..], &["--direct-only"]].concat());
    let data = fixture.path().join("stranger");
    let hello = json!({ "peer": id, "payload": "hello" });
    until("the stranger's message arrives", 2 * SOON, || {
        post(&data, "/v1/actions/send", &hello).ok()
    });
    let peers = get(&data, "/v1/peers").unwrap();
    let peer = peers["peers"].as_array().unwrap().iter().find(|peer| peer["node_id"] == *id);
    let peer = peer.unwrap_or_else(|| panic!("{peers:#}"));
    assert_eq!((&peer["transport"], &peer["address"]), (&json!("udp"), &json!(outside)));

    assert!(ruleset(&home).contains("dnat"), "{}", ruleset(&home));
    node.signal("TERM");
    node.wait(SOON);
    until("the router maps the port no more", SOON, || {
        (!ruleset(&home).contains("dnat")).then_some(())
    });
}

/// Has the router of a home map ports, until what is returned is dropped. `None`, and why on
/// stderr, where there is no miniupnpd.
#[track_caller]
fn map_ports(home: &Home, fixture: &Fixture) -> Option<Reaped> {
    let mut found = Command::new("sh");
    found.args(["-c", "command -v miniupnpd >/dev/null"]);
    if !found.status().unwrap().success() {
        eprintln!("skipped: there is no miniupnpd");
        return None;
    }
    let router = &home.routers[0];
    router.nft(CHAINS).unwrap();
    let at = |name: &str| fixture.path().join(name).display().to_string();
    let config = format!(
        "ext_ifname=wan\nlistening_ip=lan\nenable_natpmp=yes\nenable_upnp=no\nport=0\n\
         secure_mode=yes\nipv6_disable=yes\nupnp_table_name=mapped\nupnp_nat_table_name=mapped\n\
         uuid=00000000-0000-0000-0000-000000000000\n\
         allow {GIVEN}-65535 192.168.0.0/16 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
    );
    let config = fixture.file("miniupnpd.conf", &config);
    let mut command = router.command("miniupnpd");
    command.arg("-d").arg("-f").arg(config).args(["-P", &at("miniupnpd.pid")]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mapper = router.spawn(command);
    let socket = home.udp(0);
    let router = format!("192.168.{}.1:5351", home.inside_addr().octets()[2]);
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    until("miniupnpd answers", SOON, || {
        // Where it is, by NAT-PMP.
        socket.send_to(&[0, 0], &router).ok()?;
        socket.recv(&mut [0; 64]).ok()
    });
    Some(mapper)
}

/// Where miniupnpd writes what it maps.
const CHAINS: &str = "table inet mapped {
    chain forward {
        type filter hook forward priority filter
        jump miniupnpd
    }
    chain miniupnpd {}
    chain prerouting {
        type nat hook prerouting priority dstnat
        jump prerouting_miniupnpd
    }
    chain prerouting_miniupnpd {}
    chain postrouting {
        type nat hook postrouting priority srcnat
        jump postrouting_miniupnpd
    }
    chain postrouting_miniupnpd {}
}
";

/// The rules of the router.
#[track_caller]
fn ruleset(home: &Home) -> String {
    let mut command = home.routers[0].command("nft");
    command.args(["list", "table", "inet", "mapped"]);
    finish(command).stdout
}

/// What `doctor` says of the mapped port.
fn doctor(home: &Home, fixture: &Fixture) -> String {
    let command = home.command(env!("CARGO_BIN_EXE_positron-net"));
    let args = ["doctor", "--json", "--data-dir", "home"];
    let told = finish(fixture.in_environment(command, args)).json();
    let mut findings = told["findings"].as_array().unwrap().iter();
    let finding = findings.find(|it| it["about"] == "port mapped by the router");
    finding.unwrap_or_else(|| panic!("{told:#}"))["says"].as_str().unwrap().to_owned()
}
