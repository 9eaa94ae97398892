//! A node with its API, and somebody who asks over a socket.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use positron_admin::{ApiPort, Server, Surroundings, Token};
use positron_networking::{NetworkConfig, Node};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// For what is to happen at once: so long that only what never happens takes it.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) node: Node,
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The word for what is wrong.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let node = Node::start(NetworkConfig::loopback()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::new(node.clone(), Surroundings::default());
        server.listen_in(folder.path()).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let port = ApiPort::bind(any, false).await.unwrap();
        let address = server.listen_at(port, folder.path()).unwrap();
        let token = Token::of(folder.path()).unwrap().reveal().to_owned();
        Self { node, server, address, token, folder }
    }

    /// What is answered to a request of these fields, beside `Host` and `Connection`.
    pub(crate) async fn ask(&self, line: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let host = self.address.to_string();
        let mut fields = fields.to_vec();
        fields.extend([("Host", host.as_str()), ("Connection", "close")]);
        self.ask_raw(line, &fields, body).await
    }

    /// With the token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[("Authorization", &self.bearer())], "").await
    }

    /// With the token and as JSON.
    pub(crate) async fn act(&self, action: &str, body: &str) -> Answer {
        self.post(&format!("/v1/actions/{action}"), body).await
    }

    /// With the token and as JSON.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let fields = [("Authorization", &*self.bearer()), ("Content-Type", "application/json")];
        self.ask(&format!("POST {path}"), &fields, body).await
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(crate) async fn ask_raw(&self, line: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        ask(self.address, line, fields, body).await
    }
}

/// What is answered at `address` to a request of these fields.
pub(crate) async fn ask(
    address: SocketAddr,
    line: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\n");
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    request += body;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever refuses a large body need not read it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut read = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut read)).await.expect("no answer");
    answer(&String::from_utf8_lossy(&read))
}

pub(crate) fn answer(read: &str) -> Answer {
    let (head, body) = read.split_once("\r\n\r\n").unwrap_or((read, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let fields = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.unwrap_or_else(|| panic!("no answer: {read:?}")),
        fields: fields.map(|(name, value)| (name.to_ascii_lowercase(), value.into())).collect(),
        body: body.to_owned(),
    }
}

/// Waits for something that is to happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it did not happen")
}
