//! The asking side.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use super::{ANSWER_TIMEOUT, Answer, MAX_ANSWER, Question, SOCKET, SocketPath};
use crate::failure::{Exit, Failure};

/// Nobody listens in that data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotRunning;

/// Asks the node that runs with the data folder `folder`, and waits for its answer.
pub(crate) fn ask(
    folder: &Path,
    question: &Question,
) -> Result<Result<Answer, NotRunning>, Failure> {
    let path = match SocketPath::new(folder, SOCKET) {
        Ok(path) => path,
        Err(error) if is_absent(&error) => return Ok(Err(NotRunning)),
        Err(error) => return Err(unusable(folder, &error)),
    };
    let stream = match UnixStream::connect(&path.path) {
        Ok(stream) => stream,
        Err(error) if is_absent(&error) => return Ok(Err(NotRunning)),
        Err(error) => return Err(unusable(folder, &error)),
    };
    let line = exchange(stream, question).map_err(|error| unusable(folder, &error))?;
    let answer = serde_json::from_str(&line).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format!("the node in {} answers nonsense", folder.display()),
        )
        .because(error)
        .try_this("is it of another version? restart it with this one")
    })?;
    Ok(Ok(answer))
}

fn exchange(mut stream: UnixStream, question: &Question) -> io::Result<String> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_string(question)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer)?;
    Ok(answer)
}

/// No folder, no socket, or one that a node left behind when it was killed.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn unusable(folder: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot ask the node in {}", folder.display());
    match error.kind() {
        ErrorKind::PermissionDenied => Failure::new(Exit::Storage, what)
            .because(error)
            .try_this("only the user who runs the node may ask it"),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::new(Exit::Unreachable, what)
            .because(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
        _ => Failure::new(Exit::Unreachable, what).because(error),
    }
}
