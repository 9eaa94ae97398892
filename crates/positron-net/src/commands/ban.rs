//! `positron-net ban`: refuses a node, or whoever is at an address.

use std::time::Duration;

use clap::Args;
use positron_admin::Whom;
use serde_json::json;

use crate::{
    commands::give_order,
    failure::{Exit, Failure},
    global::Global,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Has the running node refuse a node, or whoever is at an address: a session is closed, nobody
/// there is dialled, and nothing from a banned address is read. A ban lasts over restarts.
///
/// A reserved peer is dialled although its address is banned; a ban of its id ends that.
#[derive(Args, Debug)]
pub(crate) struct BanOptions {
    /// The id of a node (64 characters, or the first 16 of a connected one), an IP address, or a
    /// range of them such as 203.0.113.0/24 or 2001:db8::/32
    #[arg(value_name = "ID|ADDRESS|CIDR")]
    whom: Whom,
    /// For how long: 90s, 30m, 2h, 7d, 4w [default: for good]
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    lasts: Option<Duration>,
    /// Why, for those who look later
    #[arg(long, value_name = "WORDS", default_value = "by hand")]
    reason: String,
    #[command(flatten)]
    selector: NodeSelector,
}

impl BanOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let mut order = json!({ "whom": self.whom.to_string(), "reason": self.reason });
        if let Some(lasts) = self.lasts {
            order["seconds"] = lasts.as_secs().into();
        }
        give_order(&self.selector, "ban", &order, terminal, global)
    }
}

/// A time as people write it: `90s`, `30m`, `2h`, `7d`, `4w`.
fn lasting(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a whole number and s, m, h, d or w, such as 90s, 2h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let is_number = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|n| is_number && *n > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_people_write_it_and_nothing_else_does() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(lasting(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "2", "h", "-2h", "+2h", "0s", "1.5h", "2 h", "2H", "99999999999999999999d", "2€"]
        {
            assert!(lasting(text).unwrap_err().contains("such as 90s, 2h or 7d"), "{text}");
        }
    }
}
