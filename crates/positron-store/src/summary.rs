//! A look at the database of a node that runs, or does not, without touching it.

use std::path::{Path, PathBuf};

use positron_proto::{
    gossip,
    id::{NetworkId, NodeId},
    node::{Numbers, change},
    peers::{self, KnownPeer},
    storage::{Remembered, Table},
    subnet::Subnet,
    time::WallTime,
    trust::{self, AddressBan, RememberedTrust},
};
use rusqlite::{Connection, OpenFlags, Row as SqlRow};

use crate::{
    StoreError, database, folder,
    limits::{BUSY_TIMEOUT, SUMMARY_LINES},
    load::{OLDEST_FIRST, rows},
};

/// What a node remembers, in numbers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The database.
    #[serde(serialize_with = "as_shown")]
    pub database: PathBuf,
    /// Its schema version.
    pub schema_version: i64,
    /// Whose network.
    pub network: NetworkId,
    /// The name of the network.
    pub network_name: String,
    /// Our first broadcast number that was never given out.
    pub next_broadcast: u64,
    /// Our first direct number that was never given out.
    pub next_direct: u64,
    /// Peers in the address book.
    pub peers: u64,
    /// Of these, the ones that answered a dial of ours.
    pub dialled_peers: u64,
    /// Of these, the ones that strangers reach.
    pub proven_peers: u64,
    /// Broadcasts in the retention window.
    pub messages: u64,
    /// Their bytes, signatures included.
    pub message_bytes: u64,
    /// Who sent them.
    pub senders: u64,
    /// Peers with a standing.
    pub observed_peers: u64,
    /// Of these, the ones with a ban, over or not.
    pub banned_peers: u64,
    /// The bans that last longest, at most [`SUMMARY_LINES`].
    pub bans: Vec<Ban>,
    /// The bans of addresses that last longest, at most [`SUMMARY_LINES`].
    pub banned_addresses: Vec<BannedAddresses>,
    /// The best scores, at most [`SUMMARY_LINES`].
    pub most_trusted: Vec<Trusted>,
    /// Lines in the audit trail.
    pub trust_events: u64,
    /// The newest of them, newest first, at most [`SUMMARY_LINES`].
    pub last_trust_events: Vec<TrustLine>,
}

/// One ban.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ban {
    /// Whose.
    pub peer: NodeId,
    /// Until when, in seconds since the Unix epoch.
    pub until_unix_secs: u64,
}

/// One ban of addresses.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BannedAddresses {
    /// Which.
    pub addresses: Subnet,
    /// Until when, in seconds since the Unix epoch.
    pub until_unix_secs: u64,
}

/// One score.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Trusted {
    /// Whose.
    pub peer: NodeId,
    /// How much.
    pub score: f64,
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrustLine {
    /// Whose score changed.
    pub peer: NodeId,
    /// When, in seconds since the Unix epoch.
    pub at_unix_secs: u64,
    /// Why: the name of the observation.
    pub observation: String,
    /// By how much.
    pub change: f64,
    /// To what.
    pub score: f64,
}

/// A path that is not UTF-8 must not keep anybody from the rest.
fn as_shown<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// Sums up the database in the data folder `dir`, of a node that runs or does not. Creates and
/// changes nothing.
///
/// ```
/// use positron_store::{StoreError, summary};
///
/// let nowhere = tempfile::tempdir()?.path().join("nowhere");
/// assert!(matches!(summary(&nowhere), Err(StoreError::Missing { .. })));
/// assert!(!nowhere.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`StoreError::Missing`] if no node was ever started there; otherwise as for opening a store.
pub fn summary(dir: impl AsRef<Path>) -> Result<Summary, StoreError> {
    let path = dir.as_ref().join(folder::DATABASE);
    let size =
        std::fs::metadata(&path).map_err(|error| StoreError::from_io(&error, "read", &path))?.len();
    if size == 0 {
        return Err(StoreError::Missing { path });
    }
    if has_log(&path) {
        return read(&path, Log::Shared);
    }
    // Without its log the database is at rest, unless a node starts in this very moment; what is
    // read then may be torn, and is read again.
    match read(&path, Log::None) {
        Err(_) if has_log(&path) => read(&path, Log::Shared),
        outcome => outcome,
    }
}

/// Whether the database has a log to be read along with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    /// It has: a node runs, or did not end well. We are one more reader.
    Shared,
    /// It has none, and reading must not create one.
    None,
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Path::new(&log).exists()
}

