//! The asking side: what the command says to the node that runs with a data folder.
//!
//! It blocks: a command asks once, and has nothing else to do meanwhile.

use std::{
    fmt,
    future::poll_fn,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use axum::body::{Body, Bytes, to_bytes};
use futures_core::Stream as _;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use tokio::{
    net::UnixStream,
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    limits::{ANSWER_TIMEOUT, EVENT_SILENCE, MAX_ANSWER},
    refusal::{ErrorAnswer, Wrong},
    socket::{SOCKET, SocketPath},
};

/// Asks the node that runs with one data folder.
#[derive(Debug)]
pub struct Client {
    folder: PathBuf,
    runtime: Runtime,
}

/// What came of a question.
pub type Asked<T> = Result<T, ClientError>;

/// There is no answer, or not the one that was wanted.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens in that data folder.
    NotRunning,
    /// Somebody does, and asking does not work.
    Unusable(io::Error),
    /// The answer is none of this version.
    Nonsense(String),
    /// The node does not do it, and says why.
    Refused(Wrong),
}

impl Client {
    /// Asks the node of `folder`. Nothing happens yet.
    ///
    /// # Errors
    /// [`ClientError::Unusable`]: the operating system gives no way to wait.
    pub fn new(folder: &Path) -> Asked<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ClientError::Unusable)?;
        Ok(Self { folder: folder.to_owned(), runtime })
    }

    /// What is answered to `GET path`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Asked<T> {
        self.asked(Method::GET, path, None)
    }

    /// What is answered to `POST path` with `body`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Asked<T> {
        self.asked(Method::POST, path, Some(body))
    }

    /// What is answered to `PUT path` with `body`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Asked<T> {
        self.asked(Method::PUT, path, Some(body))
    }

    /// What happens from now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn events(&self) -> Asked<EventStream<'_>> {
        let (sender, answer) =
            self.waited(self.answer(Method::GET, "/v1/events", None, "text/event-stream"))?;
        let body = Body::new(answer.into_body());
        Ok(EventStream { client: self, _sender: sender, body, read: Vec::new() })
    }

    fn asked<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Asked<T> {
        let whole = async {
            let (_sender, answer) = self.answer(method, path, body, "application/json").await?;
            read(answer.into_body()).await
        };
        let whole = self.waited(whole)?;
        serde_json::from_slice(&whole).map_err(|error| ClientError::Nonsense(error.to_string()))
    }

    fn waited<T>(&self, work: impl Future<Output = Asked<T>>) -> Asked<T> {
        self.runtime.block_on(async {
            timeout(ANSWER_TIMEOUT, work)
                .await
                .unwrap_or_else(|_| Err(ClientError::Unusable(io::ErrorKind::TimedOut.into())))
        })
    }

    /// An answer that grants what was asked, and what keeps its connection.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        wanted: &str,
    ) -> Asked<(SendRequest<Body>, Response<Incoming>)> {
        let socket = SocketPath::new(&self.folder, SOCKET).map_err(unreachable)?;
        let stream = UnixStream::connect(&socket.path).await.map_err(unreachable)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let mut request =
            Request::new(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        *request.method_mut() = method;
        *request.uri_mut() =
            path.parse().map_err(|error| broken(io::Error::other(format!("{error}"))))?;
        let fields = request.headers_mut();
        fields.insert(header::HOST, header::HeaderValue::from_static("localhost"));
        fields.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        let answer = sender.send_request(request).await.map_err(broken)?;
        let kind = answer.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_vec());
        let is = |wanted: &str| kind.as_deref().is_some_and(|k| k.starts_with(wanted.as_bytes()));
        let status = answer.status();
        if status.is_success() && is(wanted) {
            return Ok((sender, answer));
        }
        let said = read(answer.into_body()).await?;
        Err(match serde_json::from_slice::<ErrorAnswer>(&said) {
            Ok(answer) => ClientError::Refused(answer.error),
            Err(_) => ClientError::Nonsense(format!("{status} to {path}")),
        })
    }
}

/// What happens to the node, until it stops.
#[derive(Debug)]
pub struct EventStream<'a> {
    client: &'a Client,
    _sender: SendRequest<Body>,
    body: Body,
    read: Vec<u8>,
}

impl EventStream<'_> {
    /// The next event, as one line of JSON whose first keys are `id` and `type`; none when the node
    /// is gone.
    ///
    /// # Errors
    /// [`ClientError::Unusable`] when nothing came for long, not even that there is nothing.
    pub fn next_event(&mut self) -> Asked<Option<Box<RawValue>>> {
        loop {
            while let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let told: Vec<u8> = self.read.drain(..end + 2).collect();
                if let Some(event) = event(&told) {
                    return Ok(Some(event));
                }
            }
            match self.chunk()? {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    fn chunk(&mut self) -> Asked<Option<Bytes>> {
        let mut body = std::mem::take(&mut self.body).into_data_stream();
        let chunk = self.client.runtime.block_on(async {
            timeout(EVENT_SILENCE + SPARE, poll_fn(|cx| Pin::new(&mut body).poll_next(cx))).await
        });
        self.body = Body::from_stream(body);
        match chunk {
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            // The node, or its connection, is gone.
            Ok(None | Some(Err(_))) => Ok(None),
            Err(_) => Err(ClientError::Unusable(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// How much longer than it must a node may be silent.
const SPARE: Duration = Duration::from_secs(5);

/// What one event tells (HTML, 9.2.6); nothing, if it is a comment.
fn event(told: &[u8]) -> Option<Box<RawValue>> {
    let told = std::str::from_utf8(told).ok()?;
    let data = told.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(data).ok()
}

async fn read(body: Incoming) -> Asked<Bytes> {
    to_bytes(Body::new(body), MAX_ANSWER).await.map_err(broken)
}

/// No folder, no socket, or one that a node left behind when it was killed: nobody is there.
fn unreachable(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning,
        _ => ClientError::Unusable(error),
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> ClientError {
    ClientError::Unusable(io::Error::other(error))
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("nobody listens"),
            Self::Unusable(error) => error.fmt(f),
            Self::Nonsense(what) => f.write_str(what),
            Self::Refused(wrong) => f.write_str(&wrong.sentence),
        }
    }
}

impl std::error::Error for ClientError {}
