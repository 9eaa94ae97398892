//! What a positron-net node remembers: one SQLite database, one thread that writes it behind.
//!
//! The core ([`positron_proto::node`]) never reads the disk in mid-thought: it is given a
//! [`Snapshot`](positron_proto::node::Snapshot) at the start and says
//! [`Change`](positron_proto::storage::Change)s from then on. What must be durable before it is
//! said waits in the core for its report.
//!
//! What a row means is known to the room whose it is, and to nobody here but [`summary()`]: a room
//! that keeps something new has a table of its own, and is stored like all others.
//!
//! # The life of a change
//!
//! ```text
//!  core ── Effect::Persist(id, change)
//!    │
//!  driver ── Store::persist ──▸ queue ─────────────▸ writer thread
//!    ▲       never waits        bounded by the core  takes everything that waits, at once if
//!    │                                               somebody waits for one of them, after
//!    │                                               COMPANY_DELAY if that is a broadcast of a
//!    │                                               busy node, after COMMIT_DELAY else;
//!    │                                               settles of each row the last word: one
//!    │                                               transaction
//!    │                                                 │
//!    │   Durable { up_to } ◂── committed ◂─────────────┤ one change is critical: the log is synced
//!    │   Retrying { why }  ◂── rolled back, again soon ┤ what can pass: RETRY_PAUSES, without end
//!    │   Failed { why }    ◂── given up ◂──────────────┘ from now on persist is Refused
//!    │
//!  Input::Persisted · Input::StorageWaits · Input::StorageFailed
//! ```
//!
//! A full disk, one that may only be read for a while, a database that somebody else has locked or
//! moved away, an error of the device: all of that can pass, and is tried again for as long as the
//! node runs. What cannot is a damaged database, and a sync that failed.
//!
//! What `Durable` covers survives a crash of the process (`kill -9`); a critical change (own
//! sequence numbers, bans) and everything before it survive a loss of power too. Reports come in
//! order, and nothing that was reported is lost by a later failure.
//!
//! What a change costs is what its commit costs, some twenty pages of a busy node's window, divided
//! by those that share it. `cargo run --release -p positron-store --example rows` measures both.
//!
//! # What is on disk
//!
//! ```text
//!  DATA_DIR            0700, created by a node that starts, never by who only looks; refused, with
//!                      everything in it, when others may change it
//!  ├─ node.lock        the pid of the node; locked while it runs
//!  ├─ node.db          0600, SQLite in WAL mode; PRAGMA user_version says how rows are laid out
//!  └─ node.db-wal, -shm   the log and its index, while the node runs or after it crashed
//!
//!  state          one row: network, network_name
//!  <room>_<noun>  number (order) · key (unique) · value, checksum
//! ```
//!
//! There is one table for each [`Table`](positron_proto::storage::Table) of a room, made when it is
//! missing. What its rows are and what is done with them is said beside it, in the `change.rs` of
//! the room.
//!
//! Claims and records are stored as they travel, signature included. Signatures are not checked
//! again at the start; the checksum tells what rotted. A row that makes no sense is left out,
//! counted and left there, unless no node can be without it: our own numbers. A file that makes no
//! sense, is of another version or is not ours is refused and left as it is. The database of the
//! founding implementation, `network.db`, is left alone.
//!
//! # Reading order
//!
//! [`refuse_others`] (whose files), [`DataFolder`] (whose folder), [`Store`] (the door), `database`
//! (open and create), `load` (rows to values), `queue` and `writer` (the life of a change), `place`
//! (whether the file is still where it was), `settled` (what a batch comes to), `apply` (that as
//! SQL), [`summary()`] (a look from outside), [`StoreError`] (what can go wrong, and what to do),
//! [`limits`].

mod apply;
mod database;
mod error;
mod folder;
pub mod limits;
mod load;
mod ownership;
mod place;
mod queue;
mod settled;
mod store;
mod summary;
mod writer;

pub use error::StoreError;
pub use folder::{DATABASE, DataFolder, LOCK};
pub use ownership::{NotOurs, open_ours, refuse_others};
pub use queue::Refused;
pub use store::{Options, Store};
pub use summary::{Ban, BannedAddresses, Summary, TrustLine, Trusted, summary};
pub use writer::Report;
