//! The store of a running node.

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use positron_proto::{
    id::NetworkId,
    node::{ChangeId, Snapshot},
    storage::Change,
};
use rusqlite::{Connection, config::DbConfig};

use crate::{
    DataFolder, Refused, Report, StoreError,
    apply::{Apply, STATEMENTS_PER_TABLE},
    database,
    limits::{MAX_DATABASE_BYTES, RETRY_PAUSES, WAL_PAGES, WRITER_BUSY_TIMEOUT},
    load::{self, Loaded},
    place::Place,
    queue::Queue,
    writer::{OnReport, Safety, Writer},
};

/// What can be set about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes that the database may grow to; beyond it the disk counts as full. A database that is
    /// larger already keeps its size.
    pub max_bytes: u64,
    /// Waits before a transaction that failed is tried again; the last one is repeated.
    pub retry_pauses: Vec<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_bytes: MAX_DATABASE_BYTES, retry_pauses: RETRY_PAUSES.to_vec() }
    }
}

/// The store of a running node: takes changes, writes them behind, reports what is durable.
///
/// [`persist`](Self::persist) each change in order; the reports come back in order. [`close`] it at
/// the end: everything taken is written first. Dropping it does the same and forgets the errors.
///
/// One thread writes. It puts everything that waits into one transaction, so the slower the disk
/// is, the more changes share a commit; and what nobody waits for ([`Urgency::Behind`]) waits up to
/// [`COMMIT_DELAY`](crate::limits::COMMIT_DELAY) for more to share it with. Who can spare a moment
/// ([`Urgency::Soon`]) waits up to [`COMPANY_DELAY`](crate::limits::COMPANY_DELAY) where much else
/// is written.
///
/// ```
/// use std::sync::mpsc;
///
/// use positron_proto::{
///     id::NetworkId,
///     node::{ChangeId, SequenceKind, change::reserve},
/// };
/// use positron_store::{DataFolder, Report, Store};
///
/// let dir = tempfile::tempdir()?;
/// let network = NetworkId::from_name("example");
/// let (reports, inbox) = mpsc::channel();
/// let on_report = move |report| drop(reports.send(report));
/// let folder = DataFolder::lock(dir.path())?;
/// let (store, snapshot) = Store::open(folder, network, "example", on_report)?;
/// assert_eq!(snapshot.numbers.next_broadcast, 0);
///
/// store.persist(ChangeId(1), reserve(SequenceKind::Broadcast, 1024))?;
/// assert_eq!(inbox.recv()?, Report::Durable { up_to: ChangeId(1) });
/// store.close()?;
///
/// let folder = DataFolder::lock(dir.path())?;
/// let (_store, snapshot) = Store::open(folder, network, "example", drop)?;
/// assert_eq!(snapshot.numbers.next_broadcast, 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`close`]: Self::close
/// [`Urgency::Behind`]: positron_proto::storage::Urgency::Behind
/// [`Urgency::Soon`]: positron_proto::storage::Urgency::Soon
#[derive(Debug)]
pub struct Store {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<Result<(), StoreError>>>,
    skipped_rows: u64,
    // Last, so that the lock outlives the writer.
    folder: DataFolder,
}

impl Store {
    /// Opens the database of `network` in `folder`, creates it if there is none, and loads what it
    /// holds. Rows that make no sense are left out and counted in
    /// [`skipped_rows`](Self::skipped_rows).
    ///
    /// `on_report` is called on the writer's thread: it must not wait for anything that waits for
    /// [`persist`](Self::persist), nor for long.
    ///
    /// # Errors
    ///
    /// Each says why and what to do. A file that is refused is left as it is.
    pub fn open(
        folder: DataFolder,
        network: NetworkId,
        network_name: &str,
        on_report: impl Fn(Report) + Send + 'static,
    ) -> Result<(Self, Snapshot), StoreError> {
        let (name, on_report) = (network_name, Box::new(on_report));
        Self::open_with(folder, network, name, on_report, Options::default())
    }

    /// [`open`](Self::open) with other than the usual options.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with(
        folder: DataFolder,
        network: NetworkId,
        network_name: &str,
        on_report: Box<dyn Fn(Report) + Send>,
        options: Options,
    ) -> Result<(Self, Snapshot), StoreError> {
        let path = folder.database();
        let db = database::open(&path, &network, network_name)?;
        let Loaded { snapshot, skipped } = load::load(&db, &path, &network)?;
        if skipped > 0 {
            tracing::warn!(rows = skipped, path = %path.display(), "stored rows make no sense");
        }
        prepare_for_writing(&db, options.max_bytes)
            .map_err(|error| StoreError::from_sql(&error, "set up", &path))?;
        let queue = Arc::new(Queue::default());
        let place = Place::of(&path)
            .map_err(|error| StoreError::from_io(&error, "look at the database", &path))?;
        let writer = Writer {
            db,
            place,
            apply: Apply::default(),
            queue: queue.clone(),
            on_report: on_report as OnReport,
            retry_pauses: options.retry_pauses,
            safety: Safety::Process,
        };
        let writer = thread::Builder::new()
            .name("positron-store".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::from_io(&error, "start the writer of", folder.path()))?;
        let store = Self { queue, writer: Some(writer), skipped_rows: skipped, folder };
        Ok((store, snapshot))
    }

    /// Takes a change; the report comes when it is durable. Never waits for the disk: how much may
    /// be under way is the caller's to bound, who hears what is durable.
    ///
    /// # Errors
    ///
    /// [`Refused`] once storage has failed for good: the change is dropped.
    pub fn persist(&self, id: ChangeId, change: Change) -> Result<(), Refused> {
        self.queue.push(id, change)
    }

    /// Rows that made no sense when the database was loaded. They are still there.
    pub const fn skipped_rows(&self) -> u64 {
        self.skipped_rows
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes everything that was taken, moves the log into the database, ends the thread, and
    /// lets go of the folder. A disk that is away gets one more try.
    ///
    /// # Errors
    ///
    /// Why storage failed, now or earlier. What was reported as durable is stored all the same.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.queue.close();
        let Some(writer) = self.writer.take() else { return Ok(()) };
        writer.join().unwrap_or_else(|_| {
            let (path, why) = (self.folder.database(), "the writer panicked".to_owned());
            Err(StoreError::Io { doing: "write to", path, why })
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(%error, "the store was dropped, and not all of it is on disk");
        }
    }
}

/// Turns a connection that was opened with care into the one that writes.
fn prepare_for_writing(db: &Connection, max_bytes: u64) -> rusqlite::Result<()> {
    let page_size: u32 = db.query_row("PRAGMA page_size", (), |row| row.get(0))?;
    let pages = i64::try_from(max_bytes / u64::from(page_size.max(1))).unwrap_or(i64::MAX);
    db.busy_timeout(WRITER_BUSY_TIMEOUT)?;
    db.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    // A log that grew while a reader held it shrinks again.
    let log_bytes = i64::from(WAL_PAGES) * i64::from(page_size);
    db.pragma_update(None, "journal_size_limit", log_bytes)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_PER_TABLE * Snapshot::tables().len());
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}
