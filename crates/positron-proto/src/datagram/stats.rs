//! What an endpoint shows of itself.

use super::{
    contract::{ConnectionId, ConnectionView, EndpointCounters},
    endpoint::{Endpoint, Row},
};
use crate::time::Instant;

impl Endpoint {
    /// Connections of which something is to be told, in order of their ids.
    pub fn views(&self) -> Vec<ConnectionView> {
        self.rows.iter().map(|(id, row)| row.view(*id)).collect()
    }

    /// One connection, while it exists.
    pub fn view(&self, connection: ConnectionId) -> Option<ConnectionView> {
        self.rows.get(&connection).map(|row| row.view(connection))
    }

    /// Bytes of a connection that wait to be acknowledged, while it exists.
    pub fn queued_bytes(&self, connection: ConnectionId) -> Option<usize> {
        Some(self.rows.get(&connection)?.connection.queued_bytes())
    }

    /// When a packet of the other end of a connection opened last, while it exists.
    pub fn heard(&self, connection: ConnectionId) -> Option<Instant> {
        self.rows.get(&connection)?.connection.heard()
    }

    /// Bytes in packets of a connection that its other end acknowledged, while it exists: whether it
    /// grows tells a slow path from an end that takes nothing.
    pub fn delivered_bytes(&self, connection: ConnectionId) -> Option<u64> {
        self.rows.get(&connection)?.connection.delivered_bytes()
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> EndpointCounters {
        self.counters
    }

    /// Handshakes of strangers that are not complete.
    pub fn half_open(&self) -> usize {
        self.door.len()
    }
}

impl Row {
    fn view(&self, connection: ConnectionId) -> ConnectionView {
        ConnectionView { id_here: self.wire, ..self.connection.view(connection) }
    }
}
