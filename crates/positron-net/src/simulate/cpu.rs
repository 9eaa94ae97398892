//! How much processor time this process took.

use std::fs;

/// Linux counts in hundredths of a second on every architecture that matters (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time of all threads so far; `None` where `/proc` does not tell.
pub(crate) fn process_seconds() -> Option<f64> {
    parse(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// Fields 14 and 15 (proc_pid_stat(5)): user and system time. The name, in parentheses, may hold
/// anything.
fn parse(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 4194304 90 0 0 0 150 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(parse(stat), Some(2.0));
        assert_eq!(parse("garbage"), None);
    }
}
