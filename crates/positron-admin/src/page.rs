//! The page: files that are part of the program.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::gate;

/// A file of the page.
struct File {
    /// From the root, with a slash in front.
    name: &'static str,
    /// Changes with its content.
    tag: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The file of that name, compressed if there is such a one and the client takes it. A name is
/// looked up in a table: no path of it ever reaches a file system.
pub(crate) async fn answer(request: Request) -> Response {
    let name = match request.uri().path() {
        "/" => "/index.html",
        name => name,
    };
    let Some(file) = file(name) else { return gate::not_found().await.into_response() };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET,HEAD")];
        return (allow, gate::wrong_method().await).into_response();
    }
    let packed = self::file(&format!("{name}.gz")).filter(|_| takes_gzip(request.headers()));
    let sent = packed.unwrap_or(file);
    // Names that change with their content need not be asked for again.
    let keeps =
        if name.starts_with("/assets/") { "max-age=31536000, immutable" } else { "no-cache" };
    let fields = [
        (header::CONTENT_TYPE, content_type(name)),
        (header::ETAG, sent.tag),
        (header::CACHE_CONTROL, keeps),
        (header::VARY, "accept-encoding"),
    ];
    let known = request.headers().get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == sent.tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    match packed {
        Some(_) => (fields, [(header::CONTENT_ENCODING, "gzip")], sent.bytes).into_response(),
        None => (fields, sent.bytes).into_response(),
    }
}

fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

fn takes_gzip(fields: &HeaderMap) -> bool {
    let accepted = fields.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let refused = |quality: &str| matches!(quality, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            parts.next() == Some("gzip") && !parts.any(refused)
        })
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
