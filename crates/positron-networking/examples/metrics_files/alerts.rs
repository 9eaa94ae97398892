//! The alerts of Prometheus, and what each fires on.

use std::fmt::Write as _;

use crate::names::{levels, named_in};

/// One alert: it fires where `left` is in this relation to `than` for so long.
struct Alert {
    name: &'static str,
    left: String,
    relation: &'static str,
    than: &'static str,
    lasts: &'static str,
    severity: &'static str,
    /// What is the matter.
    summary: &'static str,
    /// What to do beside what the table says of the numbers.
    runbook: &'static str,
    /// A node that it fires on: its series, beginning with the names.
    fires_on: &'static [(&'static str, &'static str)],
}

fn alerts() -> Vec<Alert> {
    let mut all = about_peers();
    all.extend(about_work());
    all
}

fn about_peers() -> Vec<Alert> {
    vec![
        Alert {
            name: "PositronDown",
            left: "up{job=\"positron\"}".into(),
            relation: "==",
            than: "0",
            lasts: "2m",
            severity: "critical",
            summary: "Prometheus does not reach the node.",
            runbook: "See whether the process runs (`positron-net status`), and whether its \
                      metrics have the address that is scraped.",
            fires_on: &[("up{job=\"positron\",instance=\"a\"}", "0x60")],
        },
        Alert {
            name: "PositronIsolated",
            left: "sum by (instance, node) (positron_session_peers)".into(),
            relation: "==",
            than: "0",
            lasts: "5m",
            severity: "critical",
            summary: "The node has no peer.",
            runbook: "`positron-net status` says why in words. A seed that is alone in its \
                      network has none.",
            fires_on: &[("positron_session_peers{instance=\"a\"}", "0x60")],
        },
        Alert {
            name: "PositronFewPeers",
            left: "sum by (instance, node) (positron_session_peers) - on (instance, node) \
                   positron_peers_wanted"
                .into(),
            relation: "<",
            than: "0",
            lasts: "15m",
            severity: "warning",
            summary: "The node has fewer peers than it should have (`min_peers`).",
            runbook: "See the outcomes of its dials, and whether the bootstrap nodes run.",
            fires_on: &[
                ("positron_session_peers{instance=\"a\"}", "1x60"),
                ("positron_peers_wanted{instance=\"a\"}", "3x60"),
            ],
        },
        Alert {
            name: "PositronDialsFail",
            left: "1 - sum by (instance, node) \
                   (rate(positron_node_dials_ended_total{outcome=~\"connected|probed\"}[15m])) \
                   / sum by (instance, node) (rate(positron_node_dials_ended_total[15m]))"
                .into(),
            relation: ">",
            than: "0.9",
            lasts: "15m",
            severity: "warning",
            summary: "Nine of ten dials fail.",
            runbook: "See their outcomes: `no_answer` tells of a firewall, `wrong_network` of \
                      the configuration.",
            fires_on: &[
                ("positron_node_dials_ended_total{instance=\"a\",outcome=\"connected\"}", "0x60"),
                ("positron_node_dials_ended_total{instance=\"a\",outcome=\"no_answer\"}", "0+9x60"),
            ],
        },
        Alert {
            name: "PositronSessionsLost",
            left: "sum by (instance, node) \
                   (rate(positron_node_sessions_lost_total{by=\"network\"}[15m]))"
                .into(),
            relation: ">",
            than: "0.05",
            lasts: "15m",
            severity: "warning",
            summary: "Sessions break without a goodbye, three a minute and more.",
            runbook: "The line of this machine loses packets, or the machine is overloaded.",
            fires_on: &[(
                "positron_node_sessions_lost_total{instance=\"a\",by=\"network\",\
                 reason=\"timeout\"}",
                "0+6x60",
            )],
        },
        Alert {
            name: "PositronKeyUsedTwice",
            left: "increase(positron_node_used_twice_signs_total[1h])".into(),
            relation: ">",
            than: "2",
            lasts: "0m",
            severity: "critical",
            summary: "A key is used in two places at once.",
            runbook: "Two processes with one key drive each other out of the network.",
            fires_on: &[("positron_node_used_twice_signs_total{instance=\"a\"}", "0+1x60")],
        },
    ]
}

