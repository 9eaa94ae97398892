//! Asking STUN servers, and why one is not heard.

use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};

use positron_networking::stun;

use super::machine::source_towards;

/// What came of one server.
#[derive(Clone, Debug)]
pub(super) struct ServerReply {
    /// As it was named.
    pub server: String,
    /// How it sees the socket.
    pub outcome: Result<SocketAddr, Unheard>,
}

/// Why a server does not say how it sees us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unheard {
    /// Its name has no address.
    Unresolved(String),
    /// It has none that can be sent to from here.
    Unroutable(String),
    /// It was asked, and this came of it.
    Unanswered(String),
}

impl Unheard {
    /// In words.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Unresolved(why) | Self::Unroutable(why) | Self::Unanswered(why) => why,
        }
    }
}

/// Asks each server, at one address of it, how it sees `socket`.
pub(super) fn ask(socket: &UdpSocket, servers: &[String]) -> Vec<ServerReply> {
    let is_v6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
    let (mut replies, mut named) = (Vec::new(), Vec::<(String, &String)>::new());
    for server in servers {
        match address_of(server, is_v6) {
            Ok(address) => named.push((address.to_string(), server)),
            Err(why) => replies.push(ServerReply { server: server.clone(), outcome: Err(why) }),
        }
    }
    let addresses: Vec<String> = named.iter().map(|(address, _)| address.clone()).collect();
    replies.extend(stun::ask(socket, &addresses).into_iter().map(|reply| {
        let name = named.iter().find(|(address, _)| *address == reply.server);
        let server = name.map_or(reply.server, |(_, name)| (*name).clone());
        ServerReply { server, outcome: reply.outcome.map_err(Unheard::Unanswered) }
    }));
    replies
}

/// One address of a server that can be sent to, IPv4 before IPv6: that is what is translated.
fn address_of(server: &str, is_v6: bool) -> Result<SocketAddr, Unheard> {
    let found = server.to_socket_addrs();
    let found = found.map_err(|error| Unheard::Unresolved(error.to_string()))?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let Some(first) = found.first().copied() else {
        return Err(Unheard::Unresolved("it has no address".to_owned()));
    };
    if found.iter().all(SocketAddr::is_ipv6) && !is_v6 {
        let why = format!("{} is IPv6, and the node listens on IPv4 only", first.ip());
        return Err(Unheard::Unroutable(why));
    }
    let mut usable = found.into_iter().filter(|at| at.is_ipv4() || is_v6);
    usable.find(|at| source_towards(*at).is_ok()).ok_or_else(|| {
        let family = if first.is_ipv4() { "IPv4" } else { "IPv6" };
        Unheard::Unroutable(format!("this machine has no way to {} ({family})", first.ip()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_another_family_is_not_asked_and_it_is_said_why() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let replies = ask(&socket, &["[2001:db8::1]:3478".to_owned()]);
        let [ServerReply { server, outcome: Err(Unheard::Unroutable(why)) }] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!(server, "[2001:db8::1]:3478");
        assert!(why.contains("IPv4 only"), "{why}");
    }
}
