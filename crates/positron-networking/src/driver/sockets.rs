//! The sockets of a node: one port number for everything that its links are made of.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use positron_proto::session::sessions::{LinkKind, LinkKinds};
use tokio::net::TcpListener;

use super::{datagrams::DatagramSocket, listen};
use crate::{StartError, limits::PORT_ATTEMPTS};

/// What a node listens on.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// For byte streams, if links may be made of them.
    pub(crate) streams: Option<TcpListener>,
    /// For datagrams, if links may be made of them.
    pub(crate) datagrams: Option<DatagramSocket>,
    /// Where, with the port that it got.
    pub(crate) address: SocketAddr,
}

impl Sockets {
    /// Takes the port for all that links may be made of, ready to be used. If any free port will
    /// do, one is found that is free for all of it. `::` stands for all addresses of the machine:
    /// where it has no IPv6, those of IPv4 are taken.
    pub(crate) async fn bind(
        address: SocketAddr,
        transports: LinkKinds,
    ) -> Result<Self, StartError> {
        let failed = |transport| move |source| StartError::Bind { transport, address, source };
        let sockets = match Self::take(address, transports) {
            Err((_, error)) if is_without_ipv6(address, &error) => {
                Self::take((Ipv4Addr::UNSPECIFIED, address.port()).into(), transports)
            }
            outcome => outcome,
        };
        let sockets = sockets.map_err(|(transport, source)| failed(transport)(source))?;
        if let Some(datagrams) = &sockets.datagrams {
            datagrams.writable().await.map_err(failed(LinkKind::Udp))?;
        }
        Ok(sockets)
    }

    fn take(address: SocketAddr, transports: LinkKinds) -> Result<Self, (LinkKind, io::Error)> {
        let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match Self::take_one(address, transports) {
                // What is free for TCP need not be free for UDP.
                Err((_, error)) if error.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn take_one(
        mut address: SocketAddr,
        transports: LinkKinds,
    ) -> Result<Self, (LinkKind, io::Error)> {
        let mut streams = None;
        if transports.has(LinkKind::Tcp) {
            let (listener, bound) =
                listen::bind(address).map_err(|error| (LinkKind::Tcp, error))?;
            (streams, address) = (Some(listener), bound);
        }
        let mut datagrams = None;
        if transports.has(LinkKind::Udp) {
            let (socket, bound) =
                DatagramSocket::bind(address).map_err(|error| (LinkKind::Udp, error))?;
            (datagrams, address) = (Some(socket), bound);
        }
        Ok(Self { streams, datagrams, address })
    }
}

/// Whether all addresses were asked for and this kernel knows no IPv6 at all. A port that is taken
/// or not allowed is so in IPv4 too.
fn is_without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED
        && !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "127.0.0.1:0";

    async fn bind(address: SocketAddr, transports: LinkKinds) -> Result<Sockets, StartError> {
        Sockets::bind(address, transports).await
    }

    #[tokio::test]
    async fn both_sockets_have_the_same_port() {
        let both = bind(ANY.parse().unwrap(), LinkKinds::BOTH).await.unwrap();
        assert_ne!(both.address.port(), 0);
        assert_eq!(both.streams.as_ref().unwrap().local_addr().unwrap(), both.address);
        let taken = bind(both.address, LinkKinds::UDP).await.unwrap_err();
        assert!(matches!(taken, StartError::Bind { transport: LinkKind::Udp, .. }), "{taken}");
        let taken = bind(both.address, LinkKinds::BOTH).await.unwrap_err();
        assert!(matches!(taken, StartError::Bind { transport: LinkKind::Tcp, .. }), "{taken}");
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families_or_of_the_only_one() {
        let all = bind("[::]:0".parse().unwrap(), LinkKinds::BOTH).await.unwrap();
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, all.address.port()));
        tokio::net::TcpStream::connect(to).await.unwrap();
        let listener = std::net::TcpListener::bind("[::1]:0");
        if listener.is_ok() {
            let to = SocketAddr::from((Ipv6Addr::LOCALHOST, all.address.port()));
            tokio::net::TcpStream::connect(to).await.unwrap();
        }
        let (any, unknown) = ("[::]:1".parse().unwrap(), io::Error::from_raw_os_error(97));
        assert!(is_without_ipv6(any, &unknown));
        assert!(!is_without_ipv6("[::1]:1".parse().unwrap(), &unknown));
        assert!(!is_without_ipv6(any, &ErrorKind::AddrInUse.into()));
    }

    #[tokio::test]
    async fn what_is_not_used_is_not_taken() {
        let tcp = bind(ANY.parse().unwrap(), LinkKinds::TCP).await.unwrap();
        assert!(tcp.datagrams.is_none());
        let udp = bind(tcp.address, LinkKinds::UDP).await.unwrap();
        assert!(udp.streams.is_none());
        assert_eq!(udp.address, tcp.address);
        // A port that is free for one of the two only is not free.
        drop(tcp);
        let error = bind(udp.address, LinkKinds::BOTH).await.unwrap_err().to_string();
        let wanted = format!("cannot listen on {} (UDP): the port is in use", udp.address);
        assert!(error.starts_with(&wanted), "{error}");
    }
}