fn about_work() -> Vec<Alert> {
    vec![
        Alert {
            name: "PositronLimitNear",
            left: nearest_limit(),
            relation: ">",
            than: "0.9",
            lasts: "10m",
            severity: "warning",
            summary: "The node is near to one of its bounds.",
            runbook: "The label `level` says which; METRICS.md says what to do about each.",
            fires_on: &[
                ("positron_node_checks_used{instance=\"a\"}", "95x60"),
                ("positron_node_checks_limit{instance=\"a\"}", "100x60"),
            ],
        },
        Alert {
            name: "PositronStorageWaits",
            left: "positron_store_waits + positron_store_failed".into(),
            relation: ">",
            than: "0",
            lasts: "5m",
            severity: "critical",
            summary: "The node cannot store.",
            runbook: "What it cannot store is lost with the process.",
            fires_on: &[
                ("positron_store_waits{instance=\"a\"}", "1x60"),
                ("positron_store_failed{instance=\"a\"}", "0x60"),
            ],
        },
        Alert {
            name: "PositronSlowDelivery",
            left: "histogram_quantile(0.99, sum by (instance, node, le) \
                   (rate(positron_gossip_delivery_seconds_bucket[10m])))"
                .into(),
            relation: ">",
            than: "5",
            lasts: "10m",
            severity: "warning",
            summary: "One broadcast of a hundred takes more than 5 s from first heard to delivered.",
            runbook: "See how long signatures wait; if they do not, peers are slow to send.",
            fires_on: &[
                ("positron_gossip_delivery_seconds_bucket{instance=\"a\",le=\"8.192\"}", "0x60"),
                ("positron_gossip_delivery_seconds_bucket{instance=\"a\",le=\"16.384\"}", "0+9x60"),
                ("positron_gossip_delivery_seconds_bucket{instance=\"a\",le=\"+Inf\"}", "0+9x60"),
            ],
        },
        Alert {
            name: "PositronVerificationBehind",
            left: "rate(positron_node_verifications_dropped_total[10m]) \
                   + rate(positron_gossip_verifications_deferred_total[10m])"
                .into(),
            relation: ">",
            than: "0",
            lasts: "10m",
            severity: "warning",
            summary: "Signatures come faster than they are checked.",
            runbook: "Nothing is lost, and everything takes longer.",
            fires_on: &[
                ("positron_node_verifications_dropped_total{instance=\"a\"}", "0+1x60"),
                ("positron_gossip_verifications_deferred_total{instance=\"a\"}", "0x60"),
            ],
        },
        Alert {
            name: "PositronInvalidSignatures",
            left: "rate(positron_node_signatures_invalid_total[10m])".into(),
            relation: ">",
            than: "0.1",
            lasts: "10m",
            severity: "warning",
            summary: "Peers bring false signatures.",
            runbook: "If the peers are yours, compare their versions.",
            fires_on: &[("positron_node_signatures_invalid_total{instance=\"a\"}", "0+60x60")],
        },
        Alert {
            name: "PositronBroadcastsLost",
            left: "increase(positron_gossip_evicted_unreached_total[15m])".into(),
            relation: ">",
            than: "0",
            lasts: "0m",
            severity: "warning",
            summary: "Broadcasts left the window before every neighbour had them.",
            runbook: "Anti-entropy cannot bring them any more.",
            fires_on: &[("positron_gossip_evicted_unreached_total{instance=\"a\"}", "0+1x60")],
        },
    ]
}

/// Of all that is bounded and where something is to be done about it, the part of the bound.
fn nearest_limit() -> String {
    let worth = levels().filter(|metric| !metric.when_high.starts_with("Nothing"));
    let names: Vec<_> = worth.map(ToString::to_string).collect();
    let part = |part: &str| {
        let of = names.join("|");
        format!(
            "label_replace({{__name__=~\"({of})_{part}\"}}, \"level\", \"$1\", \"__name__\", \
             \"(.+)_{part}\")"
        )
    };
    format!("{} / on (instance, node, level) {}", part("used"), part("limit"))
}

/// The rules.
pub(crate) fn rules() -> String {
    let mut text = HEAD.to_owned();
    text += "groups:\n  - name: positron\n    rules:\n";
    for alert in alerts() {
        let (Alert { name, left, relation, than, .. }, alert) = (&alert, &alert);
        let _ = write!(
            text,
            "      - alert: {name}\n        expr: {}\n        for: {}\n        labels:\n          \
             severity: {}\n        annotations:\n          summary: {}\n          runbook: {}\n",
            quoted(&format!("{left} {relation} {than}")),
            alert.lasts,
            alert.severity,
            quoted(alert.summary),
            quoted(&alert.runbook_in_full()),
        );
    }
    text
}

