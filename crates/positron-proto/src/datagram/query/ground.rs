//! What both ends of queries have of their endpoint.

use std::{collections::VecDeque, net::SocketAddr};

use super::contract::QueryEvent;
use crate::{
    datagram::{contract::EndpointCounters, transmit_queue::TransmitQueue},
    handshake::hello::Local,
    rng::Rng,
    time::Instant,
};

/// What both ends of queries have of their endpoint, for one step.
#[derive(Debug)]
pub(in crate::datagram) struct QueryGround<'a> {
    pub(in crate::datagram) now: Instant,
    pub(in crate::datagram) local: &'a Local,
    pub(in crate::datagram) rng: &'a mut Rng,
    pub(in crate::datagram) transmits: &'a mut TransmitQueue,
    pub(in crate::datagram) events: &'a mut VecDeque<QueryEvent>,
    pub(in crate::datagram) counters: &'a mut EndpointCounters,
}

impl QueryGround<'_> {
    pub(super) fn say(&mut self, to: SocketAddr, datagram: Option<Vec<u8>>) {
        if let Some(datagram) = datagram {
            self.transmits.push(to, datagram);
        }
    }
}
