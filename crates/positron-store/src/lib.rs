//! What a positron-net node remembers: SQLite, one write-behind writer thread.

mod apply;
mod database;
mod error;
mod folder;
pub mod limits;
mod load;
mod queue;
mod store;
mod summary;
mod writer;

pub use error::StoreError;
pub use folder::{DATABASE, DataFolder, LOCK};
pub use queue::{Backlog, Refused};
pub use store::{Options, Store};
pub use summary::{Ban, Summary, TrustLine, Trusted, summary};
pub use writer::Report;
