//! Events over HTTP.

use positron_networking::{NetworkConfig, Node};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::fixture::{Fixture, soon};

struct Listener {
    stream: TcpStream,
    read: String,
}

impl Listener {
    async fn new(api: &Fixture, more: &str) -> Self {
        Self::at(api, "/v1/events", more).await
    }

    async fn at(api: &Fixture, path: &str, more: &str) -> Self {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n{more}\r\n",
            api.bearer()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, read: String::new() }
    }

    async fn until(&mut self, wanted: &str) -> &str {
        let mut buffer = [0; 4096];
        while !self.read.contains(wanted) {
            let n = soon(self.stream.read(&mut buffer)).await.unwrap();
            assert!(n > 0, "it ended without {wanted}: {}", self.read);
            self.read += &String::from_utf8_lossy(&buffer[..n]);
        }
        &self.read
    }
}

#[tokio::test]
async fn who_comes_late_is_told_what_is_kept_with_its_time_and_its_age() {
    let api = Fixture::new().await;
    let whom = |last: u8| format!("{{\"whom\":\"203.0.113.{last}\",\"reason\":\"number {last}\"}}");
    for last in 1..=3 {
        assert_eq!(api.act("ban", &whom(last)).await.status, 200);
    }
    let mut first = Listener::at(&api, "/v1/events?last=4096", "").await;
    first.until("number 3").await;
    let mut late = Listener::at(&api, "/v1/events?last=2", "").await;
    let read = late.until("number 3").await.to_owned();
    assert!(!read.contains("number 1") && !read.contains("event: gap"), "{read}");
    assert_eq!(api.act("ban", &whom(4)).await.status, 200);
    let read = late.until("number 4").await;
    let told: Vec<&str> = read.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(told.len(), 3, "{read}");
    for told in told {
        let event: serde_json::Value = serde_json::from_str(told).unwrap();
        let id = &event["id"];
        let head =
            format!("{{\"id\":{id},\"type\":\"address_banned\",\"at\":{},\"age_s\":", event["at"]);
        assert!(told.starts_with(&head), "{told}");
        let at = event["at"].as_str().unwrap();
        assert!(at.len() == 27 && at.ends_with('Z'), "{at}");
        assert!(event["age_s"].as_f64().unwrap() >= 0.0, "{told}");
    }
    assert_eq!(api.get("/v1/events?last=4097").await.code(), "bad_parameter");
    assert_eq!(api.get("/v1/events?last=x").await.code(), "bad_parameter");
}

fn last_id(read: &str) -> &str {
    let last = read.rsplit_once("id: ").unwrap().1;
    last.split_once('\n').unwrap().0
}

#[tokio::test]
async fn whoever_comes_back_goes_on_where_it_was_and_hears_of_a_gap_if_it_cannot() {
    let api = Fixture::new().await;
    let mut first = Listener::new(&api, "").await;
    first.until(": here").await;
    let other = Node::start(NetworkConfig::loopback()).await.unwrap();
    other.join(&api.node.listen_addresses()[0].to_string()).await.unwrap();
    let read = first.until("event: peer_joined").await;
    assert!(read.contains("content-type: text/event-stream"), "{read}");
    first.until(&other.id().to_string()).await;
    let seen = last_id(&first.read).to_owned();
    drop(first);

    other.shutdown().await.unwrap();
    let mut second = Listener::new(&api, &format!("Last-Event-ID: {seen}\r\n")).await;
    let read = second.until("event: peer_left").await;
    assert!(!read.contains("peer_joined") && !read.contains("event: gap"), "{read}");

    for elsewhere in ["1", "18446744073709551615"] {
        let mut third = Listener::new(&api, &format!("Last-Event-ID: {elsewhere}\r\n")).await;
        third.until("event: gap").await;
    }
}

#[tokio::test]
async fn there_are_sixteen_listeners_and_a_place_that_was_left_is_free() {
    let api = Fixture::new().await;
    let mut all = Vec::new();
    for _ in 0..16 {
        let mut listener = Listener::new(&api, "").await;
        listener.until(": here").await;
        all.push(listener);
    }
    let refused = api.get("/v1/events").await;
    assert_eq!((refused.status, &*refused.code()), (503, "too_many_listeners"));
    // Whoever listens keeps nobody from asking.
    assert_eq!(api.get("/v1/status").await.status, 200);
    drop(all.pop());
    let free = async {
        while api.ask("HEAD /v1/events", &[("Authorization", &api.bearer())], "").await.status
            != 200
        {
            tokio::task::yield_now().await;
        }
    };
    soon(free).await;
}
