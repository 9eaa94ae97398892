//! Streams between nodes, as the application holds them.
//!
//! The two ends of each direction share a [`Pipe`](pipe::Pipe) with the core's task, and neither
//! waits for the other: the application writes into it and reads from it under its lock, and tells
//! the task once that there is something to see; the task takes all that has come together since.

mod error;
mod open;
pub(crate) mod pipe;
mod reader;
mod stream;
mod writer;

pub use error::{OpenStreamError, StreamError};
pub use reader::StreamReader;
pub use stream::NodeStream;
pub use writer::StreamWriter;
