//! Opening `node.db`: is it ours, of this network, of a version that we know; then its migrations.

use std::{fs::OpenOptions, io, path::Path};

use positron_proto::id::NetworkId;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, config::DbConfig,
};

use crate::{StoreError, limits::BUSY_TIMEOUT};

/// Opens the database of `network`, creates it if there is none, and brings its schema up to date.
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
    migrate(&mut db, MIGRATIONS, |db| {
        let sql = "INSERT INTO state (only, network, network_name) VALUES (1, ?1, ?2)";
        db.execute(sql, (network.as_bytes(), name)).map(drop)
    })
    .map_err(sql)?;
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
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match (application, version) {
        (APPLICATION_ID, 1..) if version <= known => Ok(version),
        (APPLICATION_ID, 1..) => {
            Err(StoreError::NewerSchema { path: path.to_owned(), found: version, known })
        }
        (0, 0) if read("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(0),
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Runs what is missing of `migrations`. `first` runs in the transaction of the first one, so that
/// there is never a schema without its state.
fn migrate(
    db: &mut Connection,
    migrations: &[&str],
    first: impl Fn(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let done: i64 = db.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    for (version, sql) in (1_i64..).zip(migrations).filter(|(version, _)| *version > done) {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        if version == 1 {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            first(&transaction)?;
        }
        transaction.commit()?;
    }
    Ok(())
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

/// The schema, version by version: each runs once, in a transaction of its own. What stands here
/// was run on somebody's disk and never changes; a new version is appended.
pub(crate) const MIGRATIONS: &[&str] =
    &[include_str!("migrations/1_messages_and_peers.sql"), include_str!("migrations/2_trust.sql")];

/// Marks the file as ours (`PRAGMA application_id`): "PSTN" in ASCII.
const APPLICATION_ID: i64 = 0x5053_544E;

#[cfg(test)]
mod tests {
    use super::*;

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_migration_runs_once_and_in_order() {
        let mut db = Connection::open_in_memory().unwrap();
        let migrations = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y", "DROP TABLE a"];
        for (known, columns) in [(1, 1), (1, 1), (2, 2), (3, 0), (3, 0)] {
            migrate(&mut db, &migrations[..known], |_| Ok(())).unwrap();
            assert_eq!(version(&db), i64::try_from(known).unwrap());
            let sql = "SELECT count(*) FROM pragma_table_info('a')";
            assert_eq!(db.query_row(sql, (), |row| row.get(0)), Ok(columns));
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut db = Connection::open_in_memory().unwrap();
        let migrations = ["CREATE TABLE a (x)", "CREATE TABLE b (x); SELECT * FROM nowhere"];
        migrate(&mut db, &migrations, |_| Ok(())).unwrap_err();
        assert_eq!(version(&db), 1);
        let tables = "SELECT group_concat(name) FROM sqlite_schema";
        assert_eq!(db.query_row(tables, (), |row| row.get(0)), Ok("a".to_owned()));
    }

    #[test]
    fn a_database_without_its_state_is_never_made() {
        let mut db = Connection::open_in_memory().unwrap();
        let failure = |_: &Connection| Err(rusqlite::Error::InvalidQuery);
        migrate(&mut db, MIGRATIONS, failure).unwrap_err();
        assert_eq!(version(&db), 0);
        assert_eq!(inspect(&db, Path::new("memory")).unwrap(), 0);
    }
}
