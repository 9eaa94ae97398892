//! Every bound of this crate; what the core bounds is in [`positron_proto::limits`].

use std::time::Duration;

use positron_proto::limits::MAX_BYTES_TO_DISK;

/// How long a change that nobody waits for waits for others to share its commit, which writes the
/// same few pages whether it has one change or sixty. A node that is killed meanwhile (`kill -9`)
/// asks its peers again for what they sent it in this time.
pub const COMMIT_DELAY: Duration = Duration::from_millis(100);
/// From one commit to the next, where somebody waits for one who can spare a moment and much else
/// comes meanwhile: a broadcast of a busy node is told to be durable up to so much later. Of ten
/// nodes that said 2,000 messages of 256 bytes a second, each committed 200 times a second without
/// it, and commits were three quarters of what storage cost (measured).
pub const COMPANY_DELAY: Duration = Duration::from_millis(10);
/// Changes in a commit for each that somebody waits for, from which the next one who can spare a
/// moment waits for so much company again. A node that is alone with what it says has three: the
/// message, the floor and what leaves the window. One of ten nodes that say as much as each other
/// has ten before its window is full, now and then fewer.
pub const COMPANY: usize = 6;
/// Bytes of keys and values that wait for no company: half of what the core has on its way at most,
/// so that one half is written while the other comes.
pub const BYTES_DUE: usize = MAX_BYTES_TO_DISK / 2;
/// Bytes that the database may grow to: about ten times what the bounds of the core add up to. A
/// node beyond it has a bug, and the rest of the disk shall not pay for it.
pub const MAX_DATABASE_BYTES: u64 = 1 << 30;
/// Pages (of 4 KiB) in the write-ahead log after which it is copied into the database: 16 MiB,
/// which a start after a crash reads in some 50 ms.
pub const WAL_PAGES: u32 = 4096;
/// The part of a log that is deleted together once it is too long, one in so many lines: of 10,000
/// trust events, one delete in about 600.
pub const PRUNED_PART: i64 = 16;
/// Waits before a transaction that failed is tried again; the last one stands for all that follow,
/// for as long as the node runs. A disk that is there again is used within the patience of a
/// person, and one that is not costs a try a second.
pub const RETRY_PAUSES: &[Duration] =
    &[Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];
/// Wait for another process that has the database locked (a reader in the moment of recovery),
/// when it is opened.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait of the writer for another process that has the database locked, before that is told and
/// tried again: a backup that takes longer shall be seen (guess).
pub const WRITER_BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Wait for readers when a store closes: short against the 5 s in which a node stops.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Peers, bans and events that a summary lists.
pub const SUMMARY_LINES: usize = 10;
