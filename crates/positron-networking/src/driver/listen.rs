//! Listening: bound before anything else is touched, accepted as fast as the core looks at them.

use std::{
    io::{self, ErrorKind},
    net::{Ipv6Addr, SocketAddr},
    time::Instant,
};

use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};

use super::{
    complaint::{Complaint, lacks_descriptors},
    datagrams::canonical,
};
use crate::limits::{ACCEPT_BACK_OFF, LISTEN_BACKLOG};

/// A connection and where it comes from.
pub(crate) type Accepted = (TcpStream, SocketAddr);

/// Takes the port, and tells which one it got. `::` stands for IPv4 as well on every system (RFC
/// 3493, 5.3).
pub(crate) fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        SockRef::from(&socket).set_only_v6(false)?;
    }
    // A node that restarts takes its port back while old connections of it still time out.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(LISTEN_BACKLOG)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Accepts until the core is gone. While 64 connections wait for it, the others wait in the kernel.
pub(crate) async fn accept_all(listener: TcpListener, accepted: mpsc::Sender<Accepted>) {
    let (shortest, longest) = ACCEPT_BACK_OFF;
    let (mut back_off, mut complaint) = (shortest, Complaint::new());
    while let Ok(room) = accepted.reserve().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                back_off = shortest;
                // An IPv4 address on an IPv6 socket is still an IPv4 address.
                room.send((stream, canonical(from)));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // No descriptors or memory left: accepting again at once would only spin.
                if !lacks_descriptors(&error)
                    && let Some(withheld) = complaint.due(Instant::now())
                {
                    tracing::warn!("cannot accept connections, trying again: {error}{withheld}");
                }
                tokio::time::sleep(back_off).await;
                back_off = (back_off * 2).min(longest);
            }
        }
    }
}

/// The connection was gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}
