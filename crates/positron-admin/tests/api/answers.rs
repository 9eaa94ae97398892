//! What is answered is what `openapi.json` says, to those who are granted and to those who are not.

use positron_networking::{NetworkConfig, Node};
use serde_json::{Value, json};

use crate::{
    fixture::{Answer, Fixture, soon},
    schema::offends,
};

fn description() -> Value {
    serde_json::from_str(positron_admin::openapi()).unwrap()
}

/// The answer is one that is described for this status.
fn is_described(whole: &Value, method: &str, path: &str, answer: &Answer) {
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
