//! What stands between this machine and the internet, by those who see it from outside.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use super::{
    finding::Finding,
    node::NodeState,
    servers::{ServerReply, Unheard},
};

const FORWARD: &str = "to be reached by all: let the node ask the router for it (`map_port`), or \
                       forward the port, UDP and TCP, to this machine in the router, and name its \
                       address in `external_addresses`";

const OPEN: &str = "to be reached by all: let the port in, UDP and TCP, at the firewall before \
                    this machine";

/// How packets may be filtered so that strangers are not let in.
const SHUT: [&str; 3] = ["dependent", "address_dependent", "address_and_port_dependent"];
const ALLOW: &str = "switch on NAT-PMP or PCP in the router, which often stands beside UPnP there, \
                     or forward the port by hand";

const BEHIND: &str = "have the translator behind the router forward the port, too, or ask the \
                      provider for an address of your own";

const FIREWALL: &str = "is a firewall behind the router, or in this machine? let the port in, \
                        UDP and TCP";

/// By the peers of the running node. `has_servers`: STUN servers are asked too.
pub(super) fn by_peers(node: &NodeState, has_servers: bool) -> Finding {
    let about = "NAT, by peers";
    let status = match node {
        NodeState::Tells(told) => &told.status,
        NodeState::Silent => {
            return Finding::unknown(about, "the node does not say what its peers see");
        }
        NodeState::Absent => {
            let finding = Finding::unknown(about, "no node runs whose peers would say");
            return finding.advise(match has_servers {
                true => "start one",
                false => "start one, or name STUN servers with --stun HOST:PORT",
            });
        }
    };
    let says = status["nat_in_words"].as_str().unwrap_or("nothing is said");
    let says = says.trim_start_matches("unknown: ").to_owned();
    let families = ["ipv4", "ipv6"].map(|family| &status["nat"][family]);
    let known = families.into_iter().find(|family| family["behind_nat"].is_boolean());
    match known {
        None => Finding::unknown(about, says),
        // Whoever dials the mapped port needs nothing else.
        Some(_) if status["nat"]["port_mapping"]["state"] == "verified" => {
            Finding::right(about, says)
        }
        Some(family) if family["mapping"] == "varies" => varies(about, says),
        // Whoever lets in strangers is reached by all already.
        Some(family) if family["filtering"] == "endpoint_independent" => {
            Finding::right(about, says)
        }
        Some(family) if SHUT.iter().any(|shut| family["filtering"] == *shut) => {
            Finding::note(about, says).advise(match family["behind_nat"] == true {
                true => FORWARD,
                false => OPEN,
            })
        }
        Some(family) if family["behind_nat"] == true && family["is_forced"] == false => {
            Finding::note(about, says).advise(FORWARD)
        }
        Some(_) => Finding::right(about, says),
    }
}

/// The port that the router was asked to map, if it was.
pub(super) fn by_router(node: &NodeState) -> Option<Finding> {
    let about = "port mapped by the router";
    let NodeState::Tells(told) = node else { return None };
    let says = told.status["port_mapping_in_words"].as_str()?.to_owned();
    let mapping = &told.status["nat"]["port_mapping"];
    Some(match (mapping["state"].as_str(), mapping["failure"].as_str()) {
        (Some("verified"), _) | (Some("none"), Some("untranslated")) => Finding::right(about, says),
        (Some("unverified"), _) => Finding::note(about, says),
        (Some("none"), None) => Finding::note(about, says),
        (Some("none"), _) => Finding::wrong(about, says).advise(ALLOW),
        (Some("elsewhere"), _) => Finding::wrong(about, says).advise(BEHIND),
        _ => Finding::wrong(about, says).advise(FIREWALL),
    })
}

/// By STUN servers. `is_own`: they saw the port that the node would have.
pub(super) fn by_servers(heard: &[ServerReply], is_own: bool) -> Finding {
    let addresses = if_addrs::get_if_addrs().unwrap_or_default();
    let own: Vec<IpAddr> = addresses.iter().map(if_addrs::Interface::ip).collect();
    judged(heard, &own, is_own)
}

