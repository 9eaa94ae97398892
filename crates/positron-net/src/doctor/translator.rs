//! What stands between this machine and the internet, by those who see it from outside.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use positron_networking::stun::StunReply;
use serde_json::Value;

use super::finding::Finding;

const FORWARD: &str = "to be reached by all: forward the port, UDP and TCP, to this machine in the \
                       router, and name its address in `external_addresses`";

/// By the peers of the running node.
pub(super) fn by_peers(status: Option<&Value>) -> Finding {
    let about = "NAT, by peers";
    let Some(status) = status else {
        return Finding::unknown(about, "no node runs whose peers would say")
            .advise("start one, or name STUN servers with --stun HOST:PORT");
    };
    let says = status["nat_in_words"].as_str().unwrap_or("nothing is said");
    let says = says.trim_start_matches("unknown: ").to_owned();
    let families = ["ipv4", "ipv6"].map(|family| &status["nat"][family]);
    let known = families.into_iter().find(|family| family["behind_nat"].is_boolean());
    match known {
        None => Finding::unknown(about, says),
        Some(family) if family["mapping"] == "varies" => varies(about, says),
        Some(family) if family["behind_nat"] == true && family["is_forced"] == false => {
            Finding::note(about, says).advise(FORWARD)
        }
        Some(_) => Finding::right(about, says),
    }
}

/// By STUN servers. `is_own`: they saw the port that the node would have.
pub(super) fn by_servers(heard: &[StunReply], is_own: bool) -> Finding {
    let addresses = if_addrs::get_if_addrs().unwrap_or_default();
    let own: Vec<IpAddr> = addresses.iter().map(if_addrs::Interface::ip).collect();
    judged(heard, &own, is_own)
}

fn judged(heard: &[StunReply], own: &[IpAddr], is_own: bool) -> Finding {
    let about = "NAT, by STUN";
    let seen: Vec<SocketAddr> = heard.iter().filter_map(|it| it.outcome.clone().ok()).collect();
    let failed = heard.iter().filter_map(|it| {
        let why = it.outcome.as_ref().err()?;
        Some(format!("{}: {why}", it.server))
    });
    let failed: Vec<String> = failed.collect();
    let Some(first) = seen.first() else {
        let says = format!("no server says how it sees this machine: {}", failed.join("; "));
        let advice = "is UDP let out by the firewall? without it the node uses TCP";
        return Finding::wrong(about, says).advise(advice);
    };
    let but = if failed.is_empty() { String::new() } else { format!("; {}", failed.join("; ")) };
    let of_family = || seen.iter().filter(|at| at.is_ipv4() == first.is_ipv4());
    let (count, places) = (of_family().count(), of_family().collect::<BTreeSet<_>>().len());
    let port = if is_own { "the node's port" } else { "another port than the node's" };
    if places > 1 {
        let places: Vec<String> = of_family().map(ToString::to_string).collect();
        let places = places.join(", ");
        return varies(about, format!("another address for each server: {places}{but}"));
    }
    let how = match count {
        1 => "by one server, which tells nothing of others".to_owned(),
        _ => format!("by all {count} servers"),
    };
    let says = format!("{port} is seen as {first} {how}{but}");
    if own.contains(&first.ip()) {
        return Finding::right(about, format!("no NAT: {says}"));
    }
    Finding::note(about, format!("behind a NAT: {says}")).advise(FORWARD)
}

fn varies(about: &'static str, says: String) -> Finding {
    let advice = format!("two such machines do not reach each other by themselves; {FORWARD}");
    Finding::note(about, says).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    fn heard(outcome: Result<&str, &str>) -> StunReply {
        let outcome = outcome.map(|at| at.parse().unwrap()).map_err(str::to_owned);
        StunReply { server: "stun.example:3478".into(), outcome }
    }

    fn found(outcomes: &[Result<&str, &str>]) -> Finding {
        let own = ["192.168.1.7".parse().unwrap(), "198.51.100.7".parse().unwrap()];
        let heard: Vec<StunReply> = outcomes.iter().map(|outcome| heard(*outcome)).collect();
        judged(&heard, &own, true)
    }

    #[test]
    fn servers_that_agree_tell_what_others_see_and_one_alone_does_not() {
        let same = found(&[Ok("203.0.113.5:4000"), Ok("203.0.113.5:4000"), Err("silent")]);
        assert_eq!(same.verdict, Verdict::Note);
        assert!(same.says.contains("behind a NAT") && same.says.contains("by all 2 servers"));
        assert!(same.says.contains("silent"), "{}", same.says);
        assert!(found(&[Ok("203.0.113.5:4000")]).says.contains("nothing of others"));
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
        assert!(silent.verdict == Verdict::Wrong && silent.advice.is_some());
    }

    #[test]
    fn what_peers_see_is_told_as_the_node_tells_it() {
        let status = |behind: Value, mapping: &str| {
            serde_json::json!({
                "nat_in_words": "in words",
                "nat": {
                    "ipv4": { "behind_nat": behind, "mapping": mapping, "is_forced": false },
                    "ipv6": { "behind_nat": null, "mapping": "unknown", "is_forced": false },
                },
            })
        };
        let verdict = |behind: Value, mapping| {
            let found = by_peers(Some(&status(behind, mapping)));
            assert_eq!(found.says, "in words");
            (found.verdict, found.advice.is_some())
        };
        assert_eq!(verdict(Value::Null, "unknown"), (Verdict::Unknown, false));
        assert_eq!(verdict(false.into(), "same"), (Verdict::Right, false));
        assert_eq!(verdict(true.into(), "same"), (Verdict::Note, true));
        assert_eq!(verdict(true.into(), "varies"), (Verdict::Note, true));
        assert_eq!(by_peers(None).verdict, Verdict::Unknown);
    }
}
