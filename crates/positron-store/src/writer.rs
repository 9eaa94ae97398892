//! The one thread that writes: everything that waits goes into one transaction.

use std::{sync::Arc, time::Duration};

use positron_proto::{
    node::ChangeId,
    reason::Reason,
    storage::{Change, Urgency},
};
use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};

use crate::{StoreError, apply::Apply, limits::CLOSE_TIMEOUT, place::Place, queue::Queue};

/// What became of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Every change up to this one survives a crash of the process; what [is
    /// critical](Urgency::Critical) and everything before it, a loss of power.
    Durable {
        /// The last one.
        up_to: ChangeId,
    },
    /// A transaction failed in a way that can pass. It was rolled back, and is tried again for as
    /// long as it takes; [`Durable`](Self::Durable) tells that it has passed.
    Retrying {
        /// The attempt that failed: 1, 2, ...
        attempt: usize,
        /// Why, in one word.
        reason: Reason,
        /// Why, in words.
        why: String,
    },
    /// Storage failed for good: what was not reported as durable is not stored, and further changes
    /// are refused.
    Failed {
        /// Why, in one word.
        reason: Reason,
        /// Why, in words.
        why: String,
    },
}

/// Whoever wants to know; called on the writer's thread.
pub(crate) type OnReport = Box<dyn Fn(Report) + Send>;

pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) place: Place,
    pub(crate) apply: Apply,
    pub(crate) queue: Arc<Queue>,
    pub(crate) on_report: OnReport,
    pub(crate) retry_pauses: Vec<Duration>,
    pub(crate) safety: Safety,
}

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// A crash of the process: the log is written.
    Process,
    /// A loss of power: the log is synced, with all that was written to it before.
    Power,
}

/// Holds the queue open while the writer lives, so that nobody ever waits for a dead one.
struct Alive(Arc<Queue>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fail("the writer has ended");
    }
}

impl Writer {
    /// Writes until the queue is closed and empty, or until storage fails.
    pub(crate) fn run(mut self) -> Result<(), StoreError> {
        let _alive = Alive(self.queue.clone());
        let mut batch = Vec::new();
        while self.queue.take(&mut batch) {
            if let Err(error) = self.commit_or_retry(&batch) {
                let why = error.to_string();
                tracing::error!(%why, "storage failed");
                self.queue.fail(&why);
                (self.on_report)(Report::Failed { reason: (&error).into(), why });
                return Err(error);
            }
            if let Some((up_to, _)) = batch.last() {
                (self.on_report)(Report::Durable { up_to: *up_to });
            }
            batch.clear();
        }
        self.finish()
    }

    fn commit_or_retry(&mut self, batch: &[(ChangeId, Change)]) -> Result<(), StoreError> {
        for attempt in 1_usize.. {
            let was_closing = self.queue.is_closing();
            let Err(Trouble { error, can_pass }) = self.try_to_commit(batch) else {
                if attempt > 1 {
                    tracing::info!(attempt, "storage is back");
                }
                break;
            };
            if !can_pass || was_closing {
                return Err(error);
            }
            let why = error.to_string();
            // The first of many, and those that are told at growing distances.
            if attempt.is_power_of_two() {
                tracing::warn!(attempt, %why, "storage waits, and tries again");
            }
            (self.on_report)(Report::Retrying { attempt, reason: (&error).into(), why });
            let pause = self.retry_pauses.get(attempt - 1).or(self.retry_pauses.last());
            self.queue.pause(pause.copied().unwrap_or_default());
        }
        Ok(())
    }

    fn try_to_commit(&mut self, batch: &[(ChangeId, Change)]) -> Result<(), Trouble> {
        if !self.place.is_same() {
            let error = StoreError::Moved { path: self.place.path().to_owned() };
            return Err(Trouble { error, can_pass: true });
        }
        self.commit(batch).map_err(|error| Trouble {
            can_pass: can_pass(&error),
            error: StoreError::from_sql(&error, "write to", self.place.path()),
        })
    }

    /// All of it or nothing.
    fn commit(&mut self, batch: &[(ChangeId, Change)]) -> rusqlite::Result<()> {
        let is_critical = batch.iter().any(|(_, change)| change.urgency == Urgency::Critical);
        self.set_safety(if is_critical { Safety::Power } else { Safety::Process })?;
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.apply.apply(&transaction, batch)?;
        transaction.commit()
    }

