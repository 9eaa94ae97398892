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

use super::{ANSWER_TIMEOUT, Answer, MAX_QUESTION, Question, SOCKET, SocketPath};

/// Conversations at a time; others wait in the kernel's queue.
const MAX_CONVERSATIONS: usize = 8;
/// How long a question may take to arrive.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers questions until it is closed or dropped, and removes its socket then.
#[derive(Debug)]
pub(crate) struct Server {
    socket: PathBuf,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens in `folder`, which must be ours alone: a socket that is there was left behind.
    pub(crate) fn listen<F, R>(folder: &Path, answer: F) -> io::Result<Self>
    where
        F: Fn(Question) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
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

    /// Ends every conversation. When this returns, nothing that answers is left.
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

/// Conversations end with this task.
async fn serve<F, R>(listener: UnixListener, answer: F)
where
    F: Fn(Question) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if conversations.len() < MAX_CONVERSATIONS => {
                match accepted {
                    // Whoever asks and goes away, or says nothing, has no claim to an answer.
                    Ok((stream, _)) => {
                        let conversation = converse(stream, answer.clone());
                        conversations.spawn(timeout(ANSWER_TIMEOUT, conversation));
                    }
                    // No descriptors left: they come back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
            _ = conversations.join_next(), if !conversations.is_empty() => {}
        }
    }
}

async fn converse<F, R>(mut stream: UnixStream, answer: F) -> io::Result<()>
where
    F: Fn(Question) -> R,
    R: Future<Output = Answer>,
{
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_QUESTION));
    timeout(QUESTION_TIMEOUT, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(question) => answer(question).await,
        Err(error) => Answer::Refused(format!("not understood: {error}")),
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

    async fn asked(folder: &Path, question: Question) -> Result<Answer, NotRunning> {
        let folder = folder.to_owned();
        let asked = tokio::task::spawn_blocking(move || ask(&folder, &question));
        asked.await.unwrap().unwrap()
    }

    async fn answer(question: Question) -> Answer {
        match question {
            Question::Status => Answer::Refused("busy".into()),
            Question::Join { .. } => Answer::Joined(NodeId::from_bytes([7; 32])),
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_even_deep_in_the_file_system_and_by_the_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(200));
        fs::create_dir(&deep).unwrap();
        for folder in [root.path(), &deep] {
            assert_eq!(asked(folder, Question::Status).await, Err(NotRunning));
            let server = Server::listen(folder, answer).unwrap();
            let mode = fs::metadata(folder.join(SOCKET)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(asked(folder, Question::Status).await, Ok(Answer::Refused("busy".into())));
            let join = Question::Join { target: "h:1".into() };
            assert_eq!(asked(folder, join).await, Ok(Answer::Joined(NodeId::from_bytes([7; 32]))));
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
            assert_eq!(asked(folder, Question::Status).await, Err(NotRunning));
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_nonsense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(asked(folder.path(), Question::Status).await, Err(NotRunning));
        let _server = Server::listen(folder.path(), answer).unwrap();

        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\n").await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(matches!(serde_json::from_str(&said).unwrap(), Answer::Refused(_)), "{said}");
    }
}
