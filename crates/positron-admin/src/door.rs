//! Where one comes in, and who may.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header, uri::Authority};

use crate::{refusal::Refusal, token::Token};

/// A way in. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Door {
    /// The socket in the data folder: the operating system lets in its owner only.
    Owner,
    /// A TCP port: who shows the token, and is no page of somebody else.
    Bearer {
        /// What must be shown.
        token: Arc<Token>,
        /// Where it listens.
        address: SocketAddr,
        /// Where the token is to be had, in words.
        told_by: &'static str,
    },
}

/// The API is to listen where others than this machine reach it, and nobody said that this is
/// meant: the token and all that is answered would cross the network in clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLoopback(pub SocketAddr);

impl fmt::Display for NotLoopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is reached from other machines, and the API is not encrypted: whoever sees the \
             traffic has the token",
            self.0
        )
    }
}

impl std::error::Error for NotLoopback {}

/// Whether the API may listen there; `in_clear_text` says that other machines are meant.
///
/// # Errors
/// [`NotLoopback`]: they are not.
pub(crate) fn may_listen(address: SocketAddr, in_clear_text: bool) -> Result<(), NotLoopback> {
    if address.ip().is_loopback() || in_clear_text { Ok(()) } else { Err(NotLoopback(address)) }
}

impl Door {
    /// Whether who asks showed that it may ask everything; `Err`: it may ask nothing.
    ///
    /// A page of somebody else that runs in the operator's browser reaches loopback as well. It is
    /// told apart by what the browser says of it: by `Origin`, which it sends with everything that
    /// is not a plain link, and by `Host`, which has the attacker's name in it when that name was
    /// made to resolve to loopback (DNS rebinding). Without a token neither would get any data.
    pub(crate) fn admits(&self, uri: &Uri, fields: &HeaderMap) -> Result<bool, Refusal> {
        let Self::Bearer { token, address, .. } = self else { return Ok(true) };
        let host = only(fields, header::HOST)?.ok_or_else(|| foreign_host("none"))?;
        let meant = uri.authority().map(Authority::as_str);
        if let Some(foreign) =
            [Some(host), meant].into_iter().flatten().find(|host| !is_ours(host, *address))
        {
            return Err(foreign_host(foreign));
        }
        if let Some(origin) = only(fields, header::ORIGIN)?
            && origin.strip_prefix("http://") != Some(host)
        {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "another page asks; only the page of this node may",
            ));
        }
        if uri.query().is_some_and(has_token) {
            return Err(Refusal::bad(
                "token_in_query",
                "an address with a token in it ends up in logs and histories",
            )
            .try_this("send it as a header: Authorization: Bearer TOKEN"));
        }
        let Some(shown) = only(fields, header::AUTHORIZATION)? else { return Ok(false) };
        let (scheme, shown) = shown.split_once(' ').unwrap_or(("", ""));
        // RFC 9110, 11.1: the name of the scheme has no case.
        if scheme.eq_ignore_ascii_case("bearer") && token.is(shown.trim().as_bytes()) {
            return Ok(true);
        }
        Err(self.unauthorized("the token is wrong"))
    }

    pub(crate) fn unauthorized(&self, sentence: &str) -> Refusal {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", sentence);
        match self {
            Self::Owner => refusal,
            Self::Bearer { told_by, .. } => refusal.try_this(*told_by),
        }
    }
}

/// A field that may be there once.
fn only(fields: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Refusal> {
    let mut all = fields.get_all(&name).iter();
    let first = all.next();
    let wrong =
        || Refusal::bad("bad_header", format!("the header {name} is not one line of plain text"));
    match (first, all.next()) {
        (_, Some(_)) => Err(wrong()),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| wrong()),
        (None, None) => Ok(None),
    }
}

/// Names can be made to resolve to any address, addresses cannot: apart from `localhost`, which
/// browsers resolve themselves (Fetch, "potentially trustworthy"), only addresses are ours. The
/// port may be another one: that of a tunnel.
fn is_ours(host: &str, listens: SocketAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let Ok(ip) = name.parse::<std::net::IpAddr>() else { return false };
    ip.is_loopback() || ip == listens.ip() || listens.ip().is_unspecified()
}

fn has_token(query: &str) -> bool {
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.into_iter().any(|name| {
        ["token", "access_token", "api_token"].iter().any(|one| name.eq_ignore_ascii_case(one))
    })
}

fn foreign_host(host: &str) -> Refusal {
    let sentence = format!("{host:?} is no name of this API");
    Refusal::new(StatusCode::FORBIDDEN, "foreign_host", sentence)
        .try_this("ask it by its IP address, or as localhost")
}