    /// Takes effect between transactions only
    /// (<https://sqlite.org/pragma.html#pragma_synchronous>).
    fn set_safety(&mut self, safety: Safety) -> rusqlite::Result<()> {
        if self.safety != safety {
            let level = match safety {
                Safety::Process => "NORMAL",
                Safety::Power => "FULL",
            };
            self.db.pragma_update(None, "synchronous", level)?;
            self.safety = safety;
        }
        Ok(())
    }

    /// Moves the log into the database: a folder at rest holds no log. A reader that stays may
    /// prevent it; then the log stays too, and nothing is lost.
    fn finish(self) -> Result<(), StoreError> {
        let path = self.place.path();
        let error = |error| StoreError::from_sql(&error, "close", path);
        self.db.busy_timeout(CLOSE_TIMEOUT).map_err(error)?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.db.query_row(sql, (), |_| Ok(())).map_err(error)?;
        self.db.close().map_err(|(_, failed)| error(failed))
    }
}

/// Why a transaction was not committed.
struct Trouble {
    error: StoreError,
    can_pass: bool,
}

/// Whether the same transaction may succeed later: whatever takes the disk away for a while.
///
/// Not after a sync that failed: the kernel may have dropped what it could not write, and a second
/// sync would succeed without it (Rebello et al., "Can Applications Recover from fsync Failures?",
/// USENIX ATC 2020). Nor when the database itself is damaged, or does not take the statement.
fn can_pass(error: &rusqlite::Error) -> bool {
    let lost = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC, ffi::SQLITE_IOERR_CORRUPTFS];
    let Some(known) = error.sqlite_error() else { return false };
    !lost.contains(&known.extended_code)
        && matches!(
            known.code,
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
        )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use positron_proto::{
        id::{NetworkId, NodeId},
        node::{SequenceKind, change::reserve},
        peers::change::forget,
    };

    use super::*;
    use crate::database;

    #[test]
    fn what_must_survive_a_loss_of_power_is_synced_and_the_rest_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let network = NetworkId::from_name("test");
        let mut writer = Writer {
            db: database::open(&path, &network, "test").unwrap(),
            place: Place::of(&path).unwrap(),
            apply: Apply::default(),
            queue: Arc::default(),
            on_report: Box::new(drop),
            retry_pauses: Vec::new(),
            // As SQLite opens it.
            safety: Safety::Power,
        };
        let light = forget(&NodeId::from_bytes([1; 32]));
        let critical = reserve(SequenceKind::Direct, 7);
        // https://sqlite.org/pragma.html#pragma_synchronous: 1 is NORMAL, 2 is FULL.
        for (changes, level) in [
            (vec![light.clone()], 1),
            (vec![light.clone(), critical, light.clone()], 2),
            (vec![light], 1),
        ] {
            let batch: Vec<_> = (1..).map(ChangeId).zip(changes).collect();
            writer.commit(&batch).unwrap();
            let sql = "PRAGMA synchronous";
            assert_eq!(writer.db.query_row(sql, (), |row| row.get(0)), Ok(level));
        }
    }

    #[test]
    fn a_writer_that_dies_lets_go_of_whoever_feeds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let network = NetworkId::from_name("test");
        let queue = Arc::<Queue>::default();
        let (told, heard) = mpsc::channel::<()>();
        let writer = Writer {
            db: database::open(&path, &network, "test").unwrap(),
            place: Place::of(&path).unwrap(),
            apply: Apply::default(),
            queue: queue.clone(),
            on_report: Box::new(move |_| {
                let _kept_until_the_end = &told;
                panic!("a listener of the application panics; this line is part of the test");
            }),
            retry_pauses: Vec::new(),
            safety: Safety::Power,
        };
        let thread = std::thread::spawn(move || writer.run());
        let change = || forget(&NodeId::from_bytes([1; 32]));
        queue.push(ChangeId(1), change()).unwrap();
        assert!(heard.recv().is_err());
        assert!(thread.join().is_err());
        assert!(queue.push(ChangeId(2), change()).is_err());
    }

    #[test]
    fn what_takes_the_disk_away_can_pass_and_what_damages_it_cannot() {
        let can = |code| can_pass(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DIRECTORY,
            ffi::SQLITE_PERM,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_SHMMAP,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_PROTOCOL,
        ] {
            assert!(can(code), "{}", ffi::code_to_str(code));
        }
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_ERROR,
        ] {
            assert!(!can(code), "{}", ffi::code_to_str(code));
        }
    }
}
