//! What is offered over a simulated network, and over a node: one list, that all else keeps to.

use std::sync::Arc;

use positron_admin::{
    Ability, NetworkAction, NetworkLink, NetworkPicture, NetworkServer, Reel, SimulatedNetwork,
};
use positron_networking::NodeId;
use serde_json::Value;

use crate::fixture::{Answer, Fixture, ask};

/// Two nodes that nothing can be done to.
#[derive(Debug)]
struct Still;

impl SimulatedNetwork for Still {
    fn picture(&self) -> NetworkPicture {
        let nodes = [1, 2].map(|n| (NodeId::from_bytes([n; 32]), true));
        NetworkPicture {
            nodes: nodes.into(),
            links: vec![NetworkLink { a: 0, b: 1, rtt_ms: None }],
        }
    }

    fn abilities(&self) -> &'static [Ability] {
        &[]
    }

    fn act(&self, _: NetworkAction) -> Result<(), String> {
        Err("it is a recording".into())
    }
}

struct Shown {
    server: NetworkServer,
}

impl Shown {
    async fn new(reel: Reel) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let server = NetworkServer::listen(any, Arc::new(Still), reel).await;
        Self { server: server.unwrap() }
    }

    async fn ask(&self, line: &str, kind: &str, body: &str) -> Answer {
        let page = self.server.page();
        let (place, token) = page.split_once("/#token=").unwrap();
        let place = place.strip_prefix("http://").unwrap();
        let bearer = format!("Bearer {token}");
        let fields = [
            ("Host", place),
            ("Connection", "close"),
            ("Authorization", &*bearer),
            ("Content-Type", kind),
        ];
        ask(place.parse().unwrap(), line, &fields, body).await
    }

    async fn ask_without_token(&self, line: &str) -> Answer {
        let page = self.server.page();
        let place = page.split_once("/#").unwrap().0.strip_prefix("http://").unwrap();
        let fields = [("Host", place), ("Connection", "close")];
        ask(place.parse().unwrap(), line, &fields, "").await
    }
}

fn routes(list: &Answer) -> Vec<(String, String)> {
    let list = list.json();
    let text = |of: &Value| of.as_str().unwrap().to_owned();
    let routes = list["routes"].as_array().unwrap().iter();
    routes.map(|one| (text(&one["method"]), text(&one["path"]))).collect()
}

/// Every route that a refusal names is there.
fn names_only(routes: &[(String, String)], answer: &Answer) {
    let said = answer.json()["error"].clone();
    let said = format!("{} {}", said["sentence"], said["remedy"]);
    let words: Vec<&str> =
        said.split(|c: char| !(c.is_alphanumeric() || "/_-".contains(c))).collect();
    for two in words.windows(2).filter(|two| ["GET", "POST", "PUT"].contains(&two[0])) {
        let named = (two[0].to_owned(), two[1].to_owned());
        assert!(routes.contains(&named), "{named:?} is not offered: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_said_of_a_simulated_network_names_only_what_its_api_offers() {
    let shown = Shown::new(Reel::default()).await;
    let list = shown.ask("GET /v1", "", "").await;
    assert_eq!(list.json()["serves"], "network");
    let routes = routes(&list);
    let json = "application/json";
    for (line, kind, body, status) in [
        ("GET /v1/peers", "", "", 404),
        ("GET /v1/status", "", "", 404),
        ("GET /openapi.json", "", "", 404),
        ("POST /v1/topology", json, "{}", 405),
        ("POST /v1/actions/ban", json, "{}", 404),
        ("POST /v1/actions/heal", "text/plain", "{}", 415),
        ("POST /v1/actions/heal", json, "{\"x\":1}", 400),
        ("POST /v1/actions/heal", json, "{}", 409),
        ("POST /v1/actions/kill", json, "{\"node\":2}", 404),
        ("POST /v1/actions/kill", json, "{\"node\":\"a\"}", 400),
        ("POST /v1/actions/slow", json, "{\"ms\":10001}", 400),
        ("POST /v1/actions/partition", json, "{\"part\":1.5}", 400),
        ("GET /v1/topology?token=x", "", "", 400),
    ] {
        let answer = shown.ask(line, kind, body).await;
        assert_eq!(answer.status, status, "{line} {answer:?}");
        names_only(&routes, &answer);
        let said = answer.json()["error"]["sentence"].as_str().unwrap().to_owned();
        for type_name in ["struct", "Body", "usize", "u64", "f64"] {
            assert!(!said.contains(type_name), "{type_name} says nothing to who asks: {said}");
        }
    }
    let stranger = shown.ask_without_token("GET /v1/topology").await;
    let remedy = stranger.json()["error"]["remedy"].as_str().unwrap().to_owned();
    assert!(stranger.status == 401 && !remedy.contains("data folder"), "{remedy}");
}

#[tokio::test]
async fn a_recording_offers_nothing_that_can_be_done_to_it() {
    let shown = Shown::new(Reel::of(String::new())).await;
    let list = shown.ask("GET /v1", "", "").await;
    assert_eq!(list.json()["serves"], "recording");
    let routes = routes(&list);
    assert!(routes.iter().all(|(method, _)| method == "GET"), "{routes:?}");
    let answer = shown.ask("POST /v1/actions/heal", "application/json", "{}").await;
    assert_eq!(answer.status, 404);
    names_only(&routes, &answer);
}

#[tokio::test]
async fn what_is_listed_is_there_and_what_is_there_is_listed() {
    let reel = Reel::default();
    let shown = Shown::new(reel.clone()).await;
    reel.finish();
    for (method, path) in routes(&shown.ask("GET /v1", "", "").await) {
        let answer = shown.ask(&format!("{method} {path}"), "", "").await;
        assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
    }
    let api = Fixture::new().await;
    let list = api.get("/v1").await;
    assert_eq!(list.json()["serves"], "node");
    let mut listed = routes(&list);
    let description: Value = serde_json::from_str(positron_admin::openapi()).unwrap();
    let described = description["paths"].as_object().unwrap().iter();
    let mut described: Vec<_> = described
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    listed.sort();
    described.sort();
    assert_eq!(listed, described, "openapi.json describes what is routed");
    for line in ["GET /v1/nothing", "POST /v1/status", "POST /v1/actions/ban"] {
        let answer = api.ask(line, &[("Authorization", &api.bearer())], "").await;
        names_only(&listed, &answer);
    }
    for (action, body) in [
        ("disconnect", "{\"peer\":\"0707070707070707\"}".to_owned()),
        ("disconnect", format!("{{\"peer\":\"{}\"}}", "07".repeat(32))),
        ("trust", format!("{{\"peer\":\"{}\",\"report\":\"x\"}}", "07".repeat(32))),
        ("unban", "{\"whom\":\"203.0.113.0/24\"}".to_owned()),
        ("reserve", format!("{{\"peer\":\"{}\",\"address\":\"x\"}}", "07".repeat(32))),
        ("join", "{\"target\":\"x\"}".to_owned()),
    ] {
        let answer = api.act(action, &body).await;
        if answer.status != 200 {
            names_only(&listed, &answer);
        }
    }
}
