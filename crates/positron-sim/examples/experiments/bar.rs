//! How far an experiment is, as one line on standard error.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Instant,
};

use positron_sim::Progress;

/// How wide the bar is.
const WIDTH: usize = 24;
/// How many virtual seconds pass between two lines where nobody looks at a terminal.
const SELDOM: u64 = 30;

/// One line that is written over again, or a line now and then where standard error is no terminal.
pub(crate) struct Bar<'a> {
    name: &'a str,
    begin: Instant,
    is_terminal: bool,
}

impl<'a> Bar<'a> {
    /// Of an experiment that begins now.
    pub(crate) fn new(name: &'a str) -> Self {
        Self { name, begin: Instant::now(), is_terminal: stderr().is_terminal() }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        if !self.is_terminal && !progress.at.as_secs().is_multiple_of(SELDOM) {
            return;
        }
        let part = progress.at.as_secs_f64() / progress.of.as_secs_f64().max(1e-9);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let full = ((WIDTH as f64 * part) as usize).min(WIDTH);
        let line = format!(
            "{:12} [{}{}] {:5.0} of {:.0} s, {} nodes up, {} deliveries, {:.0?}",
            self.name,
            "#".repeat(full),
            ".".repeat(WIDTH - full),
            progress.at.as_secs_f64(),
            progress.of.as_secs_f64(),
            progress.live_nodes,
            progress.deliveries,
            self.begin.elapsed(),
        );
        if self.is_terminal {
            eprint!("\r\x1b[K{line}");
            // A bar that is not shown harms nobody.
            let _ = stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    /// The experiment is over.
    pub(crate) fn end(self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}
