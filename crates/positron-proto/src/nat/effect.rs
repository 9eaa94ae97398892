//! What the search for direct paths wants done.

use std::net::SocketAddr;

use bytes::Bytes;

use super::NatMessage;
use crate::{datagram::contract::ExtraSocket, id::NodeId, stun::TransactionId};

/// What the search for direct paths wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatEffect {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: NatMessage,
    },
    /// Ask by STUN, once.
    Ask {
        /// Whom, over which socket: a path ([`ExtraSocket::split`]).
        to: SocketAddr,
        /// Under which name.
        id: TransactionId,
        /// How many hops the packet goes, if not as far as it gets.
        hops: Option<u8>,
    },
    /// Open a socket of a port of its own.
    OpenSocket(ExtraSocket),
    /// It is of no use.
    CloseSocket(ExtraSocket),
    /// Say by STUN, unasked by them, how we see them.
    Answer {
        /// Whom, over which socket: a path ([`ExtraSocket::split`]).
        to: SocketAddr,
        /// Under which name.
        id: TransactionId,
    },
    /// Say this to the router of this network.
    AskRouter {
        /// Where it is asked.
        to: SocketAddr,
        /// One datagram.
        bytes: Bytes,
    },
    /// Others may be told otherwise where we are reached: what the router mapped has changed, or
    /// what is known of it.
    StateAnew,
    /// The peer answers there: go on over a link to this address.
    Dial {
        /// Who.
        peer: NodeId,
        /// Where.
        to: SocketAddr,
        /// By what.
        over: DialOver,
    },
}

/// Which kinds of link a direct path may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialOver {
    /// The path that was found.
    Datagrams,
    /// None was found: byte streams too, which may get through where datagrams do not.
    Anything,
}
