//! Opening `node.db`: is it ours, of this network, of our version; then a table for each of the
//! rooms'.

use std::{fs::OpenOptions, io, path::Path};

use positron_proto::{id::NetworkId, node::Snapshot, storage::Table};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, config::DbConfig,
};

use crate::{StoreError, limits::BUSY_TIMEOUT};

/// Opens the database of `network`, creates it if there is none, and makes the tables that are
/// missing: a room that is new here begins with nothing.
///
/// Everything that can be refused is refused before the file is changed.
pub(crate) fn open(path: &Path, network: &NetworkId, name: &str) -> Result<Connection, StoreError> {
    create_private(path)
        .map_err(|error| StoreError::from_io(&error, "create the database", path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = |error| StoreError::from_sql(&error, "open the database", path);
    let mut db = Connection::open_with_flags(path, flags).map_err(sql)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
    // A file that we refuse is left as it is, down to its write-ahead log.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sql)?;
    let version = inspect(&db, path)?;
    if version > 0 {
        check_network(&db, path, network, name)?;
    }
    if db.is_readonly("main").map_err(sql)? {
        let why = "the file is read-only".to_owned();
        return Err(StoreError::Permission { doing: "write", path: path.to_owned(), why });
    }
    // Survives a crash of the process with one write per transaction, and readers never wait.
    let mode: String =
        db.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(sql)?;
    if mode != "wal" {
        let why = format!("the file system allows only the journal mode {mode}, not wal");
        return Err(StoreError::Io { doing: "open the database", path: path.to_owned(), why });
    }
    // On macOS only this makes `fsync` reach the disk; elsewhere it means nothing.
    db.pragma_update(None, "fullfsync", true).map_err(sql)?;
    make_tables(&mut db, version, network, name).map_err(sql)?;
    Ok(db)
}

/// The schema version of a database that is ours; 0: an empty file. Changes nothing.
pub(crate) fn inspect(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let read = |sql: &str| {
        db.query_row(sql, (), |row| row.get::<_, i64>(0))
            .map_err(|error| StoreError::from_sql(&error, "read", path))
    };
    let version = read("PRAGMA user_version")?;
    let application = read("PRAGMA application_id")?;
    match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(version),
        (APPLICATION_ID, 1..) => Err(StoreError::OtherSchema {
            path: path.to_owned(),
            found: version,
            known: SCHEMA_VERSION,
        }),
        (0, 0) if read("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(0),
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Makes an empty file a database, and the tables that are missing, in one transaction: there is
/// never a schema without its state, and a start waits for the disk once, however many tables.
fn make_tables(
    db: &mut Connection,
    version: i64,
    network: &NetworkId,
    name: &str,
) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let sql = "INSERT INTO state (only, network, network_name) VALUES (1, ?1, ?2)";
        transaction.execute(sql, (network.as_bytes(), name))?;
    }
    for table in Snapshot::tables() {
        transaction.execute_batch(&schema_of(table))?;
    }
    transaction.commit()
}

/// A table of a room. Rows have numbers, which order them by when their keys were first kept, and
/// keep large values out of the tree that is searched by key.
fn schema_of(table: &Table) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (
            number   INTEGER PRIMARY KEY,
            key      BLOB NOT NULL UNIQUE,
            value    BLOB NOT NULL,
            checksum BLOB NOT NULL
        ) STRICT",
        table.name
    )
}

fn check_network(
    db: &Connection,
    path: &Path,
    network: &NetworkId,
    name: &str,
) -> Result<(), StoreError> {
    let (found, found_name) = network_of(db, path)?;
    if found == *network {
        return Ok(());
    }
    Err(StoreError::WrongNetwork {
        path: path.to_owned(),
        found: found_name,
        wanted: name.to_owned(),
    })
}

/// Which network the database belongs to, and its name.
pub(crate) fn network_of(db: &Connection, path: &Path) -> Result<(NetworkId, String), StoreError> {
    let sql = "SELECT network, network_name FROM state";
    let (id, name) = db
        .query_row(sql, (), |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get(1)?)))
        .optional()
        .map_err(|error| StoreError::from_sql(&error, "read", path))?
        .ok_or_else(|| {
            let why = "it does not say which network it belongs to".to_owned();
            StoreError::Corrupt { path: path.to_owned(), why }
        })?;
    Ok((NetworkId::from_bytes(id), name))
}

/// An empty file that only its owner may read; SQLite gives its log the same permissions.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // Never opened when it is there: closing it again would drop the locks that a reader in
        // this process has on it (<https://sqlite.org/howtocorrupt.html>, section 2.2).
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// How rows are laid out (`PRAGMA user_version`). What a room writes into its rows is its own: who
/// changes that takes another table.
const SCHEMA_VERSION: i64 = 3;

/// Marks the file as ours (`PRAGMA application_id`): "PSTN" in ASCII.
const APPLICATION_ID: i64 = 0x5053_544E;

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(db: &Connection) -> i64 {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
        db.query_row(sql, (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_schema_is_made_once_and_only_tables_that_are_missing_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let network = NetworkId::from_name("test");
        let rooms = Snapshot::tables();
        let all = i64::try_from(1 + rooms.len()).unwrap();
        for _ in 0..2 {
            let db = open(&path, &network, "test").unwrap();
            assert_eq!(inspect(&db, &path).unwrap(), SCHEMA_VERSION);
            assert_eq!(tables(&db), all);
        }
        let db = open(&path, &network, "test").unwrap();
        db.execute_batch(&format!("DROP TABLE {}", rooms[1].name)).unwrap();
        let sql = format!("INSERT INTO {} VALUES (7, x'01', x'02', x'03')", rooms[0].name);
        db.execute_batch(&sql).unwrap();
        assert_eq!(tables(&db), all - 1);
        drop(db);
        let db = open(&path, &network, "test").unwrap();
        assert_eq!(tables(&db), all, "as when a room is new");
        let sql = format!("SELECT number FROM {}", rooms[0].name);
        assert_eq!(db.query_row(&sql, (), |row| row.get(0)), Ok(7));
    }

    #[test]
    fn a_database_that_could_not_be_made_whole_is_still_an_empty_file() {
        let mut db = Connection::open_in_memory().unwrap();
        // There is no room for all of it.
        db.execute_batch("PRAGMA max_page_count = 1").unwrap();
        make_tables(&mut db, 0, &NetworkId::from_name("test"), "test").unwrap_err();
        assert_eq!(tables(&db), 0);
        assert_eq!(inspect(&db, Path::new("memory")).unwrap(), 0);
        db.execute_batch("PRAGMA max_page_count = 100").unwrap();
        make_tables(&mut db, 0, &NetworkId::from_name("test"), "test").unwrap();
        assert_eq!(inspect(&db, Path::new("memory")).unwrap(), SCHEMA_VERSION);
    }
}
