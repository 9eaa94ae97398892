//! The admin API of a node in the lab, asked through the socket in its data folder.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

/// What a node answers to a GET; `None` if it does not.
pub(crate) fn get(data: &Path, path: &str) -> Option<Value> {
    ask(data, &format!("GET {path} HTTP/1.1\r\n"), "").ok()
}

/// Has a node do something: its answer, or whatever it said instead of 200.
pub(crate) fn post(data: &Path, path: &str, body: &Value) -> Result<Value, String> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    ask(data, &head, &body)
}

fn ask(data: &Path, head: &str, body: &str) -> Result<Value, String> {
    let in_words = |error: std::io::Error| error.to_string();
    let mut stream = UnixStream::connect(data.join("control.sock")).map_err(in_words)?;
    let question = format!("{head}Host: node\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(question.as_bytes()).map_err(in_words)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(in_words)?;
    let (said, body) = answer.split_once("\r\n\r\n").ok_or_else(|| answer.clone())?;
    if !said.starts_with("HTTP/1.1 200") {
        return Err(body.to_owned());
    }
    serde_json::from_str(body).map_err(|error| format!("{error} in {body}"))
}
