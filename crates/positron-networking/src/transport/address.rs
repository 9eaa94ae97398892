//! From names to addresses.

use std::{fmt::Debug, net::SocketAddr};

use tokio::{
    net::{ToSocketAddrs, lookup_host},
    time::timeout,
};

use super::ConnectError;
use crate::{
    driver::datagrams::canonical,
    limits::{LOOKUP_TIMEOUT, MAX_LOOKED_UP},
};

/// Every address of a name that can be reached; never none.
pub(super) async fn resolve(
    name: impl ToSocketAddrs + Debug,
    is_reachable: impl Fn(&SocketAddr) -> bool,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let text = format!("{name:?}");
    let unresolved =
        |why: &str| ConnectError::Unresolved { name: text.clone(), why: why.to_owned() };
    let found = match timeout(LOOKUP_TIMEOUT, lookup_host(name)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(unresolved(&error.to_string())),
        Err(_) => return Err(unresolved("the name server did not answer in time")),
    };
    let found: Vec<SocketAddr> =
        found.map(canonical).filter(is_reachable).take(MAX_LOOKED_UP).collect();
    if found.is_empty() {
        return Err(unresolved("it has no address that this socket reaches"));
    }
    Ok(found)
}
