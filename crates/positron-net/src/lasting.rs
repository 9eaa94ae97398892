//! How long something lasts, as people write it.

use std::time::Duration;

use positron_proto::limits::{MAX_RECORD_TTL, MIN_RECORD_TTL};

/// A time as people write it: `90s`, `30m`, `2h`, `7d`, `4w`.
pub(crate) fn lasting(text: &str) -> Result<Duration, String> {
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
    let number = whole(number).filter(|n| *n > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// How long a value of the hash table lives: a time, or seconds alone.
pub(crate) fn ttl(text: &str) -> Result<Duration, String> {
    let time = whole(text).map(Duration::from_secs).or_else(|| lasting(text).ok());
    match time {
        Some(time) if (MIN_RECORD_TTL..=MAX_RECORD_TTL).contains(&time) => Ok(time),
        Some(time) => Err(format!("a value lives 60 s to 48 h, not {} s", time.as_secs())),
        None => {
            Err("a value lives 60 s to 48 h: a whole number of seconds, or a time such as 90s, \
                     30m or 2h"
                .to_owned())
        }
    }
}

fn whole(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
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

    #[test]
    fn a_value_lives_a_minute_to_two_days_however_that_is_written() {
        for (text, seconds) in [
            ("60", 60),
            ("60s", 60),
            ("1m", 60),
            ("3600", 3_600),
            ("48h", 172_800),
            ("2d", 172_800),
            ("172800", 172_800),
        ] {
            assert_eq!(ttl(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "59",
            "59s",
            "0",
            "172801",
            "172801s",
            "49h",
            "-1",
            "-1h",
            "NaN",
            "inf",
            "1.5h",
            "",
            "18446744073709551616",
            "18446744073709551615w",
        ] {
            assert!(ttl(text).unwrap_err().contains("60 s to 48 h"), "{text}");
        }
    }
}
