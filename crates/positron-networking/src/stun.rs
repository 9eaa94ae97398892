//! Asking STUN servers (RFC 8489), without a node and by a socket that waits.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    time::Instant,
};

use positron_proto::{
    limits::MAX_STUN_MESSAGE,
    rng::{Rng, Seed},
    stun::{BindingAnswer, StunClient, StunEvent},
    time::Instant as Moment,
};

use crate::limits::{STUN_LOOK, STUN_PATIENCE};

/// What came of one server.
#[derive(Clone, Debug)]
pub struct StunReply {
    /// As it was named.
    pub server: String,
    /// How it sees the socket, or why one does not know.
    pub outcome: Result<SocketAddr, String>,
}

/// Asks each server (`host:port`), at one address of it, how it sees `socket`: one reply a server,
/// of those with the same address one in all. It waits for [`STUN_PATIENCE`] if one is silent, the
/// thread with it, and leaves the socket with a time limit for reading.
pub fn ask(socket: &UdpSocket, servers: &[String]) -> Vec<StunReply> {
    let (start, mut client) = (Instant::now(), StunClient::default());
    let now = || Moment::from_micros(u64::try_from(start.elapsed().as_micros()).unwrap_or(0));
    let mut heard = Vec::new();
    let mut asked: Vec<(String, SocketAddr)> = Vec::new();
    let mut dice = match dice() {
        Ok(dice) => dice,
        Err(why) => return servers.iter().map(|server| StunReply::not(server, &why)).collect(),
    };
    let is_v6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
    for server in servers {
        match resolved(server, is_v6) {
            Ok(address) if asked.iter().any(|(_, at)| *at == address) => {}
            Ok(address) => match client.ask(now(), address, &mut dice) {
                Ok(_) => asked.push((server.clone(), address)),
                Err(why) => heard.push(StunReply::not(server, &why.to_string())),
            },
            Err(why) => heard.push(StunReply::not(server, &why)),
        }
    }
    let _ = socket.set_read_timeout(Some(STUN_LOOK));
    let mut buffer = [0; MAX_STUN_MESSAGE];
    while !asked.is_empty() && start.elapsed() < STUN_PATIENCE {
        client.handle_timeout(now());
        while let Some((to, request)) = client.poll_transmit() {
            // What cannot be sent is not answered, and is sent again.
            let _ = socket.send_to(&request, for_socket(to, is_v6));
        }
        // An error says that nothing came yet, or, once, that a server is not there.
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            client.handle_datagram(now(), from, &buffer[..len]);
        }
        while let Some(StunEvent::Answered { server, answer, .. }) = client.poll_event() {
            let Some(at) = asked.iter().position(|(_, address)| *address == server) else {
                continue;
            };
            let (server, _) = asked.remove(at);
            let outcome = match answer {
                BindingAnswer::Mapped(seen) => Ok(seen),
                BindingAnswer::Refused { code, .. } => Err(format!("it refused, by code {code}")),
            };
            heard.push(StunReply { server, outcome });
        }
    }
    heard.extend(asked.iter().map(|(server, _)| StunReply::not(server, "it did not answer")));
    heard
}

impl StunReply {
    fn not(server: &str, why: &str) -> Self {
        Self { server: server.to_owned(), outcome: Err(why.to_owned()) }
    }
}

fn dice() -> Result<Rng, String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| format!("there is no entropy: {error}"))?;
    Ok(Seed::new(seed).stream("stun"))
}

/// One address of a server that the socket can send to, IPv4 before IPv6: that is what is
/// translated.
fn resolved(server: &str, is_v6: bool) -> Result<SocketAddr, String> {
    let addresses = server.to_socket_addrs().map_err(|error| error.to_string())?;
    let usable = addresses.filter(|at| is_v6 || at.is_ipv4());
    usable.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| "it has no address".to_owned())
}

/// A socket of both families writes IPv4 as IPv6.
fn for_socket(to: SocketAddr, is_v6: bool) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) if is_v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
        _ => to,
    }
}
