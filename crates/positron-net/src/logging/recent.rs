//! The last lines of the log, for whoever asks the running node.

use std::{collections::VecDeque, time::SystemTime};

use positron_admin::rfc3339;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use tracing::Level;

use super::entry::{Entry, word};

/// Lines that are kept.
const MAX_LINES: usize = 512;
/// Bytes that their texts take: a line of usual length has 200.
const MAX_BYTES: usize = 512 << 10;

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    /// When it was logged.
    pub at: SystemTime,
    /// How grave it is.
    pub level: Level,
    /// The place in the code.
    pub target: &'static str,
    /// The message and the fields, clean of control characters.
    pub text: String,
}

impl Serialize for LogLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("LogLine", 4)?;
        line.serialize_field("at", &rfc3339(self.at))?;
        line.serialize_field("level", word(self.level))?;
        line.serialize_field("target", self.target)?;
        line.serialize_field("text", &self.text)?;
        line.end()
    }
}

/// The last lines, bounded in number and in bytes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl Recent {
    /// Keeps this one, and forgets the oldest that have no place any more.
    pub(super) fn push(&mut self, entry: &Entry) {
        let text = entry.content();
        self.bytes += text.len();
        let Entry { at, level, target, .. } = *entry;
        self.lines.push_back(LogLine { at, level, target, text });
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }

    /// Oldest first.
    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: String) -> Entry {
        Entry::new(Level::INFO, "here", message)
    }

    #[test]
    fn the_newest_lines_are_kept_as_far_as_they_fit() {
        let mut recent = Recent::default();
        (0..=MAX_LINES).for_each(|n| recent.push(&entry(n.to_string())));
        let kept = recent.lines();
        assert_eq!((kept.len(), kept[0].text.as_str()), (MAX_LINES, "1"));
        (0..MAX_LINES).for_each(|_| recent.push(&entry("\u{1b}".repeat(4096))));
        let kept = recent.lines();
        let bytes: usize = kept.iter().map(|line| line.text.len()).sum();
        assert_eq!(bytes, recent.bytes);
        assert!(bytes <= MAX_BYTES && kept.len() < MAX_LINES, "{bytes} in {}", kept.len());
    }

    #[test]
    fn a_line_looks_as_the_interface_promises() {
        let mut recent = Recent::default();
        recent.push(&entry("hello".into()));
        let told = serde_json::to_value(recent.lines()).unwrap();
        assert_eq!((&told[0]["level"], &told[0]["text"]), (&"info".into(), &"hello".into()));
        assert!(told[0]["at"].as_str().unwrap().ends_with('Z'), "{told}");
    }
}
