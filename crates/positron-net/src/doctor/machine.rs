//! What this machine gives: ports, families, descriptors, a disk.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
};

use positron_networking::{NetworkConfig, TransportPolicy};
use serde_json::Value;

use super::finding::Finding;

/// Descriptors below which a node of many peers runs out of them: as many as systems begin with.
const ENOUGH_DESCRIPTORS: u64 = 1024;
/// Addresses that nobody has (RFC 5737, RFC 3849): a socket that is set to send there tells which
/// address of this machine it would send from, and nothing is sent.
const NOBODY: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

/// Whether the UDP port can be had; the socket, if it is ours now.
pub(super) fn udp(config: &NetworkConfig, status: Option<&Value>) -> (Finding, Option<UdpSocket>) {
    if config.transport == TransportPolicy::Tcp {
        let says = "not used: the configuration says TCP only";
        return (Finding::note("UDP port", says), None);
    }
    if let Some(status) = status {
        return (running("UDP port", status), None);
    }
    match bound(config, UdpSocket::bind) {
        Ok((socket, at)) => (Finding::right("UDP port", format!("{at} is free")), Some(socket)),
        Err(finding) => (finding.of("UDP port", config), None),
    }
}

/// Whether the TCP port can be had.
pub(super) fn tcp(config: &NetworkConfig, status: Option<&Value>) -> Finding {
    if config.transport == TransportPolicy::Udp {
        return Finding::note("TCP port", "not used: the configuration says UDP only");
    }
    if let Some(status) = status {
        return running("TCP port", status);
    }
    match bound(config, TcpListener::bind) {
        Ok((_, at)) => Finding::right("TCP port", format!("{at} is free")),
        Err(finding) => finding.of("TCP port", config),
    }
}

/// The node has it.
fn running(about: &'static str, status: &Value) -> Finding {
    let listen = status["listen"].as_array().into_iter().flatten();
    let at: Vec<&str> = listen.filter_map(Value::as_str).collect();
    Finding::right(about, format!("the node listens at {}", at.join(", ")))
}

/// Why an address cannot be listened on.
struct NotBound(io::Error);

impl NotBound {
    fn of(&self, about: &'static str, config: &NetworkConfig) -> Finding {
        let (host, port, error) = (&config.host, config.port, &self.0);
        let finding = Finding::wrong(about, format!("{host} port {port} cannot be had: {error}"));
        match error.kind() {
            ErrorKind::AddrInUse => finding.advise("end who has it, or choose another --port"),
            ErrorKind::PermissionDenied => finding.advise("choose a port above 1023"),
            _ => finding.advise("name an address of this machine with --host"),
        }
    }
}

/// Takes the port as a node does: `::` is IPv4 where there is no IPv6.
fn bound<T>(
    config: &NetworkConfig,
    bind: fn(SocketAddr) -> io::Result<T>,
) -> Result<(T, SocketAddr), NotBound> {
    let ip: IpAddr = config.host.parse().unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    let at = SocketAddr::new(ip, config.port);
    match bind(at) {
        Err(error) if ip == Ipv6Addr::UNSPECIFIED && error.kind() != ErrorKind::AddrInUse => {
            let at = SocketAddr::from(([0; 4], config.port));
            bind(at).map(|socket| (socket, at)).map_err(NotBound)
        }
        taken => taken.map(|socket| (socket, at)).map_err(NotBound),
    }
}

/// Whether there is a way to the internet, in each family.
pub(super) fn families() -> Vec<Finding> {
    let from = NOBODY.map(|nobody| source_towards(nobody).ok());
    let has_any = from.iter().any(Option::is_some);
    let families = ["IPv4", "IPv6"].into_iter().zip(from);
    let of_one = |(about, from): (&'static str, Option<IpAddr>)| match from {
        Some(from) => Finding::right(about, format!("packets leave from {from}")),
        None if has_any => Finding::note(about, "there is no way to the internet by it"),
        None => Finding::wrong(about, "there is no way to the internet by it")
            .advise("connect this machine to a network; see its default route"),
    };
    families.map(of_one).collect()
}

/// Which address of this machine packets to an address leave from. None does.
fn source_towards(to: &str) -> io::Result<IpAddr> {
    let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Nothing tells the time yet.
pub(super) fn clock() -> Finding {
    let says = "not compared: peers do not tell what time it is, and no decision needs it";
    Finding::unknown("clock", says)
}

/// Whether there are enough file descriptors; `None` is no limit.
pub(super) fn descriptors(most: Option<u64>) -> Finding {
    match most {
        None => Finding::right("file descriptors", "as many as there are"),
        Some(most) if most < ENOUGH_DESCRIPTORS => {
            let says = format!("only {most} at once: links may fail");
            let advice = format!("raise it: `ulimit -n {ENOUGH_DESCRIPTORS}`, LimitNOFILE=");
            Finding::note("file descriptors", says).advise(advice)
        }
        Some(most) => Finding::right("file descriptors", format!("{most} at once")),
    }
}

/// Whether the data folder can be written to, or made.
pub(super) fn data_folder(folder: &Path) -> Finding {
    let is_there = folder.exists();
    let parent = folder.ancestors().skip(1).find(|parent| parent.exists());
    let parent = parent.unwrap_or(Path::new("."));
    let shown = folder.display();
    // A file without a name is gone with its handle.
    match tempfile::tempfile_in(if is_there { folder } else { parent }) {
        Ok(_) if is_there => Finding::right("data folder", format!("{shown} can be written to")),
        Ok(_) => Finding::right("data folder", format!("{shown} is not there and can be made")),
        Err(error) => {
            let advice = "give it to the user who runs the node, or name another with --data-dir";
            let says = format!("{shown} cannot be written to: {error}");
            Finding::wrong("data folder", says).advise(advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn few_descriptors_are_noted_and_no_limit_is_none() {
        assert_eq!(descriptors(None).verdict, Verdict::Right);
        assert_eq!(descriptors(Some(1024)).verdict, Verdict::Right);
        let few = descriptors(Some(256));
        assert!(few.verdict == Verdict::Note && few.advice.is_some());
    }

    #[test]
    fn a_port_that_somebody_has_is_wrong_and_one_that_nobody_has_is_right() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = NetworkConfig { host: "127.0.0.1".into(), port, ..NetworkConfig::default() };
        let (finding, socket) = udp(&config, None);
        assert_eq!((finding.verdict, socket.is_some()), (Verdict::Wrong, false));
        drop(taken);
        let (finding, socket) = udp(&config, None);
        assert_eq!((finding.verdict, socket.is_some()), (Verdict::Right, true));
        let only = NetworkConfig { transport: TransportPolicy::Tcp, ..config };
        assert_eq!(udp(&only, None).0.verdict, Verdict::Note);
    }
}
