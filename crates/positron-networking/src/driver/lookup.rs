//! From names to addresses.

use std::{io, net::SocketAddr};

use tokio::net::lookup_host;

/// Asks the operating system for the addresses of `host:port`. A link-local address with its zone,
/// `[fe80::1%eth0]:8888`, is a name to it, because it alone knows the number of the zone (RFC 4007,
/// 11).
pub(crate) async fn lookup(name: &str) -> io::Result<Vec<SocketAddr>> {
    let zoned = name.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    let port = zoned.and_then(|(_, port)| port.parse::<u16>().ok());
    Ok(match (zoned, port) {
        (Some((host, _)), Some(port)) => lookup_host((host, port)).await?.collect(),
        _ => lookup_host(name).await?.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_local_address_gets_the_number_of_its_zone() {
        let Ok(found) = lookup("[fe80::1%lo]:8888").await else {
            eprintln!("skipped: there is no interface called lo, or no IPv6");
            return;
        };
        assert!(
            matches!(found[..], [SocketAddr::V6(one)] if one.scope_id() != 0 && one.port() == 8888),
            "{found:?}"
        );
        assert_eq!(lookup("127.0.0.1:1").await.unwrap(), ["127.0.0.1:1".parse().unwrap()]);
        assert!(lookup("[fe80::1%no-such-zone]:1").await.is_err());
    }
}