/// What `promtool test rules` plays: each alert fires on the node that it is for, and nothing
/// fires on a node that is well.
pub(crate) fn tests() -> String {
    let mut text = HEAD.to_owned();
    text += "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n";
    for alert in alerts() {
        let level = if alert.name == "PositronLimitNear" {
            "\n              level: positron_node_checks"
        } else {
            ""
        };
        let job = if alert.name == "PositronDown" { "\n              job: positron" } else { "" };
        let _ = write!(
            text,
            "  - interval: 1m\n    input_series:\n{}    alert_rule_test:\n      - eval_time: 45m\n        \
             alertname: {}\n        exp_alerts:\n          - exp_labels:\n              \
             severity: {}\n              instance: a{level}{job}\n            exp_annotations:\n              \
             summary: {}\n              runbook: {}\n",
            series(alert.fires_on),
            alert.name,
            alert.severity,
            quoted(alert.summary),
            quoted(&alert.runbook_in_full()),
        );
    }
    text += "  - interval: 1m\n    input_series:\n";
    text += &series(HEALTHY);
    text += "    alert_rule_test:\n";
    for alert in alerts() {
        let _ = writeln!(text, "      - {{eval_time: 45m, alertname: {}}}", alert.name);
    }
    text
}

fn series(of: &[(&str, &str)]) -> String {
    let one = |(series, values): &(&str, &str)| {
        format!("      - series: {}\n        values: {}\n", quoted(series), quoted(values))
    };
    of.iter().map(one).collect()
}

impl Alert {
    /// What to do, and what the table says of the numbers that it looks at.
    fn runbook_in_full(&self) -> String {
        let mut runbook = self.runbook.to_owned();
        let named = named_in(&self.left);
        // Of many numbers the runbook says where to look.
        for metric in named.iter().filter(|_| named.len() <= 2) {
            let when_high = metric.when_high;
            if !when_high.is_empty() && !runbook.contains(when_high) {
                runbook += " ";
                runbook += when_high;
            }
        }
        runbook
    }
}

/// A string of YAML, which those of JSON are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const HEAD: &str = "# Made from the tables in the code by\n\
                    # `cargo run -p positron-networking --example metrics_files`; not to be edited.\n";

/// A node that is well.
const HEALTHY: &[(&str, &str)] = &[
    ("up{job=\"positron\",instance=\"a\"}", "1x60"),
    ("positron_session_peers{instance=\"a\",direction=\"inbound\",transport=\"udp\"}", "8x60"),
    ("positron_peers_wanted{instance=\"a\"}", "3x60"),
    ("positron_node_dials_ended_total{instance=\"a\",outcome=\"connected\"}", "0+1x60"),
    ("positron_node_dials_ended_total{instance=\"a\",outcome=\"no_answer\"}", "0+1x60"),
    ("positron_node_sessions_lost_total{instance=\"a\",by=\"network\",reason=\"timeout\"}", "0x60"),
    ("positron_node_used_twice_signs_total{instance=\"a\"}", "0x60"),
    ("positron_node_checks_used{instance=\"a\"}", "5x60"),
    ("positron_node_checks_limit{instance=\"a\"}", "100x60"),
    ("positron_gossip_retained_used{instance=\"a\"}", "100x60"),
    ("positron_gossip_retained_limit{instance=\"a\"}", "100x60"),
    ("positron_store_waits{instance=\"a\"}", "0x60"),
    ("positron_store_failed{instance=\"a\"}", "0x60"),
    ("positron_gossip_delivery_seconds_bucket{instance=\"a\",le=\"0.064\"}", "0+9x60"),
    ("positron_gossip_delivery_seconds_bucket{instance=\"a\",le=\"+Inf\"}", "0+9x60"),
    ("positron_node_verifications_dropped_total{instance=\"a\"}", "0x60"),
    ("positron_gossip_verifications_deferred_total{instance=\"a\"}", "0x60"),
    ("positron_node_signatures_invalid_total{instance=\"a\"}", "0x60"),
    ("positron_gossip_evicted_unreached_total{instance=\"a\"}", "0x60"),
];