fn judged(heard: &[ServerReply], own: &[IpAddr], is_own: bool) -> Finding {
    let about = "NAT, by STUN";
    let seen: Vec<SocketAddr> = heard.iter().filter_map(|it| it.outcome.clone().ok()).collect();
    let failed = heard.iter().filter_map(|it| {
        let why = it.outcome.as_ref().err()?;
        Some(format!("{}: {}", it.server, why.why()))
    });
    let failed: Vec<String> = failed.collect();
    let Some(first) = seen.first() else {
        let says = format!("no server says how it sees this machine: {}", failed.join("; "));
        return Finding::wrong(about, says).advise(remedy(heard));
    };
    let but = if failed.is_empty() { String::new() } else { format!("; {}", failed.join("; ")) };
    let of_family = || seen.iter().filter(|at| at.is_ipv4() == first.is_ipv4());
    let (count, places) = (of_family().count(), of_family().collect::<BTreeSet<_>>().len());
    if places > 1 {
        let places: Vec<String> = of_family().map(ToString::to_string).collect();
        let places = places.join(", ");
        return varies(about, format!("another address for each server: {places}{but}"));
    }
    let who = match count {
        1 => "one server sees".to_owned(),
        _ => format!("all {count} servers see"),
    };
    let what = match is_own {
        true => format!("the node's port as {first}"),
        false => format!("this machine as {first} (not the node's port, which the node has)"),
    };
    if own.contains(&first.ip()) {
        return Finding::right(about, format!("no NAT: {who} {what}{but}"));
    }
    let alone =
        if count == 1 { "; name a second one to know whether all see the same" } else { "" };
    Finding::note(about, format!("behind a NAT: {who} {what}{but}{alone}")).advise(FORWARD)
}

/// What to do when no server was heard: the nearest cause first.
fn remedy(heard: &[ServerReply]) -> &'static str {
    let is_any =
        |of: fn(&Unheard) -> bool| heard.iter().any(|it| it.outcome.as_ref().is_err_and(of));
    if is_any(|why| matches!(why, Unheard::Unanswered(_))) {
        "is UDP let out by the firewall? without it the node uses TCP"
    } else if is_any(|why| matches!(why, Unheard::Unroutable(_))) {
        "name a server with an address of a family that goes out from here"
    } else {
        "is the name right, and does the name service (DNS) of this machine answer?"
    }
}

