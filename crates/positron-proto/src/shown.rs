//! Numbers as they are told to people and programs: with as many digits as mean something.

use crate::time::Duration;

/// Milliseconds, to the microsecond: no clock here tells more.
pub fn millis(time: Duration) -> f64 {
    to(1e3, time.as_secs_f64() * 1e3)
}

/// Seconds, to the millisecond.
pub fn seconds(time: Duration) -> f64 {
    to(1e3, time.as_secs_f64())
}

/// A part or a score, to four decimals.
pub fn ratio(part: f64) -> f64 {
    to(1e4, part)
}

/// The nearest number of so many steps to one, which is then written with no more decimals.
fn to(steps: f64, number: f64) -> f64 {
    (number * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_more_decimals_than_are_meant() {
        assert_eq!(ratio(0.1 + 0.2).to_string(), "0.3");
        assert_eq!(ratio(0.123_456).to_string(), "0.1235");
        assert_eq!(millis(Duration::from_nanos(20_345_678)).to_string(), "20.346");
        assert_eq!(seconds(Duration::from_micros(812_000_499)).to_string(), "812");
        for micros in 0..100_000 {
            let told = millis(Duration::from_micros(micros)).to_string();
            assert!(told.split('.').nth(1).is_none_or(|decimals| decimals.len() <= 3), "{told}");
        }
    }
}
