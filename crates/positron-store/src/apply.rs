//! One change as SQL. Applying it twice is applying it once.

use positron_proto::{
    id::{NetworkId, NodeId},
    identity::{Signed, Statement, Verified},
    limits::MAX_TRUST_EVENTS,
    node::{Change, SequenceKind},
    peers::KnownPeer,
    standings::PeerTrust,
    time::WallTime,
    trust::TrustEvent,
    wire::message::AppMessage,
};
use rusqlite::{Connection, Params};

use crate::limits::TRUST_EVENTS_PRUNED;

/// Turns changes into rows.
pub(crate) struct Apply {
    network: NetworkId,
    scratch: Vec<u8>,
}

impl Apply {
    pub(crate) const fn new(network: NetworkId) -> Self {
        Self { network, scratch: Vec::new() }
    }

    /// Applies one change within the transaction that is open on `db`.
    pub(crate) fn apply(&mut self, db: &Connection, change: &Change) -> rusqlite::Result<()> {
        match change {
            Change::ReserveSequence { kind, below } => reserve(db, *kind, *below),
            Change::KeepMessage(message) => self.keep_message(db, message),
            Change::ForgetMessage { sender, sequence } => run(
                db,
                "DELETE FROM messages WHERE sender = ?1 AND sequence = ?2",
                (sender.as_bytes(), integer(*sequence)),
            ),
            // A floor only rises: what was old stays old.
            Change::Floor { sender, floor } => run(
                db,
                "INSERT INTO floors (sender, floor) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET floor = max(floor, excluded.floor)",
                (sender.as_bytes(), integer(*floor)),
            ),
            Change::ForgetFloor(sender) => {
                run(db, "DELETE FROM floors WHERE sender = ?1", (sender.as_bytes(),))
            }
            Change::KeepPeer(peer) => self.keep_peer(db, peer),
            Change::ForgetPeer(node) => {
                run(db, "DELETE FROM peers WHERE node = ?1", (node.as_bytes(),))
            }
            Change::KeepStanding { peer, standing, at } => keep_standing(db, peer, standing, *at),
            Change::ForgetStanding(peer) => {
                run(db, "DELETE FROM standings WHERE peer = ?1", (peer.as_bytes(),))
            }
            Change::Audit(event) => audit(db, event),
        }
    }

    fn keep_message(
        &mut self,
        db: &Connection,
        message: &Verified<AppMessage>,
    ) -> rusqlite::Result<()> {
        self.scratch.clear();
        message.claim().encode(&mut self.scratch);
        let content = message.content();
        run(
            db,
            "INSERT INTO messages (sender, sequence, claim, checksum) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET claim = excluded.claim, checksum = excluded.checksum",
            (
                content.sender.node_id().as_bytes(),
                integer(content.sequence),
                self.scratch.as_slice(),
                checksum(message.claim(), &self.network),
            ),
        )
    }

    fn keep_peer(&mut self, db: &Connection, peer: &KnownPeer) -> rusqlite::Result<()> {
        self.scratch.clear();
        peer.record.claim().encode(&mut self.scratch);
        run(
            db,
            "INSERT OR REPLACE INTO peers (node, record, checksum, dialled, last_seen, failures)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                peer.record.content().node_id().as_bytes(),
                self.scratch.as_slice(),
                checksum(peer.record.claim(), &self.network),
                peer.dialled.map(|addr| addr.to_string()),
                micros(peer.last_seen),
                peer.failures,
            ),
        )
    }
}

/// Eight bytes of a hash over all of a claim, its signature included.
///
/// Signatures are not checked when a node starts. A claim that rotted on our disk and was passed on
/// would be a forgery that others hold against us, so it is told by this.
pub(crate) fn checksum<T: Statement>(claim: &Signed<T>, network: &NetworkId) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&claim.job(network).fingerprint()[..8]);
    short
}

/// Deletes the oldest trust events if there are more than [`MAX_TRUST_EVENTS`].
pub(crate) fn prune_trust_events(db: &Connection) -> rusqlite::Result<()> {
    let mut span = db.prepare_cached(
        "SELECT (SELECT min(number) FROM trust_events), (SELECT max(number) FROM trust_events)",
    )?;
    let (oldest, newest) = span
        .query_row((), |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok(()) };
    // Numbers are consecutive: only the oldest are ever deleted.
    let most = i64::try_from(MAX_TRUST_EVENTS).unwrap_or(i64::MAX);
    let pruned = i64::try_from(TRUST_EVENTS_PRUNED).unwrap_or(0);
    if newest.saturating_sub(oldest) < most {
        return Ok(());
    }
    let last = newest.saturating_sub(most.saturating_sub(pruned));
    run(db, "DELETE FROM trust_events WHERE number <= ?1", (last,))
}

/// A number as SQLite has it, 63 bits: sequence numbers stay below 2^62 and times below the year
/// 292,000, so the cap is never met by an honest one.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn run(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(params).map(drop)
}

/// A reservation is never taken back: a number that may have been used is not used again.
fn reserve(db: &Connection, kind: SequenceKind, below: u64) -> rusqlite::Result<()> {
    let sql = match kind {
        SequenceKind::Broadcast => "UPDATE state SET next_broadcast = max(next_broadcast, ?1)",
        SequenceKind::Direct => "UPDATE state SET next_direct = max(next_direct, ?1)",
    };
    run(db, sql, (integer(below),))
}

fn keep_standing(
    db: &Connection,
    peer: &NodeId,
    standing: &PeerTrust,
    at: WallTime,
) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO standings (peer, score, banned_until, at) VALUES (?1, ?2, ?3, ?4)",
        (peer.as_bytes(), real(standing.score), standing.banned_until.map(micros), micros(at)),
    )
}

fn audit(db: &Connection, event: &TrustEvent) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR IGNORE INTO trust_events (at, peer, observation, change, score)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            micros(event.at),
            event.peer.as_bytes(),
            event.observation.name(),
            real(event.change),
            real(event.score),
        ),
    )
}

fn micros(time: WallTime) -> i64 {
    integer(time.as_unix_micros())
}

/// SQLite stores what is not a number as NULL, which would spoil the whole transaction: such a
/// score is worth nothing.
fn real(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// Statements of this module; all of them stay prepared.
pub(crate) const STATEMENTS: usize = 16;
