//! The Grafana dashboard.

use positron_networking::metrics::Metric;
use serde_json::{Value, json};

use crate::names::{levels, named_in};

/// What one looks at together.
struct Row {
    title: &'static str,
    panels: Vec<Panel>,
}

/// One picture.
struct Panel {
    title: &'static str,
    /// Of Grafana.
    unit: &'static str,
    /// What is drawn, and how each line is called.
    lines: Vec<(String, &'static str)>,
}

fn panel(title: &'static str, unit: &'static str, lines: &[(&str, &'static str)]) -> Panel {
    let lines = lines.iter().map(|(expression, legend)| ((*expression).to_owned(), *legend));
    Panel { title, unit, lines: lines.collect() }
}

fn rows() -> Vec<Row> {
    vec![
        Row { title: "Am I connected", panels: connected() },
        Row { title: "Who", panels: who() },
        Row { title: "Traffic", panels: traffic() },
        Row { title: "Gossip", panels: gossip() },
        Row { title: "Limits", panels: limits() },
    ]
}

fn connected() -> Vec<Panel> {
    vec![
        panel(
            "Peers",
            "short",
            &[
                ("sum by (instance, node) (positron_session_peers$of)", "{{instance}} {{node}}"),
                ("positron_peers_wanted$of", "at least {{instance}} {{node}}"),
            ],
        ),
        panel(
            "Peers by direction and transport",
            "short",
            &[(
                "sum by (direction, transport) (positron_session_peers$of)",
                "{{direction}} {{transport}}",
            )],
        ),
        panel(
            "Dials by outcome",
            "ops",
            &[(
                "sum by (outcome) (rate(positron_node_dials_ended_total$of[$__rate_interval]))",
                "{{outcome}}",
            )],
        ),
        panel(
            "Sessions lost by reason",
            "ops",
            &[(
                "sum by (by, reason) \
                 (rate(positron_node_sessions_lost_total$of[$__rate_interval]))",
                "{{by}} {{reason}}",
            )],
        ),
        quantiles("How long dials take", "positron_peers_dial_seconds"),
        quantiles("How long handshakes take", "positron_session_handshake_seconds"),
    ]
}

fn who() -> Vec<Panel> {
    vec![
        panel(
            "Newcomers refused",
            "ops",
            &[
                (&rate("positron_peers_inbound_refused_full_total"), "slots full"),
                (&rate("positron_peers_inbound_refused_inbound_total"), "inbound full"),
                (&rate("positron_peers_inbound_refused_address_total"), "address full"),
                (&rate("positron_peers_inbound_refused_banned_total"), "banned"),
                (&rate("positron_peers_inbound_refused_retired_total"), "retired key"),
            ],
        ),
        panel(
            "Bans",
            "short",
            &[
                ("sum(positron_trust_banned$of)", "nodes"),
                ("sum(positron_trust_banned_addresses_used$of)", "addresses"),
            ],
        ),
        panel(
            "Address book",
            "short",
            &[
                ("sum(positron_peers_book_used$of)", "known nodes"),
                (&rate("positron_peers_records_learned_total"), "learned each second"),
            ],
        ),
        panel(
            "Handshakes that fail",
            "ops",
            &[
                (&rate("positron_session_handshakes_failed_total"), "failed"),
                (&rate("positron_session_handshakes_timed_out_total"), "timed out"),
                (&rate("positron_session_protocol_mismatches_total"), "not ours"),
                (&rate("positron_session_half_open_evicted_total"), "gave way"),
            ],
        ),
    ]
}

fn traffic() -> Vec<Panel> {
    vec![
        panel(
            "Bytes by direction and transport",
            "Bps",
            &[(
                "sum by (direction, transport) \
                 (rate(positron_session_wire_bytes_total$of[$__rate_interval]))",
                "{{direction}} {{transport}}",
            )],
        ),
        panel(
            "Bytes of messages by lane",
            "Bps",
            &[(
                "sum by (direction, lane) \
                 (rate(positron_session_lane_bytes_total$of[$__rate_interval]))",
                "{{direction}} {{lane}}",
            )],
        ),
        panel(
            "Messages by room",
            "ops",
            &[(
                "sum by (direction, room) \
                 (rate(positron_node_messages_total$of[$__rate_interval]))",
                "{{direction}} {{room}}",
            )],
        ),
        panel(
            "Packets lost and sent again",
            "ops",
            &[
                (&rate("positron_datagram_packets_lost_total"), "packets lost"),
                (&rate("positron_session_messages_retransmitted_total"), "messages sent again"),
                (&rate("positron_transport_unsent_total"), "refused by the kernel"),
            ],
        ),
        panel(
            "What waits and what is dropped",
            "short",
            &[
                ("max(positron_session_fullest_queue_bytes_used$of)", "bytes of the fullest queue"),
                (&rate("positron_session_messages_refused_total"), "refused: queue full"),
                (&rate("positron_node_sends_lost_total"), "lost"),
                (&rate("positron_application_messages_dropped_total"), "lost by subscribers"),
            ],
        ),
        quantiles("How long requests take", "positron_request_round_trip_seconds"),
    ]
}

fn gossip() -> Vec<Panel> {
    vec![
        panel(
            "Broadcasts",
            "ops",
            &[
                (&rate("positron_gossip_published_total"), "published"),
                (&rate("positron_gossip_delivered_total"), "delivered"),
                (&rate("positron_gossip_duplicates_total"), "duplicates"),
            ],
        ),
        quantiles("How long from first heard to delivered", "positron_gossip_delivery_seconds"),
        quantiles("How long signatures wait", "positron_node_verification_wait_seconds"),
        panel(
            "Signatures",
            "ops",
            &[
                (&rate("positron_node_signatures_checked_total"), "checked"),
                (&rate("positron_node_signatures_invalid_total"), "false"),
                (&rate("positron_node_verifications_dropped_total"), "dropped"),
                (&rate("positron_gossip_verifications_deferred_total"), "deferred"),
            ],
        ),
        panel(
            "What goes wrong",
            "ops",
            &[
                (&rate("positron_gossip_iwant_timeouts_total"), "not sent in time"),
                (&rate("positron_gossip_anti_entropy_differences_total"), "found by comparing"),
                (&rate("positron_gossip_evicted_unreached_total"), "left before all had it"),
                (&rate("positron_gossip_equivocations_total"), "equivocations"),
                (&rate("positron_gossip_rate_limited_total"), "beyond a peer's budget"),
            ],
        ),
    ]
}

/// Whatever is bounded, as a part of its bound.
fn limits() -> Vec<Panel> {
    let line = |metric: &'static Metric| {
        let expression = format!("max({metric}_used$of / {metric}_limit$of)");
        (expression, metric.field)
    };
    vec![
        Panel {
            title: "How near to each bound",
            unit: "percentunit",
            lines: levels().map(line).collect(),
        },
        panel(
            "Storage",
            "short",
            &[
                ("max(positron_store_waits$of)", "waits"),
                ("max(positron_store_failed$of)", "failed"),
                (&rate("positron_node_changes_dropped_total"), "changes dropped"),
            ],
        ),
    ]
}

fn rate(counter: &str) -> String {
    format!("sum(rate({counter}$of[$__rate_interval]))")
}

fn quantiles(title: &'static str, histogram: &str) -> Panel {
    let quantile = |part: &str| {
        let buckets = format!("sum by (le) (rate({histogram}_bucket$of[$__rate_interval]))");
        format!("histogram_quantile({part}, {buckets})")
    };
    panel(title, "s", &[(&quantile("0.5"), "half of them"), (&quantile("0.99"), "99 %")])
}

/// The file.
pub(crate) fn dashboard() -> String {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in rows() {
        let place = json!({"h": 1, "w": 24, "x": 0, "y": y});
        let (id, title) = (panels.len() + 1, row.title);
        panels.push(json!({"id": id, "type": "row", "title": title, "gridPos": place}));
        y += 1;
        for (nth, panel) in row.panels.iter().enumerate() {
            let place = json!({"h": 8, "w": 8, "x": 8 * (nth % 3), "y": y + 8 * (nth / 3)});
            panels.push(drawn(panel, panels.len() + 1, place));
        }
        y += 8 * row.panels.len().div_ceil(3);
    }
    let variable = |name: &str, label: &str| {
        json!({
            "name": name, "label": label, "type": "query", "datasource": source(),
            "query": format!("label_values(positron_build_info, {name})"),
            "refresh": 2, "includeAll": true, "multi": true, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        })
    };
    let dashboard = json!({
        "title": "positron-net", "uid": "positron-net", "schemaVersion": 38, "version": 1,
        "tags": ["positron"], "refresh": "10s", "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus"},
            variable("instance", "node"),
        ]},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn drawn(panel: &Panel, id: usize, place: Value) -> Value {
    let mut described: Vec<&Metric> = Vec::new();
    let mut targets = Vec::new();
    for (nth, (expression, legend)) in panel.lines.iter().enumerate() {
        for metric in named_in(expression) {
            if !described.contains(&metric) {
                described.push(metric);
            }
        }
        let expression = expression.replace("$of", "{instance=~\"$instance\"}");
        targets
            .push(json!({"refId": format!("L{nth}"), "expr": expression, "legendFormat": legend}));
    }
    let description: Vec<_> = described.into_iter().map(describe).collect();
    json!({
        "id": id, "type": "timeseries", "title": panel.title, "gridPos": place,
        "description": description.join("\n\n"), "datasource": source(), "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
    })
}

fn describe(metric: &Metric) -> String {
    let (name, help) = (metric.to_string(), metric.help);
    match metric.when_high {
        "" => format!("`{name}`: {help}"),
        when_high => format!("`{name}`: {help} When it is high: {when_high}"),
    }
}
