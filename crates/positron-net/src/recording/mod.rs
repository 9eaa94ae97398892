//! Recordings of simulated networks: which node was up, which links stood, and how each broadcast
//! spread. A file of lines, each a JSON object: the first says who takes part, each other what
//! changed in a step of time.

mod file;
mod format;
mod reader;
mod recorder;

pub(crate) use file::{RecordingFile, Written};
pub(crate) use format::{Header, MAX_RECORDED_NODES};
pub(crate) use reader::Recording;
pub(crate) use recorder::{Lines, Recorder};
