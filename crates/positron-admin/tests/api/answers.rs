//! What is answered is what `openapi.json` says, to those who are granted and to those who are not.

use std::{collections::BTreeSet, time::Duration};

use positron_networking::{NetworkConfig, Node};
use serde_json::{Value, json};

use crate::{
    fixture::{Answer, Fixture, soon},
    schema::offends,
};

pub(crate) fn description() -> Value {
    serde_json::from_str(positron_admin::openapi()).unwrap()
}

/// The answer is one that is described for this status.
pub(crate) fn is_described(whole: &Value, method: &str, path: &str, answer: &Answer) {
    let status = answer.status.to_string();
    let described = &whole["paths"][path][method]["responses"][&status];
    assert!(described.is_object(), "{method} {path} does not describe {status}: {answer:?}");
    let kind = answer.fields["content-type"].split(';').next().unwrap().to_owned();
    let schema = &described["content"][&kind]["schema"];
    assert!(schema.is_object(), "{method} {path} {status} does not describe {kind}");
    if kind == "application/json"
        && let Some(why) = offends(whole, schema, &answer.json())
    {
        panic!("{method} {path} {status}: {why}");
    }
}

#[tokio::test]
async fn every_route_answers_as_it_is_described() {
    let api = Fixture::new().await;
    let other = Node::start(NetworkConfig::loopback()).await.unwrap();
    let place = api.node.listen_addresses()[0].to_string();
    other.join(&place).await.unwrap();
    api.node.stats_now().await;
    let whole = description();
    let id = other.id().to_string();

    let mut asked = Vec::new();
    for (described, path) in [
        ("/livez", "/livez".to_owned()),
        ("/readyz", "/readyz".into()),
        ("/v1/dials", "/v1/dials".into()),
        ("/metrics", "/metrics".into()),
        ("/metrics", "/metrics?collect=peers".into()),
        ("/v1/status", "/v1/status".into()),
        ("/v1/peers", "/v1/peers".into()),
        ("/v1/peers/{id}", format!("/v1/peers/{id}")),
        ("/v1/peers/{id}", format!("/v1/peers/{}", "0".repeat(64))),
        ("/v1/peers/{id}", "/v1/peers/bob".into()),
        ("/v1/topology", "/v1/topology".into()),
        ("/v1/history", "/v1/history?last=60".into()),
        ("/v1/history", "/v1/history?last=-1".into()),
        ("/v1/config", "/v1/config".into()),
        ("/v1/database", "/v1/database".into()),
        ("/v1/limits", "/v1/limits".into()),
        ("/v1/logs", "/v1/logs".into()),
    ] {
        let answer = api.get(&path).await;
        is_described(&whole, "get", described, &answer);
        asked.push(("get", described));
    }
    let subnet = json!({ "whom": "203.0.113.0/24", "seconds": 60, "reason": "<b>" });
    for (action, body) in [
        ("ban", subnet.clone()),
        ("ban", json!({ "whom": id, "seconds": 60 })),
        ("unban", json!({ "whom": id })),
        ("unban", json!({ "whom": id })),
        ("join", json!({ "target": other.listen_addresses()[0].to_string() })),
        ("forget", json!({ "target": other.listen_addresses()[0].to_string() })),
        ("forget", json!({ "target": "192.0.2.1:1" })),
        ("reserve", json!({ "peer": id, "address": "127.0.0.1:1" })),
        ("disconnect", json!({ "peer": id })),
        ("unreserve", json!({ "peer": id })),
        ("trust", json!({ "peer": id, "report": "no block" })),
        ("trust", json!({ "peer": id, "report": "x".repeat(257) })),
        ("send", json!({ "peer": id, "payload": { "message": [1, null] } })),
        ("send", json!({ "peer": "0".repeat(64), "payload": 1 })),
        ("broadcast", json!({ "payload": "hello" })),
        ("disconnect", json!({ "peer": id })),
        ("stop", json!({})),
    ] {
        let path = format!("/v1/actions/{action}");
        let answer = api.act(action, &body.to_string()).await;
        is_described(&whole, "post", &path, &answer);
    }
    let sent = api.act("broadcast", "{\"payload\":1}").await.json();
    let way = format!("/v1/trace/{}", sent["message"].as_str().unwrap());
    let unknown = format!("/v1/trace/{}", "0".repeat(64));
    for path in [&*way, &unknown, "/v1/trace/bob"] {
        let answer = api.get(path).await;
        is_described(&whole, "get", "/v1/trace/{message}", &answer);
        assert_eq!(answer.status == 200, path == way, "{answer:?}");
        let line = format!("POST {path}");
        let asked = api.ask(&line, &[("Authorization", &api.bearer())], "").await;
        is_described(&whole, "post", "/v1/trace/{message}", &asked);
        assert_eq!(asked.status == 202, path == way, "{asked:?}");
    }
    is_described(&whole, "get", "/v1/bans", &api.get("/v1/bans").await);
    let lost = api.get("/v1/peers").await;
    is_described(&whole, "get", "/v1/peers", &lost);
    assert_eq!(lost.json()["lost"][0]["node_id"], id, "{lost:?}");
    is_described(&whole, "get", "/v1/peers/{id}", &api.get(&format!("/v1/peers/{id}")).await);
    api.server.stop_asked().await;

    let fields = [("Authorization", &*api.bearer()), ("Content-Type", "application/json")];
    let level = api.ask("PUT /v1/log-level", &fields, "{\"level\":\"debug\"}").await;
    is_described(&whole, "put", "/v1/log-level", &level);
}

