//! Listens at the doors, and serves who comes in.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, body::Body, extract::Request, middleware};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use positron_networking::Node;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

use crate::{
    app::App,
    door::{Door, NotLoopback, may_listen},
    feed::Feed,
    gate,
    history::History,
    limits::{ACCEPT_BACK_OFF, HEAD_TIMEOUT, MAX_CONNECTIONS, MAX_FIELDS, MAX_HEAD},
    routes,
    slots::{Guest, Slots},
    socket,
    surroundings::Surroundings,
    token::{Token, TokenError},
};

/// The API of a node, until it is closed or dropped.
#[derive(Debug)]
pub struct Server {
    app: App,
    stop: Arc<Notify>,
    socket: Option<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why the API does not listen at a TCP port.
#[derive(Debug)]
pub enum ServerError {
    /// It is not only for this machine, and nobody said that this is meant.
    NotLoopback(NotLoopback),
    /// The port cannot be had.
    Bind(SocketAddr, io::Error),
    /// There is no token.
    Token(TokenError),
}

/// A port that is held for the API of a node that has yet to start: where it cannot be had, nothing
/// else was made.
#[derive(Debug)]
pub struct ApiPort {
    listener: TcpListener,
    address: SocketAddr,
}

impl ApiPort {
    /// Holds `address`; port 0 is a free one. `in_clear_text` says that an address which is not
    /// this machine's own is meant. Within a tokio runtime.
    ///
    /// # Errors
    /// [`ServerError::NotLoopback`] and [`ServerError::Bind`].
    pub async fn bind(address: SocketAddr, in_clear_text: bool) -> Result<Self, ServerError> {
        may_listen(address, in_clear_text).map_err(ServerError::NotLoopback)?;
        let unbound = |error| ServerError::Bind(address, error);
        let listener = TcpListener::bind(address).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        Ok(Self { listener, address })
    }
}

impl Server {
    /// Begins to watch `node`. Within a tokio runtime. Nobody can ask before it listens.
    pub fn new(node: Node, around: Surroundings) -> Self {
        let stop = Arc::new(Notify::new());
        let feed = Arc::new(Feed::new());
        let history = Arc::new(History::new());
        let tasks = vec![
            tokio::spawn(Arc::clone(&feed).follow(node.events())),
            tokio::spawn(Arc::clone(&history).follow(node.clone())),
        ];
        let app = App::new(node, feed, history, around, Arc::clone(&stop));
        Self { app, stop, socket: None, tasks }
    }

    /// Listens at a socket in `folder`, which must be ours alone.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen_in(&mut self, folder: &Path) -> io::Result<()> {
        let (listener, socket) = socket::listen(folder)?;
        self.socket = Some(socket);
        let router = self.router(Door::Owner);
        self.tasks.push(tokio::spawn(serve_owner(listener, router)));
        Ok(())
    }

    /// Listens at `port` for who has the token of `folder`, and returns where.
    ///
    /// # Errors
    /// [`ServerError::Token`].
    pub fn listen_at(&mut self, port: ApiPort, folder: &Path) -> Result<SocketAddr, ServerError> {
        let ApiPort { listener, address } = port;
        let token = Arc::new(Token::of(folder).map_err(ServerError::Token)?);
        self.app.listens_at(address);
        let router = self.router(Door::Bearer { token, address, told_by: TOKEN_IS_TOLD_BY });
        self.tasks.push(tokio::spawn(serve_bearers(listener, router)));
        Ok(address)
    }

    /// Returns when somebody asked that the node stops.
    pub async fn stop_asked(&self) {
        self.stop.notified().await;
    }

    /// Ends every connection. When this returns, nothing that answers is left.
    pub async fn close(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // It can only have been cancelled.
            let _ = task.await;
        }
    }

    fn router(&self, door: Door) -> Router {
        routes::router(self.app.clone()).layer(middleware::from_fn_with_state(door, gate::pass))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
    }
}

const TOKEN_IS_TOLD_BY: &str = "`positron-net dashboard` prints the address with the token, which \
                                is in api.token in the data folder";

/// Connections end with this task.
async fn serve_owner(listener: UnixListener, router: Router) {
    let slots = Slots::new(MAX_CONNECTIONS);
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let guest = Guest::default();
                guest.welcome();
                admit(stream, guest, &slots, &router, &mut connections).await;
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACK_OFF).await,
        }
    }
}

/// Connections end with this task.
pub(crate) async fn serve_bearers(listener: TcpListener, router: Router) {
    let slots = Slots::new(MAX_CONNECTIONS);
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                admit(stream, Guest::default(), &slots, &router, &mut connections).await;
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACK_OFF).await,
        }
    }
}

async fn admit<S>(
    stream: S,
    guest: Guest,
    slots: &Arc<Slots>,
    router: &Router,
    connections: &mut JoinSet<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while connections.try_join_next().is_some() {}
    let slot = slots.take(guest).await;
    let (number, router) = (slot.number(), router.clone());
    let cut = connections.spawn(async move {
        let guest = slot.guest.clone();
        serve(stream, guest, router).await;
        drop(slot);
    });
    slots.cut_by(number, cut);
}

/// One connection, until its end. Whoever asks and goes away, or says nothing, has no claim to an
/// answer.
async fn serve<S>(stream: S, guest: Guest, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(guest.clone());
        hyper::service::Service::call(&router, request)
    });
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!("a connection to the API ended: {error}");
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(error) => error.fmt(f),
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Token(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServerError {}
