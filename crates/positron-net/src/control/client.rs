//! The asking side.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use super::{MAX_RESPONSE, RESPONSE_TIMEOUT, Request, Response, SOCKET, SocketPath};
use crate::failure::{Exit, Failure};

/// Nobody listens in that data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotRunning;

/// Asks the node that runs with the data folder `folder`, and waits for its answer.
pub(crate) fn ask(
    folder: &Path,
    request: &Request,
) -> Result<Result<Response, NotRunning>, Failure> {
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
    let line = exchange(stream, request).map_err(|error| unusable(folder, &error))?;
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

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<String> {
    stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
    stream.set_write_timeout(Some(RESPONSE_TIMEOUT))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_RESPONSE)).read_line(&mut answer)?;
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
            .because(format!("no answer within {} s", RESPONSE_TIMEOUT.as_secs())),
        _ => Failure::new(Exit::Unreachable, what).because(error),
    }
}
