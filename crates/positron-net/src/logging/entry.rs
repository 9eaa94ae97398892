//! One thing that is logged, as text and as JSON.

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

use crate::terminal::{json_line, sanitised};
use positron_admin::rfc3339;

/// Bytes in the message and the fields of an entry, before they are escaped; the rest is cut off
/// and said to be.
const MAX_CONTENT: usize = 4096;
/// The field that says what happened, where one place in the code logs many things.
const KIND: &str = "event";

/// One thing that is logged.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'static str,
    pub(super) message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Entry {
    /// Without fields.
    pub(super) fn new(level: Level, target: &'static str, message: String) -> Self {
        Self { at: SystemTime::now(), level, target, message, fields: Vec::new() }
    }

    /// What an event says.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let entry = Self::new(*metadata.level(), metadata.target(), String::new());
        let mut reader = Reader { entry, room: MAX_CONTENT };
        event.record(&mut reader);
        reader.entry
    }

    /// Which of the things it is that its place in the code logs.
    pub(super) fn kind(&self) -> Option<&str> {
        let (_, kind) = self.fields.iter().find(|(name, _)| *name == KIND)?;
        kind.as_str()
    }

    /// What it says, clean of control characters: the message, then `field=value`.
    pub(super) fn content(&self) -> String {
        let mut content = self.message.clone();
        for (name, value) in &self.fields {
            let space = if content.is_empty() { "" } else { " " };
            let written = match value {
                Value::String(text) if is_plain(text) => write!(content, "{space}{name}={text}"),
                value => write!(content, "{space}{name}={value}"),
            };
            debug_assert!(written.is_ok(), "a string takes everything");
        }
        sanitised(&content)
    }

    /// A line for people.
    pub(super) fn text(&self) -> String {
        format!("{} {:>5} {}: {}", rfc3339(self.at), self.level, self.target, self.content())
    }

    /// A line for programs.
    pub(super) fn json(&self) -> String {
        json_line(self).unwrap_or_else(|_| "{}".into())
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("at", &rfc3339(self.at))?;
        map.serialize_entry("level", word(self.level))?;
        map.serialize_entry("target", self.target)?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("fields", &Fields(&self.fields))?;
        map.end()
    }
}

/// In the order in which they were written.
struct Fields<'a>(&'a [(&'static str, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A level as programs know it.
pub(super) const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Whether it cannot be taken for more than one value without quotes around it.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '='))
}

/// Reads the fields of an event, as far as there is room.
struct Reader {
    entry: Entry,
    room: usize,
}

impl Reader {
    fn record(&mut self, field: &Field, value: Value) {
        self.entry.fields.push((field.name(), value));
    }
}

impl Visit for Reader {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded { text: String::new(), room: self.room, cut_off: 0 };
        // It fails only where a value refuses to be written, and what it wrote until then stands.
        let _ = write!(text, "{value:?}");
        self.room -= text.text.len();
        let text = text.finish();
        if field.name() == "message" {
            self.entry.message = text;
        } else {
            self.record(field, text.into());
        }
    }
}

/// Text that takes no more than there is room.
struct Bounded {
    text: String,
    room: usize,
    cut_off: usize,
}

impl Bounded {
    fn finish(mut self) -> String {
        if self.cut_off > 0 {
            self.text.push_str(&format!("… ({} bytes more)", self.cut_off));
        }
        self.text
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = if self.cut_off > 0 { 0 } else { self.room - self.text.len() };
        let taken = text.floor_char_boundary(room);
        self.text.push_str(&text[..taken]);
        self.cut_off += text.len() - taken;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str, fields: Vec<(&'static str, Value)>) -> Entry {
        Entry { fields, ..Entry::new(Level::WARN, "positron_net", message.into()) }
    }

    /// Everything that moves a cursor, hides or reorders text, or ends a line or a value.
    const HOSTILE: &str = "a\u{1b}[2J\n\r\u{9b}31m\u{7f}\u{202e}\u{2066}\u{61c}\u{ad}\u{200b}\
                           \u{feff}\u{e0041}\u{fff9}\u{2028}\" level=error x";

    #[test]
    fn what_others_wrote_is_escaped_in_text_and_told_whole_in_json() {
        let entry = entry(HOSTILE, vec![("peer", HOSTILE.into())]);
        for line in [entry.text(), entry.json()] {
            let is_harmless = |c: char| c.is_ascii_graphic() || c == ' ';
            assert!(line.chars().all(is_harmless), "{line:?}");
        }
        let told: Value = serde_json::from_str(&entry.json()).unwrap();
        assert_eq!((&told["message"], &told["fields"]["peer"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert!(entry.text().contains("peer=\"a"), "{}", entry.text());
        assert!(entry.text().ends_with("\\\" level=error x\""), "{}", entry.text());
    }

    #[test]
    fn an_object_has_five_keys_and_values_of_their_own_kind() {
        let fields = vec![("rows", 7_u64.into()), ("why", "full".into()), ("last", true.into())];
        let entry = entry("stored", fields);
        let told: Value = serde_json::from_str(&entry.json()).unwrap();
        let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["at", "fields", "level", "message", "target"]);
        assert_eq!(told["level"], "warn");
        assert_eq!(told["fields"], serde_json::json!({"rows": 7, "why": "full", "last": true}));
        assert!(entry.text().ends_with(" WARN positron_net: stored rows=7 why=full last=true"));
    }

    #[test]
    fn a_long_value_is_cut_off_and_says_so() {
        let mut text = Bounded { text: String::new(), room: 4, cut_off: 0 };
        write!(text, "abcü{}", "x".repeat(10)).unwrap();
        assert_eq!(text.finish(), "abc… (12 bytes more)");
    }
}
