//! The hash table over the API: what is stored, found, refused, and told of it.

use positron_networking::{NetworkConfig, Node};
use serde_json::{Value, json};

use crate::{
    answers::{description, is_described},
    fixture::{Answer, Fixture, soon},
};

/// A node that is the only other one of the table.
async fn neighbour(api: &Fixture) -> Node {
    let other = Node::start(NetworkConfig::loopback()).await.unwrap();
    other.join(&api.node.listen_addresses()[0].to_string()).await.unwrap();
    let known = async {
        while api.get("/v1/dht").await.json()["total_nodes"] != 1 {
            tokio::task::yield_now().await;
        }
    };
    soon(known).await;
    other
}

/// What is answered, which is described.
async fn asked(api: &Fixture, what: &str, body: Value) -> Answer {
    let path = format!("/v1/dht/{what}");
    let answer = api.post(&path, &body.to_string()).await;
    is_described(&description(), "post", &path, &answer);
    answer
}

/// What is refused: status, and the word for why.
async fn refused(api: &Fixture, what: &str, body: Value) -> (u16, String) {
    let answer = asked(api, what, body).await;
    (answer.status, answer.code())
}

#[tokio::test]
async fn what_is_put_is_got_by_others_found_told_of_and_deleted() {
    let api = Fixture::new().await;
    let other = neighbour(&api).await;
    let put = asked(&api, "put", json!({ "key": "k", "value": { "data": [1, null] } })).await;
    assert_eq!(put.json()["holders"], json!([other.id()]), "{put:?}");
    assert!(put.json()["sentence"].as_str().unwrap().starts_with("1 other node keeps it"));
    let value: Value = other.dht_retrieve("k").await.unwrap().unwrap();
    assert_eq!(value, json!({ "data": [1, null] }));

    other.dht_store("k", "theirs", std::time::Duration::from_secs(600)).await.unwrap();
    let got = asked(&api, "get", json!({ "key": "k" })).await.json();
    assert_eq!(got["values"].as_array().unwrap().len(), 2, "{got}");
    let theirs = json!({ "key": "k", "from": other.id() });
    let got = asked(&api, "get", theirs).await.json();
    assert_eq!(got["values"][0]["value"], "theirs");
    assert_eq!(got["values"][0]["publisher"], json!(other.id()));
    assert!((1..=600).contains(&got["values"][0]["remaining_s"].as_u64().unwrap()), "{got}");

    let found = asked(&api, "find", json!({ "target": "k" })).await.json();
    assert_eq!(found["nearest"]["nodes"][0]["node_id"], json!(other.id()), "{found}");
    assert_eq!(found["nearest"]["steps"][0]["end"], "answered", "{found}");
    assert_eq!(found["nearest"]["place"], put.json()["key"]);

    let node = asked(&api, "find", json!({ "target": other.id() })).await.json();
    assert_eq!(node["node"]["addresses"], json!(other.listen_addresses()), "{node}");
    let own = refused(&api, "put", json!({ "key": "peer", "kind": "owned", "text": "v" })).await;
    assert_eq!(own, (409, "own_record".into()));

    let told = api.get("/v1/dht").await;
    is_described(&description(), "get", "/v1/dht", &told);
    let told = told.json();
    assert_eq!((&told["mode"], told["place"].is_string()), (&json!("server"), true), "{told}");
    assert_eq!(told["published_values"][0]["holders"], 1, "{told}");
    assert_eq!(told["kept_values"][0]["publisher"], json!(other.id()), "{told}");
    assert_eq!(told["buckets"][0]["members"][0]["node_id"], json!(other.id()), "{told}");
    assert!(told["recent"]["operations"].as_u64() > Some(0) && told["success"] == 1.0, "{told}");

    asked(&api, "delete", json!({ "key": "k" })).await;
    let got = asked(&api, "get", json!({ "key": "k", "from": api.node.id() })).await;
    assert_eq!((got.status, &*got.code()), (404, "not_found"));
    let not_yours = asked(&api, "delete", json!({ "key": "k" })).await;
    assert_eq!((not_yours.status, &*not_yours.code()), (409, "not_yours"));
    assert!(not_yours.body.contains(&other.id().to_string()), "{not_yours:?}");
    let nothing = asked(&api, "delete", json!({ "key": "nothing" })).await;
    assert_eq!((nothing.status, &*nothing.code()), (404, "not_found"));
}

#[tokio::test]
async fn bytes_of_every_kind_come_back_as_they_were() {
    let api = Fixture::new().await;
    neighbour(&api).await;
    for (given, base64, text, value) in [
        (json!({ "text": "grün" }), "Z3LDvG4=", json!("grün"), Value::Null),
        (json!({ "base64": "/wD+" }), "/wD+", Value::Null, Value::Null),
        (json!({ "value": null }), "wA==", Value::Null, Value::Null),
        (json!({ "value": "x" }), "oXg=", Value::Null, json!("x")),
        (json!({ "text": "" }), "", json!(""), Value::Null),
    ] {
        for kind in ["shared", "owned"] {
            let mut put = given.clone();
            (put["key"], put["kind"]) = (json!("k"), json!(kind));
            assert_eq!(asked(&api, "put", put).await.status, 200, "{given}");
            let got = asked(&api, "get", json!({ "key": "k", "kind": kind })).await.json();
            let got = &got["values"][0];
            assert_eq!((&got["base64"], &got["text"]), (&json!(base64), &text), "{kind} {given}");
            assert_eq!(got["value"], value, "{kind} {given}");
        }
    }
    let put = asked(&api, "put", json!({ "kind": "immutable", "base64": "/wD+" })).await.json();
    let get = json!({ "kind": "immutable", "key": put["key"] });
    assert_eq!(asked(&api, "get", get).await.json()["values"][0]["base64"], "/wD+");
}

