//! Messages as the application receives them.

use std::net::SocketAddr;

use bytes::Bytes;
use positron_proto::{
    datagram::contract::{Delivery, LaneNumber},
    id::NodeId,
};

use super::mailbox::QueuedMessage;

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
    /// Over which connection it came: answer there. It is a handle of it.
    pub connection: C,
}

impl<C> Incoming<C> {
    pub(super) fn new(message: QueuedMessage, connection: C) -> Self {
        let QueuedMessage { from, addr, lane, delivery, data } = message;
        Self { from, addr, lane, delivery, data, connection }
    }
}
