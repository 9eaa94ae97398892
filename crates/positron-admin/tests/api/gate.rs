//! Who may ask, and what happens to the others.

use positron_admin::{ApiPort, Server, ServerError, Surroundings};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::fixture::{Fixture, answer, soon};

const DATA: [&str; 10] = [
    "/v1/status",
    "/v1/peers",
    "/v1/dials",
    "/v1/topology",
    "/v1/history",
    "/v1/config",
    "/v1/bans",
    "/v1/limits",
    "/v1/events",
    "/metrics",
];

#[tokio::test]
async fn whoever_has_no_token_or_a_wrong_one_gets_no_data() {
    let api = Fixture::new().await;
    let id = api.node.id().to_string();
    let (wrong, short) =
        (format!("Bearer {}", "0".repeat(64)), format!("Bearer {}", &api.token[1..]));
    let (basic, bare) = (format!("Basic {}", api.token), api.token.clone());
    for path in DATA {
        for fields in [
            &[][..],
            &[("Authorization", "Bearer")],
            &[("Authorization", "Bearer ")],
            &[("Authorization", &*wrong)],
            &[("Authorization", &*short)],
            &[("Authorization", &*basic)],
            &[("Authorization", &*bare)],
            &[("Cookie", &*bare)],
        ] {
            let answer = api.ask(&format!("GET {path}"), fields, "").await;
            assert_eq!(
                (answer.status, &*answer.code()),
                (401, "unauthorized"),
                "{path} {fields:?}"
            );
            assert_eq!(answer.fields["www-authenticate"], "Bearer");
            assert!(!answer.body.contains(&id[..16]), "{answer:?}");
        }
        for query in ["token", "access_token", "TOKEN"] {
            let answer = api.ask(&format!("GET {path}?{query}={}", api.token), &[], "").await;
            assert_eq!((answer.status, &*answer.code()), (400, "token_in_query"), "{path}");
        }
    }
    for action in ["join", "ban", "broadcast", "stop"] {
        let answer = api.ask(&format!("POST /v1/actions/{action}"), &[], "").await;
        assert_eq!(answer.status, 401, "{action}");
    }
}

#[tokio::test]
async fn a_probe_is_told_whether_the_node_is_ready_and_only_the_owner_why_not() {
    let api = Fixture::new().await;
    let probe = api.ask("GET /readyz", &[], "").await;
    assert_eq!(probe.json(), serde_json::json!({ "ready": probe.status == 200 }));
    let told = api.get("/readyz").await.json();
    assert!(told["checks"].as_array().unwrap().len() >= 6, "{told}");
    assert_eq!(api.ask("GET /readyz", &[("Authorization", "Bearer x")], "").await.status, 401);
}

