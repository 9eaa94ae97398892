//! Every bound of this crate; what the core bounds is in [`positron_proto::limits`].

use std::time::Duration;

/// Changes that wait for the writer. A node under full load makes some ten thousand a second, so
/// this is a disk that stood still for about a second.
pub const MAX_QUEUED_CHANGES: usize = 16 * 1024;
/// Bytes of changes that wait for the writer, counted by [`crate::Backlog`]; as much again may be
/// in the transaction that is being written.
pub const MAX_QUEUED_BYTES: usize = 16 << 20;
/// How long a change that nobody waits for waits for others to share its commit, which writes the
/// same few pages whether it has one change or sixty. A node that is killed meanwhile (`kill -9`)
/// asks its peers again for what they sent it in this time.
pub const COMMIT_DELAY: Duration = Duration::from_millis(100);
/// Bytes that the database may grow to: about ten times what the bounds of the core add up to. A
/// node beyond it has a bug, and the rest of the disk shall not pay for it.
pub const MAX_DATABASE_BYTES: u64 = 1 << 30;
/// Pages (of 4 KiB) in the write-ahead log after which it is copied into the database: 16 MiB,
/// which a start after a crash reads in some 50 ms.
pub const WAL_PAGES: u32 = 4096;
/// The part of a log that is deleted together once it is too long, one in so many lines: of 10,000
/// trust events, one delete in about 600.
pub const PRUNED_PART: i64 = 16;
/// Waits before a transaction that failed is tried again; after the last one storage has failed.
/// Long enough for a log rotation to make room, short against the patience of a person.
pub const RETRY_PAUSES: &[Duration] =
    &[Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];
/// Wait for another process that has the database locked (a reader in the moment of recovery).
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait for readers when a store closes: short against the 5 s in which a node stops.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Peers, bans and events that a summary lists.
pub const SUMMARY_LINES: usize = 10;
