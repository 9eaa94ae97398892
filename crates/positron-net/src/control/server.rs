//! The answering side.

use std::{
    fs::{self, Permissions},
    future::Future,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{MAX_REQUEST, RESPONSE_TIMEOUT, Request, Response, SOCKET, SocketPath};

/// Connections at a time; others wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8;
/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers requests until it is closed or dropped, and removes its socket then.
#[derive(Debug)]
pub(crate) struct Server {
    socket: PathBuf,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens in `folder`, which must be ours alone: a socket that is there was left behind.
    pub(crate) fn listen<F, R>(folder: &Path, answer: F) -> io::Result<Self>
    where
        F: Fn(Request) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response> + Send + 'static,
    {
        // It gets its name only when nobody else can connect to it.
        let scratch_name = format!(".{SOCKET}.{}", std::process::id());
        let scratch = SocketPath::new(folder, &scratch_name)?;
        let _ = fs::remove_file(&scratch.path);
        let listener = UnixListener::bind(&scratch.path)?;
        fs::set_permissions(&scratch.path, Permissions::from_mode(0o600))?;
        let socket = folder.join(SOCKET);
        fs::rename(&scratch.path, &socket)?;
        Ok(Self { socket, task: Some(tokio::spawn(serve(listener, answer))) })
    }

    /// Ends every connection. When this returns, nothing that answers is left.
    pub(crate) async fn close(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It can only have been cancelled.
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let _ = fs::remove_file(&self.socket);
    }
}

/// Connections end with this task.
async fn serve<F, R>(listener: UnixListener, answer: F)
where
    F: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                match accepted {
                    // Whoever asks and goes away, or says nothing, has no claim to an answer.
                    Ok((stream, _)) => {
                        let connection = respond(stream, answer.clone());
                        connections.spawn(timeout(RESPONSE_TIMEOUT, connection));
                    }
                    // No descriptors left: they come back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
            _ = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn respond<F, R>(mut stream: UnixStream, answer: F) -> io::Result<()>
where
    F: Fn(Request) -> R,
    R: Future<Output = Response>,
{
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    timeout(REQUEST_TIMEOUT, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => answer(request).await,
        Err(error) => Response::Refused(format!("not understood: {error}")),
    };
    let mut line = serde_json::to_string(&answer)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await?;
    writer.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{ask, client::NotRunning};
    use positron_networking::NodeId;

    async fn asked(folder: &Path, request: Request) -> Result<Response, NotRunning> {
        let folder = folder.to_owned();
        let asked = tokio::task::spawn_blocking(move || ask(&folder, &request));
        asked.await.unwrap().unwrap()
    }

    async fn answer(request: Request) -> Response {
        match request {
            Request::Status
            | Request::Bans
            | Request::LostPeers
            | Request::Dials
            | Request::Order(_) => Response::Refused("busy".into()),
            Request::Join { .. } => Response::Joined(NodeId::from_bytes([7; 32])),
        }
    }

    #[tokio::test]
    async fn a_request_is_answered_even_deep_in_the_file_system_and_by_the_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(200));
        fs::create_dir(&deep).unwrap();
        for folder in [root.path(), &deep] {
            assert_eq!(asked(folder, Request::Status).await, Err(NotRunning));
            let server = Server::listen(folder, answer).unwrap();
            let mode = fs::metadata(folder.join(SOCKET)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(asked(folder, Request::Status).await, Ok(Response::Refused("busy".into())));
            let join = Request::Join { target: "h:1".into() };
            assert_eq!(
                asked(folder, join).await,
                Ok(Response::Joined(NodeId::from_bytes([7; 32])))
            );
            drop(server);
            assert_eq!(
                fs::read_dir(folder)
                    .unwrap()
                    .filter(|entry| {
                        entry.as_ref().unwrap().file_name().to_string_lossy().contains(SOCKET)
                    })
                    .count(),
                0
            );
            assert_eq!(asked(folder, Request::Status).await, Err(NotRunning));
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_nonsense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(asked(folder.path(), Request::Status).await, Err(NotRunning));
        let _server = Server::listen(folder.path(), answer).unwrap();

        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\n").await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(
            matches!(serde_json::from_str(&response).unwrap(), Response::Refused(_)),
            "{response}"
        );
    }
}
