//! Listening: bound before anything else is touched, accepted as fast as the core looks at them.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Instant,
};

use socket2::{Protocol, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{
    complaint::{Complaint, lacks_descriptors},
    datagrams::canonical,
    dual_stack,
};
use crate::limits::{ACCEPT_BACK_OFF, LISTEN_BACKLOG};

/// A connection and where it comes from.
pub(crate) type Accepted = (TcpStream, SocketAddr);

/// Takes the port, and tells which one it got. `[::]` takes both families, or IPv4 where there is
/// no IPv6.
pub(crate) fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    dual_stack::bind(address, bind_one)
}

fn bind_one(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = dual_stack::socket(address, Type::STREAM, Protocol::TCP)?;
    // A node that restarts takes its port back while old connections of it still time out.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
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
