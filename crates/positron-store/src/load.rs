//! What is on disk as the values that a node starts with.

use std::path::Path;

use bytes::Bytes;
use positron_proto::{
    gossip,
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    node::Snapshot,
    peers::KnownPeer,
    standings::PeerTrust,
    time::WallTime,
    trust,
    wire::{
        Reader,
        message::{AppMessage, Audience},
        record::PeerRecord,
    },
};
use rusqlite::{Connection, Row};

use crate::{StoreError, apply::checksum};

/// What was loaded, and how many rows make no sense: they stay where they are and are left out.
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    pub(crate) skipped: u64,
}

/// Reads everything that a node starts with, in a fixed order: messages as they were kept, the rest
/// by node id.
///
/// Signatures are not checked again: they were before they were stored, and a
/// checksum tells what has changed since.
pub(crate) fn load(
    db: &Connection,
    path: &Path,
    network: &NetworkId,
) -> Result<Loaded, StoreError> {
    load_all(db, network).map_err(|error| StoreError::from_sql(&error, "read", path))
}

fn load_all(db: &Connection, network: &NetworkId) -> rusqlite::Result<Loaded> {
    let mut skipped = 0;
    let (next_broadcast, next_direct) =
        db.query_row("SELECT next_broadcast, next_direct FROM state", (), |row| {
            Ok((number(row.get(0)?), number(row.get(1)?)))
        })?;
    let messages = rows(
        db,
        "SELECT sender, sequence, claim, checksum FROM messages ORDER BY kept",
        |row| message(row, network),
        &mut skipped,
    )?;
    let floors = rows(db, "SELECT sender, floor FROM floors ORDER BY sender", floor, &mut skipped)?;
    let peers = rows(
        db,
        "SELECT node, record, checksum, dialled, last_seen, failures FROM peers ORDER BY node",
        |row| peer(row, network),
        &mut skipped,
    )?;
    let standings = rows(
        db,
        "SELECT peer, score, banned_until, at FROM standings ORDER BY peer",
        standing,
        &mut skipped,
    )?;
    let gossip = gossip::GossipSnapshot { messages, floors };
    let snapshot = Snapshot { next_broadcast, next_direct, gossip, peers, standings };
    Ok(Loaded { snapshot, skipped })
}

/// Every row that makes sense. An error of the database itself ends the load.
fn rows<T>(
    db: &Connection,
    sql: &str,
    read: impl Fn(&Row) -> Option<T>,
    skipped: &mut u64,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query(())?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Some(value) => values.push(value),
            None => *skipped += 1,
        }
    }
    Ok(values)
}

fn message(row: &Row, network: &NetworkId) -> Option<Verified<AppMessage>> {
    let mut reader = Reader::new(blob(row, 2)?);
    let claim = Signed::<AppMessage>::decode(&mut reader, Audience::Everyone).ok()?;
    let content = claim.content();
    let named = (node(row, 0)?, number(row.get(1).ok()?));
    let fits = named == (content.sender.node_id(), content.sequence)
        && row.get(3) == Ok(checksum(&claim, network));
    fits.then(|| Verified::from_own_storage(claim, network))
}

fn floor(row: &Row) -> Option<(NodeId, u64)> {
    Some((node(row, 0)?, number(row.get(1).ok()?)))
}

fn peer(row: &Row, network: &NetworkId) -> Option<KnownPeer> {
    let mut reader = Reader::new(blob(row, 1)?);
    let record = Signed::<PeerRecord>::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    let fits =
        node(row, 0)? == record.content().node_id() && row.get(2) == Ok(checksum(&record, network));
    if !fits {
        return None;
    }
    let dialled: Option<String> = row.get(3).ok()?;
    Some(KnownPeer {
        record: Verified::from_own_storage(record, network),
        dialled: dialled.map(|text| text.parse()).transpose().ok()?,
        last_seen: time(row.get(4).ok()?),
        failures: row.get(5).ok()?,
    })
}

fn standing(row: &Row) -> Option<trust::RememberedTrust> {
    let banned_until: Option<i64> = row.get(2).ok()?;
    Some(trust::RememberedTrust {
        peer: node(row, 0)?,
        standing: PeerTrust { score: row.get(1).ok()?, banned_until: banned_until.map(time) },
        at: time(row.get(3).ok()?),
    })
}

fn node(row: &Row, column: usize) -> Option<NodeId> {
    row.get(column).ok().map(NodeId::from_bytes)
}

fn blob(row: &Row, column: usize) -> Option<Bytes> {
    row.get_ref(column).ok()?.as_blob().ok().map(Bytes::copy_from_slice)
}

fn time(column: i64) -> WallTime {
    WallTime::from_unix_micros(number(column))
}

/// The counterpart of [`crate::apply::integer`].
pub(crate) fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}