#[tokio::test]
async fn every_limit_is_named_and_holds_to_the_byte_and_the_second() {
    let api = Fixture::new().await;
    let put = |more: Value| {
        let mut body = json!({ "key": "k", "text": "v" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (bytes, status) in [(16_384, 200), (16_385, 413)] {
        let answer = asked(&api, "put", put(json!({ "text": "x".repeat(bytes) }))).await;
        assert_eq!(answer.status, status, "{bytes}: {answer:?}");
        assert!(status == 200 || answer.body.contains("at most 16384 bytes"), "{answer:?}");
    }
    for (seconds, status, limit) in [
        (json!(59), 400, "from 60 on"),
        (json!(60), 200, ""),
        (json!(172_800), 200, ""),
        (json!(172_801), 400, "60 s to 48 h"),
        (json!(u64::MAX), 400, "60 s to 48 h"),
        (json!(-1), 400, "from 60 on"),
        (json!(60.5), 400, "from 60 on"),
        (json!("NaN"), 400, "from 60 on"),
    ] {
        let answer = asked(&api, "put", put(json!({ "ttl_s": seconds }))).await;
        assert!(answer.status == status && answer.body.contains(limit), "{seconds}: {answer:?}");
    }
    for (key, status) in
        [("", 400), ("k", 200), (&*"k".repeat(1_024), 200), (&*"k".repeat(1_025), 400)]
    {
        let answer = asked(&api, "put", put(json!({ "key": key }))).await;
        assert_eq!(answer.status, status, "{} bytes: {answer:?}", key.len());
        assert!(status == 200 || answer.code() == "bad_key", "{answer:?}");
        let got = asked(&api, "get", json!({ "key": key })).await;
        assert_eq!(got.status, status, "{} bytes: {got:?}", key.len());
    }
    let huge = put(json!({ "key": "k".repeat(1024 * 1024) }));
    assert_eq!(refused(&api, "put", huge).await, (413, "too_large".into()));
    let few = asked(&api, "put", put(json!({ "holders": 3 }))).await;
    assert_eq!((few.status, &*few.code()), (409, "not_enough_holders"));
    assert!(few.body.contains("0 of at least 3 other nodes keep it: nobody but this"), "{few:?}");
    for (what, body, why) in [
        ("put", json!({ "key": "k" }), "bad_value"),
        ("put", put(json!({ "base64": "AA==" })), "bad_value"),
        ("put", json!({ "key": "k", "base64": "A" }), "bad_value"),
        ("put", json!({ "text": "v" }), "bad_key"),
        ("put", put(json!({ "kind": "immutable" })), "bad_key"),
        ("put", json!({ "kind": "immutable", "value": 1 }), "bad_value"),
        ("put", put(json!({ "kind": "mine" })), "bad_kind"),
        ("put", put(json!({ "key": 7 })), "not_understood"),
        ("get", json!({ "kind": "immutable", "key": "k" }), "bad_key"),
        ("get", json!({ "key": "k", "from": "bob" }), "bad_name"),
        ("find", json!({ "target": "bob", "as": "node" }), "bad_name"),
        ("find", json!({ "target": "bob", "as": "place" }), "bad_key"),
        ("find", json!({ "target": "bob", "as": "friend" }), "bad_kind"),
        ("find", json!({ "target": "" }), "bad_key"),
    ] {
        assert_eq!(refused(&api, what, body.clone()).await, (400, why.into()), "{what} {body}");
    }
    let immutable = refused(&api, "delete", json!({ "key": "k", "kind": "immutable" })).await;
    assert_eq!(immutable, (409, "immutable".into()));
}

#[tokio::test]
async fn who_is_alone_hears_at_once_that_nobody_else_keeps_it_and_why_it_only_asks() {
    let api = Fixture::new().await;
    let put = asked(&api, "put", json!({ "key": "k", "text": "v" })).await.json();
    assert_eq!(put["holders"], json!([]));
    let sentence = put["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("nobody but this node keeps it; no other node"), "{sentence}");
    assert_eq!(asked(&api, "get", json!({ "key": "k" })).await.json()["asked"], 0);
    let told = api.get("/v1/dht").await.json();
    assert_eq!((&told["stored_keys"], &told["total_nodes"]), (&json!(1), &json!(0)), "{told}");

    let never = NetworkConfig { dht_serve: false, ..NetworkConfig::loopback() };
    let asks = Node::start(never).await.unwrap().dht_get_stats().await.unwrap();
    assert_eq!((asks.place, &*asks.why), (None, "it only asks: `dht_serve` is false"));
}
