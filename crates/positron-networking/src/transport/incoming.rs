//! Messages as the application receives them.

use std::net::SocketAddr;

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    session::datagram::contract::{Delivery, LaneNumber},
};

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming<C> {
    /// Who sent it.
    pub from: NodeId,
    /// Where that is.
    pub addr: SocketAddr,
    /// In which lane it was sent.
    pub lane: LaneNumber,
    /// How it was sent.
    pub delivery: Delivery,
    /// What it says.
    pub data: Bytes,
    /// Over which connection it came: answer there.
    pub connection: C,
}
