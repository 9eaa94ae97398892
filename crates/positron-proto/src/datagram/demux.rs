//! Whose is a packet? The connections of an endpoint and their ids on the wire.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    connection::Connection,
    contract::{ConnectionId, ConnectionView},
};

/// All connections of an endpoint, by what each side calls them.
///
/// The headers of packets to this end carry the id that this end drew, which is unique here; the
/// id that the other end drew is known once its handshake is, and is unique only there.
#[derive(Debug, Default)]
pub(super) struct Demux {
    /// In boxes: the tree has room for eleven in each of its nodes, and few of them are full.
    rows: BTreeMap<ConnectionId, Box<Row>>,
    by_wire: BTreeMap<u32, ConnectionId>,
    by_theirs: BTreeSet<(u32, ConnectionId)>,
    /// The last name of a connection that was given.
    named: u64,
}

/// One connection.
#[derive(Debug)]
struct Row {
    connection: Connection,
    /// Our id on the wire.
    wire: u32,
    /// Theirs, once it is known.
    theirs: Option<u32>,
}

impl Demux {
    /// Enters a connection under our id on the wire, which no other one has.
    pub(super) fn insert(&mut self, wire: u32, connection: Connection) -> ConnectionId {
        self.named += 1;
        let id = ConnectionId(self.named);
        self.rows.insert(id, Box::new(Row { connection, wire, theirs: None }));
        self.by_wire.insert(wire, id);
        id
    }

    /// The other end's id of a connection is known.
    pub(super) fn set_theirs(&mut self, id: ConnectionId, theirs: u32) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(before) = row.theirs.replace(theirs) {
            self.by_theirs.remove(&(before, id));
        }
        self.by_theirs.insert((theirs, id));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let Row { connection, wire, theirs } = *self.rows.remove(&id)?;
        self.by_wire.remove(&wire);
        if let Some(theirs) = theirs {
            self.by_theirs.remove(&(theirs, id));
        }
        Some(connection)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.rows.get(&id).map(|row| &row.connection)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.rows.get_mut(&id).map(|row| &mut row.connection)
    }

    /// The connection that packets with this id are for.
    pub(super) fn by_wire(&self, wire: u32) -> Option<ConnectionId> {
        self.by_wire.get(&wire).copied()
    }

    /// The connections that the other ends call so: several ends choose one id once in a long
    /// while, and of those a few.
    pub(super) fn by_theirs(&self, theirs: u32) -> Vec<ConnectionId> {
        let named = (theirs, ConnectionId(0))..=(theirs, ConnectionId(u64::MAX));
        self.by_theirs.range(named).map(|(_, id)| *id).take(MAX_NAMESAKES).collect()
    }

    /// As statistics show them, in order of their names here.
    pub(super) fn views(&self) -> impl Iterator<Item = ConnectionView> {
        self.rows.iter().map(|(id, row)| row.view(*id))
    }

    /// One of them.
    pub(super) fn view(&self, id: ConnectionId) -> Option<ConnectionView> {
        self.rows.get(&id).map(|row| row.view(id))
    }

    /// Whether nothing is left of any connection.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.by_wire.is_empty() && self.by_theirs.is_empty()
    }
}

impl Row {
    fn view(&self, id: ConnectionId) -> ConnectionView {
        ConnectionView { id_here: self.wire, ..self.connection.view(id) }
    }
}

/// Connections that one unsealed reset may concern.
const MAX_NAMESAKES: usize = 4;