fn read(path: &Path, log: Log) -> Result<Summary, StoreError> {
    let sql = |error| StoreError::from_sql(&error, "read", path);
    let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = match log {
        Log::Shared => Connection::open_with_flags(path, flags),
        Log::None => {
            flags |= OpenFlags::SQLITE_OPEN_URI;
            let path = std::path::absolute(path)
                .map_err(|error| StoreError::from_io(&error, "find", path))?;
            Connection::open_with_flags(immutable_uri(&path), flags)
        }
    };
    let db = db.map_err(sql)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
    // One transaction: all numbers are of one moment.
    let db = db.unchecked_transaction().map_err(sql)?;
    let schema_version = database::inspect(&db, path)?;
    if schema_version == 0 {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let (network, network_name) = database::network_of(&db, path)?;
    let mut summary = Summary {
        database: path.to_owned(),
        schema_version,
        network,
        network_name,
        next_broadcast: 0,
        next_direct: 0,
        peers: 0,
        dialled_peers: 0,
        proven_peers: 0,
        messages: 0,
        message_bytes: 0,
        senders: 0,
        observed_peers: 0,
        banned_peers: 0,
        bans: Vec::new(),
        banned_addresses: Vec::new(),
        most_trusted: Vec::new(),
        trust_events: 0,
        last_trust_events: Vec::new(),
    };
    count(&db, &mut summary).map_err(sql)?;
    count_trust(&db, &mut summary).map_err(sql)?;
    Ok(summary)
}

fn count(db: &Connection, summary: &mut Summary) -> rusqlite::Result<()> {
    let numbers: Numbers = remembered(db, &change::NUMBERS, &summary.network)?;
    summary.next_broadcast = numbers.next_broadcast;
    summary.next_direct = numbers.next_direct;
    let peers: Vec<KnownPeer> = remembered(db, &peers::change::BOOK, &summary.network)?;
    summary.peers = peers.len() as u64;
    summary.dialled_peers = peers.iter().filter(|peer| peer.dialled.is_some()).count() as u64;
    summary.proven_peers = peers.iter().filter(|peer| peer.proven.is_some()).count() as u64;
    // Broadcasts may be many and large, so that they are counted and not read. Their keys begin
    // with the sender.
    let table = gossip::change::MESSAGES.name;
    let sql = format!(
        "SELECT count(*), coalesce(sum(length(value)), 0), count(DISTINCT substr(key, 1, 32))
         FROM {table}"
    );
    (summary.messages, summary.message_bytes, summary.senders) =
        db.query_row(&sql, (), |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?;
    Ok(())
}

fn count_trust(db: &Connection, summary: &mut Summary) -> rusqlite::Result<()> {
    let mut known: Vec<RememberedTrust> =
        remembered(db, &trust::change::STANDINGS, &summary.network)?;
    summary.observed_peers = known.len() as u64;
    known.sort_by(|a, b| {
        let last_longest = b.standing.banned_until.cmp(&a.standing.banned_until);
        last_longest.then(b.standing.score.total_cmp(&a.standing.score)).then(a.peer.cmp(&b.peer))
    });
    for RememberedTrust { peer, standing, .. } in known {
        if let Some(until) = standing.banned_until {
            summary.banned_peers += 1;
            if summary.bans.len() < SUMMARY_LINES {
                summary.bans.push(Ban { peer, until_unix_secs: seconds(until) });
            }
        } else if summary.most_trusted.len() < SUMMARY_LINES {
            summary.most_trusted.push(Trusted { peer, score: standing.score });
        }
    }
    let mut at: Vec<AddressBan> = remembered(db, &trust::change::ADDRESS_BANS, &summary.network)?;
    at.sort_by_key(|ban| (core::cmp::Reverse(ban.until), ban.addresses));
    let lines = at.iter().map(|ban| BannedAddresses {
        addresses: ban.addresses,
        until_unix_secs: seconds(ban.until),
    });
    summary.banned_addresses.extend(lines.take(SUMMARY_LINES));
    let events = &trust::change::EVENTS;
    let sql = format!("SELECT count(*) FROM {}", events.name);
    summary.trust_events = db.query_row(&sql, (), |row| number(row, 0))?;
    let newest_first = format!("ORDER BY number DESC LIMIT {SUMMARY_LINES}");
    rows(db, events, &newest_first, |row| {
        let event = trust::change::event(row).map(|event| TrustLine {
            peer: event.peer,
            at_unix_secs: seconds(event.at),
            observation: event.observation.name().to_owned(),
            change: event.change,
            score: event.score,
        });
        let makes_sense = event.is_ok();
        summary.last_trust_events.extend(event);
        makes_sense
    })?;
    Ok(())
}

/// The rows of `table` that make sense.
fn remembered<T: Remembered + Default>(
    db: &Connection,
    table: &'static Table,
    network: &NetworkId,
) -> rusqlite::Result<T> {
    let mut all = T::default();
    rows(db, table, OLDEST_FIRST, |row| all.load(row, network).is_ok())?;
    Ok(all)
}

fn number(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(|count: i64| u64::try_from(count).unwrap_or(0))
}

fn seconds(time: WallTime) -> u64 {
    time.as_unix_micros() / 1_000_000
}

/// The absolute `path` as a URI that tells SQLite to take the file as it is: no log, no locks
/// (<https://sqlite.org/uri.html>).
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    if cfg!(windows) {
        uri.push('/');
    }
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b':' => {
                uri.push(char::from(*byte));
            }
            _ => {
                uri.push('%');
                uri.push_str(&format!("{byte:02X}"));
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}