fn varies(about: &'static str, says: String) -> Finding {
    let advice = format!("two such machines do not reach each other by themselves; {FORWARD}");
    Finding::note(about, says).advise(advice)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::doctor::{finding::Verdict, node::NodeAnswer};

    fn heard(outcome: Result<&str, &str>) -> ServerReply {
        let outcome =
            outcome.map(|at| at.parse().unwrap()).map_err(|why| Unheard::Unanswered(why.into()));
        ServerReply { server: "stun.example:3478".into(), outcome }
    }

    fn found(outcomes: &[Result<&str, &str>]) -> Finding {
        let own = ["192.168.1.7".parse().unwrap(), "198.51.100.7".parse().unwrap()];
        let heard: Vec<ServerReply> = outcomes.iter().map(|outcome| heard(*outcome)).collect();
        judged(&heard, &own, true)
    }

    #[test]
    fn servers_that_agree_tell_what_others_see_and_one_alone_does_not() {
        let same = found(&[Ok("203.0.113.5:4000"), Ok("203.0.113.5:4000"), Err("silent")]);
        assert_eq!(same.verdict, Verdict::Note);
        let says = "behind a NAT: all 2 servers see the node's port as 203.0.113.5:4000";
        assert!(same.says.starts_with(says), "{}", same.says);
        assert!(same.says.contains("silent"), "{}", same.says);
        assert!(found(&[Ok("203.0.113.5:4000")]).says.contains("name a second one"));
        let none = found(&[Ok("198.51.100.7:4000"), Ok("198.51.100.7:4000")]);
        assert!(none.verdict == Verdict::Right && none.says.starts_with("no NAT"));
    }

    #[test]
    fn servers_that_disagree_show_a_mapping_that_varies_and_silent_ones_that_udp_is_blocked() {
        let varies = found(&[Ok("203.0.113.5:4000"), Ok("203.0.113.5:4001")]);
        assert!(varies.verdict == Verdict::Note && varies.says.starts_with("another address"));
        let families = found(&[Ok("203.0.113.5:4000"), Ok("[2a00::1]:4001")]);
        assert!(families.says.contains("one server"), "{}", families.says);
        let silent = found(&[Err("it did not answer")]);
        assert!(silent.verdict == Verdict::Wrong && silent.advice.unwrap().contains("firewall"));
    }

    #[test]
    fn what_to_do_about_servers_that_are_not_heard_is_about_why() {
        let advice = |why: Unheard| {
            let reply = ServerReply { server: "stun.example:3478".into(), outcome: Err(why) };
            judged(&[reply], &[], true).advice.unwrap()
        };
        assert!(advice(Unheard::Unresolved("no such name".into())).contains("DNS"));
        assert!(advice(Unheard::Unroutable("no way".into())).contains("a family that goes out"));
    }

    #[test]
    fn another_port_than_the_nodes_is_told_for_what_it_is() {
        let own = ["198.51.100.7".parse().unwrap()];
        let found = judged(&[heard(Ok("198.51.100.7:4000"))], &own, false);
        assert_eq!(
            found.says,
            "no NAT: one server sees this machine as 198.51.100.7:4000 (not the node's port, \
             which the node has)"
        );
    }

    #[test]
    fn a_port_that_the_router_was_asked_to_map_is_judged_by_whether_strangers_get_in() {
        let judged = |mapping: Value| {
            let status = serde_json::json!({
                "port_mapping_in_words": "in words", "nat": { "port_mapping": mapping },
            });
            let told = NodeAnswer { status, remedies: Vec::new() };
            let found = by_router(&NodeState::Tells(told)).unwrap();
            (found.verdict, found.advice.is_some())
        };
        let told = |state: &str, failure: Value| {
            judged(serde_json::json!({ "state": state, "failure": failure }))
        };
        assert_eq!(told("verified", Value::Null), (Verdict::Right, false));
        assert_eq!(told("verified", "silent".into()), (Verdict::Right, false), "not yet over");
        assert_eq!(told("none", "untranslated".into()), (Verdict::Right, false));
        assert_eq!(told("unverified", Value::Null), (Verdict::Note, false));
        assert_eq!(told("none", Value::Null), (Verdict::Note, false), "it is being asked");
        for state in ["shut", "elsewhere"] {
            assert_eq!(told(state, Value::Null), (Verdict::Wrong, true), "{state}");
        }
        assert_eq!(told("none", "silent".into()), (Verdict::Wrong, true));
        let status = serde_json::json!({ "port_mapping_in_words": null });
        let told = NodeAnswer { status, remedies: Vec::new() };
        assert!(by_router(&NodeState::Tells(told)).is_none(), "nobody wants one");
    }

    #[test]
    fn what_peers_see_is_told_as_the_node_tells_it() {
        let status = |behind: Value, mapping: &str, filtering: &str| {
            serde_json::json!({
                "nat_in_words": "in words",
                "nat": {
                    "ipv4": {
                        "behind_nat": behind, "mapping": mapping, "filtering": filtering,
                        "is_forced": false,
                    },
                    "ipv6": { "behind_nat": null, "mapping": "unknown", "is_forced": false },
                },
            })
        };
        let judged = |behind: Value, mapping, filtering| {
            let status = status(behind, mapping, filtering);
            let told = NodeAnswer { status, remedies: Vec::new() };
            let found = by_peers(&NodeState::Tells(told), false);
            assert_eq!(found.says, "in words");
            (found.verdict, found.advice.is_some())
        };
        let verdict = |behind, mapping| judged(behind, mapping, "unknown");
        assert_eq!(verdict(Value::Null, "unknown"), (Verdict::Unknown, false));
        assert_eq!(verdict(false.into(), "same"), (Verdict::Right, false));
        assert_eq!(verdict(true.into(), "same"), (Verdict::Note, true));
        assert_eq!(verdict(true.into(), "varies"), (Verdict::Note, true));
        let open = judged(true.into(), "same", "endpoint_independent");
        assert_eq!(open, (Verdict::Right, false), "strangers are let in");
        for shut in SHUT {
            let firewall = judged(false.into(), "same", shut);
            assert_eq!(firewall, (Verdict::Note, true), "strangers are not let in: {shut}");
        }
        let perhaps = judged(false.into(), "same", "at_most_address_dependent");
        assert_eq!(perhaps, (Verdict::Right, false), "perhaps they are");
        let advice = |has_servers| by_peers(&NodeState::Absent, has_servers).advice.unwrap();
        assert!(advice(false).contains("--stun") && !advice(true).contains("--stun"));
    }
}
