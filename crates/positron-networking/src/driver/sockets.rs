//! The sockets of a node: one port number for everything that its links are made of.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
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
    /// do, one is found that is free for all of it.
    pub(crate) async fn bind(
        address: SocketAddr,
        transports: LinkKinds,
    ) -> Result<Self, StartError> {
        let failed = |transport| move |source| StartError::Bind { transport, address, source };
        let sockets = Self::take(address, transports)
            .map_err(|(transport, source)| failed(transport)(source))?;
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use tokio::net::TcpStream;

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
    async fn all_addresses_are_those_of_both_families_on_one_port() {
        let both = bind("[::]:0".parse().unwrap(), LinkKinds::BOTH).await.unwrap();
        let port = both.address.port();
        let mut here = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
        // Where IPv6 is switched off it is IPv4 alone.
        here.extend(both.address.is_ipv6().then_some(IpAddr::from(Ipv6Addr::LOCALHOST)));
        for ip in here {
            let dialled = TcpStream::connect((ip, port)).await.unwrap();
            let (_, from) = both.streams.as_ref().unwrap().accept().await.unwrap();
            assert_eq!(from.ip().to_canonical(), dialled.local_addr().unwrap().ip());
            let taken = bind((ip, port).into(), LinkKinds::UDP).await.unwrap_err();
            assert!(matches!(taken, StartError::Bind { .. }), "{taken}");
        }
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