#[tokio::test]
async fn a_foreign_page_gets_nothing_and_the_own_one_what_it_asks() {
    let api = Fixture::new().await;
    let token = api.bearer();
    let ours = format!("http://{}", api.address);
    let port = api.address.port();
    for origin in [
        "http://evil.example",
        "null",
        &*format!("https://{}", api.address),
        &*format!("http://localhost:{port}"),
        &*format!("{ours}.evil.example"),
        "",
    ] {
        for path in ["/v1/status", "/livez", "/", "/openapi.json", "/nothing"] {
            let fields = [("Authorization", &*token), ("Origin", origin)];
            let answer = api.ask(&format!("GET {path}"), &fields, "").await;
            assert_eq!((answer.status, &*answer.code()), (403, "foreign_origin"), "{origin}");
        }
    }
    let answer =
        api.ask("GET /v1/status", &[("Authorization", &token), ("Origin", &ours)], "").await;
    assert_eq!(answer.status, 200);
    for answer in [answer, api.get("/").await, api.get("/nothing").await] {
        assert!(answer.fields["content-security-policy"].starts_with("default-src 'self'"));
        assert!(answer.fields["content-security-policy"].contains("frame-ancestors 'none'"));
        assert_eq!(answer.fields["x-content-type-options"], "nosniff");
        assert_eq!(answer.fields["referrer-policy"], "no-referrer");
        let cors = answer.fields.keys().find(|name| name.starts_with("access-control"));
        assert_eq!(cors, None);
        assert!(!answer.fields.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_name_that_was_made_to_lead_here_is_refused_and_an_address_is_not() {
    let api = Fixture::new().await;
    let token = api.bearer();
    let port = api.address.port();
    let host = |host: &str| {
        [("Connection", "close").to_owned(), ("Host", &*host.to_owned()).to_owned()]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let asked = async |line: &str, given: &str| {
        let fields = host(given);
        let mut fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
        fields.push(("Authorization", &token));
        api.ask_raw(line, &fields, "").await
    };
    for foreign in [
        "evil.example",
        &*format!("evil.example:{port}"),
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "127.0.0.1@evil.example",
        "",
    ] {
        for path in ["/v1/status", "/livez", "/"] {
            let answer = asked(&format!("GET {path}"), foreign).await;
            assert_eq!((answer.status, &*answer.code()), (403, "foreign_host"), "{foreign}");
        }
    }
    // A tunnel has another port.
    for ours in ["localhost", "LOCALHOST:1", "127.0.0.1:9000", "[::1]:9000", "127.0.0.1"] {
        assert_eq!(asked("GET /v1/status", ours).await.status, 200, "{ours}");
    }
    let line = "GET http://evil.example/v1/status";
    assert_eq!(asked(line, "127.0.0.1").await.code(), "foreign_host");
    let none = api.ask_raw("GET /livez", &[("Connection", "close")], "").await;
    assert_eq!(none.code(), "foreign_host");
    let two = [("Host", "127.0.0.1"), ("Host", "evil.example"), ("Connection", "close")];
    assert_eq!(api.ask_raw("GET /livez", &two, "").await.status, 400);
}

#[tokio::test]
async fn a_thousand_connections_of_strangers_get_no_data_and_disturb_nobody() {
    let api = Fixture::new().await;
    let (host, bearer, wrong) = (api.address, api.bearer(), "0".repeat(64));
    let said = [
        // Nothing, or not all of it.
        String::new(),
        format!("Host: {host}\r\nAuthorization: {bearer}\r\nX-"),
        format!("Host: {host}\r\nAuthorization: Bearer {wrong}\r\n\r\n"),
        format!("Host: evil.example\r\nAuthorization: {bearer}\r\n\r\n"),
        format!("Host: {host}\r\nOrigin: http://evil.example\r\nAuthorization: {bearer}\r\n\r\n"),
    ];
    let mut strangers = Vec::new();
    for (n, fields) in (0..1000).zip(said.iter().cycle()) {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let line = if fields.is_empty() { "" } else { "GET /v1/status HTTP/1.1\r\n" };
        // Whoever came before may be cut off already.
        let _ = stream.write_all(format!("{line}{fields}").as_bytes()).await;
        strangers.push(stream);
        if n % 100 == 99 {
            assert_eq!(api.get("/v1/status").await.status, 200, "beside {n} others");
        }
    }
    // Those that came first gave way to those that came later.
    let mut refused = 0;
    for (n, stream) in strangers[..900].iter_mut().enumerate() {
        let mut told = Vec::new();
        let _ = soon(stream.read_to_end(&mut told)).await;
        if !told.is_empty() {
            let told = answer(&String::from_utf8_lossy(&told));
            let expected = ["", "", "unauthorized", "foreign_host", "foreign_origin"][n % 5];
            assert_eq!(told.code(), expected, "{n}");
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused} were told why");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_answered_by_what_is_wrong() {
    let api = Fixture::new().await;
    let token = api.bearer();
    let large = format!("{{\"payload\":\"{}\"}}", "x".repeat(64 * 1024));
    let deep = format!("{{\"payload\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for (action, body, status, code) in [
        ("broadcast", &*large, 413, "too_large"),
        ("broadcast", &deep, 400, "not_understood"),
        ("broadcast", "{", 400, "not_understood"),
        ("broadcast", "[]", 400, "not_understood"),
        ("broadcast", "", 400, "not_understood"),
        ("broadcast", "{\"payload\":1,\"more\":2}", 400, "not_understood"),
        ("broadcast", "{\"payload\":\"\u{0}\"}", 400, "not_understood"),
        ("ban", "{\"whom\":\"bob\"}", 400, "bad_name"),
        ("ban", "{\"whom\":\"203.0.113.0/24\",\"seconds\":-1}", 400, "not_understood"),
        ("unban", "{\"whom\":\"203.0.113.0/24\"}", 409, "not_banned"),
        ("disconnect", "{\"peer\":\"0707070707070707\"}", 404, "unknown_peer"),
        ("join", "{\"target\":\"nonsense\"}", 400, "bad_target"),
        ("nothing", "{}", 404, "no_such_route"),
    ] {
        let answer = api.act(action, body).await;
        assert_eq!((answer.status, &*answer.code()), (status, code), "{action} {answer:?}");
    }
    let id = api.node.id().to_string();
    let itself = api.act("disconnect", &format!("{{\"peer\":\"{id}\"}}")).await;
    assert_eq!((itself.status, &*itself.code()), (409, "ourselves"));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let fields = [("Authorization", &*token), ("Content-Type", kind)];
        let answer = api.ask("POST /v1/actions/broadcast", &fields, "{\"payload\":1}").await;
        assert_eq!((answer.status, &*answer.code()), (415, "not_json"), "{kind}");
    }
    let chunked = [
        ("Authorization", &*token),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ];
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let mut request = String::from("POST /v1/actions/broadcast HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in chunked {
        request += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let _ = stream.write_all(format!("{request}Connection: close\r\n\r\n{chunk}").as_bytes()).await;
    let mut read = Vec::new();
    let _ = soon(stream.read_to_end(&mut read)).await;
    assert_eq!(answer(&String::from_utf8_lossy(&read)).status, 413);

    for (line, status, code) in [
        ("GET /v1/nothing", 404, "no_such_route"),
        ("GET /v1x", 404, "no_such_route"),
        ("GET /v1/peers/", 404, "no_such_route"),
        ("GET /v1/peers/bob", 400, "bad_name"),
        ("GET /v1/peers/%ff", 400, "bad_name"),
        ("GET /v1/history?last=0", 400, "bad_parameter"),
        ("GET /v1/history?last=many", 400, "bad_parameter"),
        ("GET /metrics?collect=everything", 400, "bad_parameter"),
        ("DELETE /v1/status", 405, "wrong_method"),
        ("OPTIONS /v1/status", 405, "wrong_method"),
        ("GET /v1/actions/ban", 405, "wrong_method"),
        ("BREW /v1/status", 405, "wrong_method"),
        ("POST /index.html", 405, "wrong_method"),
    ] {
        let answer = api.ask(line, &[("Authorization", &token)], "").await;
        assert_eq!((answer.status, &*answer.code()), (status, code), "{line}");
        assert_eq!(answer.fields.contains_key("allow"), status == 405, "{line}");
    }
    let last = [("Authorization", &*token), ("Last-Event-ID", "yesterday")];
    assert_eq!(api.ask("GET /v1/events", &last, "").await.code(), "bad_event_id");
}

#[tokio::test]
async fn head_is_get_without_a_body_and_no_path_leads_out_of_the_page() {
    let api = Fixture::new().await;
    for path in ["/", "/livez", "/v1/status", "/openapi.json"] {
        let head = api.ask(&format!("HEAD {path}"), &[("Authorization", &api.bearer())], "").await;
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
    }
    for path in [
        "/../Cargo.toml",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/assets/../index.html",
        "/index.html%00.js",
        "/api.token",
        "/./index.html",
    ] {
        let answer = api.ask(&format!("GET {path}"), &[], "").await;
        assert_eq!((answer.status, &*answer.code()), (404, "no_such_route"), "{path}");
    }
}

#[tokio::test]
async fn the_page_is_sent_once_and_then_only_when_it_changed() {
    let api = Fixture::new().await;
    let page = api.ask("GET /", &[], "").await;
    assert_eq!(page.fields["content-type"], "text/html; charset=utf-8");
    let tag = &page.fields["etag"];
    let again = api.ask("GET /index.html", &[("If-None-Match", tag)], "").await;
    assert_eq!((again.status, &*again.body), (304, ""));
}

#[tokio::test]
async fn other_machines_are_let_in_only_by_who_says_that_this_is_meant() {
    let api = Fixture::new().await;
    let mut server = Server::new(api.node.clone(), Surroundings::default());
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = ApiPort::bind(address.parse().unwrap(), false).await.unwrap_err();
        assert!(matches!(refused, ServerError::NotLoopback(_)));
        assert!(refused.to_string().contains("not encrypted"), "{refused}");
    }
    let all = "0.0.0.0:0".parse().unwrap();
    let port = ApiPort::bind(all, true).await.unwrap();
    server.listen_at(port, api.folder.path()).unwrap();
}
