//! The last things that happened to one node, for whoever has to find out why.

use std::collections::VecDeque;

use positron_proto::time::Instant;

use crate::report::seconds;

/// Lines that are kept.
const LINES: usize = 120;

/// Kept for no node at first: a run that broke a promise is run again with an ear at the node that
/// broke it. That costs nothing in the thousands of runs that keep theirs.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
    most: usize,
}

impl Trace {
    pub(crate) fn listen(&mut self) {
        self.listen_long(LINES);
    }

    /// Keeps this many lines.
    pub(crate) fn listen_long(&mut self, most: usize) {
        self.lines = Some(VecDeque::new());
        self.most = most;
    }

    pub(crate) fn note(&mut self, at: Instant, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == self.most {
                lines.pop_front();
            }
            lines.push_back(format!("{:.6} {}", seconds(at), line()));
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().flatten().cloned().collect()
    }
}

/// At most a line of what something looks like.
pub(crate) fn brief(thing: &impl core::fmt::Debug) -> String {
    let mut text = format!("{thing:?}");
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
        text.push_str("..");
    }
    text
}
