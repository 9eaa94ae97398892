//! The dotted names of an application's metrics, and what they are called outside.

use std::fmt;

use prometheus_client::registry::Unit;

use super::MetricError;
use crate::limits::MAX_METRIC_NAME;

/// A dotted name as it is called outside: dots are underscores, `total` is what every counter ends
/// in, and a unit at the end is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OwnName {
    dotted: String,
    noun: String,
    unit: Option<&'static str>,
}

const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];
/// What readers put behind names themselves.
const TAKEN: [&str; 5] = ["count", "sum", "bucket", "info", "created"];
/// That of the nodes' own.
const OURS: &str = "positron";

impl OwnName {
    pub(super) fn read(dotted: &str) -> Result<Self, MetricError> {
        let wrong = |why| Err(MetricError::Name { name: shortened(dotted), why });
        if dotted.len() > MAX_METRIC_NAME {
            return wrong("it is too long");
        }
        let mut words: Vec<&str> = dotted.split(['.', '_']).collect();
        let is_word = |word: &&str| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !words.iter().all(is_word) || words[0].starts_with(|first: char| first.is_ascii_digit())
        {
            return wrong("it is not made of words of a-z and 0-9 that are joined by dots");
        }
        if words[0] == OURS {
            return wrong("names that begin with `positron` are those of nodes");
        }
        if words.len() > 1 && words.last() == Some(&"total") {
            words.pop();
        }
        if words.last().is_some_and(|last| TAKEN.contains(last)) {
            return wrong("it ends in a word that readers put behind names themselves");
        }
        let unit = UNITS.into_iter().find(|unit| words.len() > 1 && words.last() == Some(unit));
        if unit.is_some() {
            words.pop();
        }
        Ok(Self { dotted: dotted.to_owned(), noun: words.join("_"), unit })
    }

    /// As the application says it.
    pub(super) fn dotted(&self) -> &str {
        &self.dotted
    }

    /// Without its unit and `total`.
    pub(super) fn noun(&self) -> &str {
        &self.noun
    }

    pub(super) fn unit(&self) -> Option<Unit> {
        self.unit.map(|unit| Unit::Other(unit.to_owned()))
    }

    /// Whether the two would be one outside.
    pub(super) fn is_same_outside(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }

    /// The bound of the first bucket of a histogram.
    pub(super) const fn first_bound(&self) -> f64 {
        match self.unit {
            Some(unit) => match unit.as_bytes() {
                b"seconds" => 0.001,
                b"bytes" => 64.0,
                _ => 1.0 / 32_768.0,
            },
            None => 1.0,
        }
    }

    /// Where it stands in a summary: its first word, and the others without unit and `total`.
    pub(super) fn in_summary(&self) -> (String, String) {
        let bare = self.dotted.strip_suffix(".total").unwrap_or(&self.dotted);
        let bare = UNITS
            .into_iter()
            .find_map(|unit| bare.strip_suffix(unit)?.strip_suffix('.'))
            .unwrap_or(bare);
        match bare.split_once('.') {
            Some((first, rest)) => (first.to_owned(), rest.to_owned()),
            None => (bare.to_owned(), "value".to_owned()),
        }
    }
}

/// Outside, without `_total`.
impl fmt::Display for OwnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.noun)?;
        match self.unit {
            Some(unit) => write!(f, "_{unit}"),
            None => Ok(()),
        }
    }
}

/// Fit to be shown, whatever somebody gave for a name.
fn shortened(name: &str) -> String {
    name.chars().take(MAX_METRIC_NAME).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_outside_follows_from_the_dotted_one() {
        let names = [
            ("messages.sent.total", "messages_sent"),
            ("messages.sent", "messages_sent"),
            ("message.size.bytes", "message_size_bytes"),
            ("operation.duration.seconds", "operation_duration_seconds"),
            ("uploaded.bytes.total", "uploaded_bytes"),
            ("total", "total"),
            ("bytes", "bytes"),
            ("ipv4.peers", "ipv4_peers"),
        ];
        for (dotted, outside) in names {
            assert_eq!(OwnName::read(dotted).map(|name| name.to_string()), Ok(outside.into()));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason_and_shown_without_what_it_could_do() {
        let long = "a".repeat(MAX_METRIC_NAME + 1);
        let wrong =
            ["", ".", "a..b", "A", "a b", "a\n", "ü", "1a", "a{b=\"c\"}", "\u{1b}[2J", &long];
        for name in wrong.into_iter().chain(["positron.peers", "a.count", "a.sum", "a.count.total"])
        {
            let Err(MetricError::Name { name: shown, why }) = OwnName::read(name) else {
                panic!("{name:?} is taken");
            };
            assert!(!why.is_empty() && shown.chars().all(|c| !c.is_control()), "{shown}");
        }
    }
}
