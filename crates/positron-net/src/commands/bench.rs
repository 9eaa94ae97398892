//! `positron-net bench`.
use clap::Args;

use crate::{
    cli::Global,
    failure::{Exit, Failure},
    screen::Screen,
};

/// Measures this machine.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    /// Runs it.
    pub(crate) fn run(self, _screen: &Screen, _global: Global) -> Result<Exit, Failure> {
        Ok(Exit::Ok)
    }
}