#[tokio::test]
async fn every_route_says_what_it_answers_to_whom_it_does_not_know() {
    let api = Fixture::new().await;
    let whole = description();
    for (path, methods) in whole["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            let is_open = described["security"][0] == json!({});
            let line = format!(
                "{} {}",
                method.to_uppercase(),
                path.replace("{id}", "0").replace("{message}", "0")
            );
            let answer = api.ask(&line, &[], "").await;
            assert_eq!(answer.status == 401, !is_open, "{line}");
            is_described(&whole, method, path, &answer);
        }
    }
}

/// The head of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// Whoever asks how: each answer is one that the route describes.
#[tokio::test]
async fn every_way_of_asking_has_an_answer_that_is_described() {
    let api = Fixture::new().await;
    let whole = description();
    let token = api.bearer();
    let place = api.address.to_string();
    let json = ("Content-Type", "application/json");
    let (host, close, bearer) =
        (("Host", &*place), ("Connection", "close"), ("Authorization", &*token));
    let ways: [(&str, &str, Fields<'_>, &str); 9] = [
        ("granted", "", &[host, close, bearer, json], "{}"),
        ("no JSON", "", &[host, close, bearer], "x"),
        ("no object", "", &[host, close, bearer, json], "[]"),
        ("a stranger", "", &[host, close], ""),
        ("a wrong token", "", &[host, close, ("Authorization", "Bearer x")], ""),
        ("a foreign page", "", &[host, close, bearer, ("Origin", "http://evil.example")], ""),
        ("a foreign name", "", &[("Host", "evil.example"), close, bearer], ""),
        ("two tokens", "", &[host, close, bearer, bearer], ""),
        ("a token in the address", "?token=x", &[host, close, bearer], ""),
    ];
    let mut seen = BTreeSet::new();
    for (path, described) in whole["paths"].as_object().unwrap() {
        let asked = path.replace("{id}", &"0".repeat(64)).replace("{message}", &"0".repeat(64));
        for method in ["get", "head", "post", "put", "delete", "patch", "options"] {
            for (who, query, fields, body) in &ways {
                // This answer ends with the node.
                let is_granted = ["granted", "no JSON", "no object"].contains(who);
                if path == "/v1/events" && method == "get" && is_granted {
                    continue;
                }
                let line = format!("{} {asked}{query}", method.to_uppercase());
                let answer = api.ask_raw(&line, fields, body).await;
                seen.insert(answer.status);
                // HEAD is as GET; of a method that is not there any other one tells.
                let known = described.as_object().unwrap();
                let like = if method == "head" { "get" } else { method };
                let teller = known.get_key_value(like).or(known.iter().next()).unwrap().0;
                if answer.status == 405 {
                    assert!(!known.contains_key(like), "{line} is not there: {answer:?}");
                }
                if method == "head" {
                    let status = answer.status.to_string();
                    assert!(known[teller]["responses"][&status].is_object(), "{line} {who}");
                    continue;
                }
                is_described(&whole, teller, path, &answer);
            }
        }
    }
    for status in [200, 400, 401, 403, 404, 405, 415] {
        assert!(seen.contains(&status), "{status} was never answered: {seen:?}");
    }
}

/// The numbers of an answer as they are written.
fn numbers<'a>(of: &'a Value, name: &str, found: &mut Vec<(String, &'a serde_json::Number)>) {
    match of {
        Value::Number(number) => found.push((name.to_owned(), number)),
        Value::Array(all) => all.iter().for_each(|one| numbers(one, name, found)),
        Value::Object(all) => all.iter().for_each(|(name, one)| numbers(one, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn a_number_has_no_more_decimals_than_it_means() {
    let api = Fixture::new().await;
    let other = Node::start(NetworkConfig::loopback()).await.unwrap();
    other.join(&api.node.listen_addresses()[0].to_string()).await.unwrap();
    let peer = other.id();
    for _ in 0..3 {
        api.node.report(peer, "no block").await.unwrap();
    }
    let sent = api.act("broadcast", "{\"payload\":1}").await.json();
    api.node.disconnect(peer).await.unwrap();
    other.join(&api.node.listen_addresses()[0].to_string()).await.ok();
    api.node.stats_now().await;
    let whole = description();
    let mut fractions = 0;
    for (path, methods) in whole["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || ["/v1/events", "/metrics"].contains(&&**path) {
            continue;
        }
        let message = sent["message"].as_str().unwrap();
        let path = path.replace("{id}", &peer.to_string()).replace("{message}", message);
        let answer = api.get(&path).await;
        let Ok(told) = serde_json::from_str::<Value>(&answer.body) else { continue };
        let mut found = Vec::new();
        numbers(&told, "", &mut found);
        for (name, number) in found {
            let written = number.to_string();
            let decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            fractions += usize::from(decimals > 1);
            let most = if name.ends_with("_s") || name.ends_with("_ms") { 3 } else { 4 };
            assert!(decimals <= most && !written.contains('e'), "{path} {name}: {written}");
        }
    }
    assert!(fractions > 3, "there are fractions at all: {fractions}");
}

#[tokio::test]
async fn a_peer_is_told_with_what_made_its_score_and_how_near_it_is_to_its_bounds() {
    let api = Fixture::new().await;
    let other = Node::start(NetworkConfig::loopback()).await.unwrap();
    other.join(&api.node.listen_addresses()[0].to_string()).await.unwrap();
    api.node.report(other.id(), "no block").await.unwrap();
    api.node.stats_now().await;
    let asked = format!("/v1/peers/{}", other.id());
    let answer = api.get(&asked).await;
    is_described(&description(), "get", "/v1/peers/{id}", &answer);
    let told = answer.json();
    let wrong = &told["why"]["recent"][0];
    assert!(wrong["observation"] == "reported" && wrong["change"].as_f64() < Some(0.0), "{told}");
    let number = |of: &Value| of.as_f64().unwrap();
    let why = &told["why"];
    let changes: f64 =
        why["totals"].as_array().unwrap().iter().map(|one| number(&one["change"])).sum();
    let sum = number(&why["opening_score"]) + changes + number(&why["drift"]);
    assert!((sum - number(&why["trust_score"])).abs() < 0.001, "{why}");
    for level in ["queued_bytes", "requests", "streams", "work"] {
        let level = &told["bounds"][level];
        assert!(number(&level["used"]) <= number(&level["limit"]), "{told}");
    }
    assert!(!told["bounds"]["lanes"].as_array().unwrap().is_empty());
    api.node.disconnect(other.id()).await.unwrap();
    api.node.stats_now().await;
    let lost = api.get(&asked).await.json();
    assert!(lost["bounds"].is_null() && lost["why"]["recent"][0] == *wrong, "{lost}");
}

#[tokio::test]
async fn who_was_never_connected_and_is_banned_is_explained_too() {
    let api = Fixture::new().await;
    let id = "11".repeat(32);
    assert_eq!(api.get(&format!("/v1/peers/{id}")).await.status, 404);
    api.node.ban(id.parse().unwrap(), "a known liar", Duration::from_secs(60)).await.unwrap();
    let answer = api.get(&format!("/v1/peers/{id}")).await;
    is_described(&description(), "get", "/v1/peers/{id}", &answer);
    let told = answer.json();
    assert_eq!((&told["node_id"], &told["connected"]), (&json!(id), &json!(false)), "{told}");
    assert_eq!(told["why"]["banned_for"], "by the application: a known liar");
}

#[tokio::test]
async fn the_first_sixteen_characters_name_a_peer_wherever_one_is_named() {
    let api = Fixture::new().await;
    let other = Node::start(NetworkConfig::loopback()).await.unwrap();
    let place = api.node.listen_addresses()[0].to_string();
    other.join(&place).await.unwrap();
    api.node.stats_now().await;
    let (id, short) = (other.id().to_string(), other.id().short());
    let whole = description();
    let asked = format!("/v1/peers/{short}");
    let named = async || {
        let answer = api.get(&asked).await;
        is_described(&whole, "get", "/v1/peers/{id}", &answer);
        assert_eq!((answer.status, &answer.json()["node_id"]), (200, &json!(id)), "{answer:?}");
    };
    named().await;
    for action in ["reserve", "unreserve", "trust", "disconnect"] {
        let body = match action {
            "trust" => json!({ "peer": short, "report": "no block" }),
            _ => json!({ "peer": short }),
        };
        let done = api.act(action, &body.to_string()).await;
        assert_eq!((done.status, done.json()["node_id"] == id || action == "trust"), (200, true));
    }
    // It is not connected any more, and known all the same.
    named().await;
    for action in ["ban", "unban"] {
        let done = api.act(action, &json!({ "whom": short }).to_string()).await;
        assert_eq!((done.status, &done.json()["node_id"]), (200, &json!(id)), "{done:?}");
    }
    let nobody = api.get("/v1/peers/0707070707070707").await;
    assert_eq!((nobody.status, &*nobody.code()), (404, "unknown_peer"));
}

#[tokio::test]
async fn the_picture_has_the_own_links_and_what_peers_say_apart() {
    let api = Fixture::new().await;
    let place = api.node.listen_addresses()[0].to_string();
    let (told, teller) = {
        let mut others = Vec::new();
        for _ in 0..2 {
            let other = Node::start(NetworkConfig::loopback()).await.unwrap();
            other.join(&place).await.unwrap();
            others.push(other);
        }
        // Both are peers of this node by now; the second knows the first from it, or tells of it.
        (others.remove(0), others.remove(0))
    };
    teller.join(&told.listen_addresses()[0].to_string()).await.unwrap();
    let (told, teller) = (told.id().to_string(), teller.id().to_string());
    let heard = async {
        loop {
            let picture = api.get("/v1/topology").await.json();
            let edges = picture["edges"].as_array().unwrap().clone();
            let said = |edge: &&Value| {
                edge["heard"] == true
                    && [(&told, &teller), (&teller, &told)]
                        .iter()
                        .any(|(a, b)| edge["a"] == **a && edge["b"] == **b)
            };
            if edges.iter().any(|edge| said(&edge)) {
                return edges;
            }
            tokio::task::yield_now().await;
        }
    };
    let edges = soon(heard).await;
    let own = api.node.id().to_string();
    let links: Vec<_> = edges.iter().filter(|edge| edge["heard"] == false).collect();
    assert!(links.len() == 2 && links.iter().all(|edge| edge["a"] == own && edge["rtt_ms"] != 0));
}
