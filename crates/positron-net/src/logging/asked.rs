//! The log, as who asks the running node sees it.

use positron_admin::Logbook;
use serde_json::Value;

use super::{Log, parse_level};

impl Logbook for Log {
    fn level(&self) -> String {
        Self::level(self).to_string()
    }

    fn set_level(&self, level: &str) -> Result<(), String> {
        parse_level(level).map(|level| Self::set_level(self, level))
    }

    fn lines(&self) -> Vec<Value> {
        // A line is made of texts.
        self.recent().iter().filter_map(|line| serde_json::to_value(line).ok()).collect()
    }
}
