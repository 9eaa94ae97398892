//! The log: `tracing` to stderr and, if wanted, to a file, as text or as JSON. It is bounded in
//! rate and in size, clean of other people's control characters, and waits for nobody.

mod asked;
mod entry;
mod file;
mod kinds;
mod level;
mod log;
mod recent;

pub(crate) use level::parse_level;
pub(crate) use log::{Log, LogOptions};
