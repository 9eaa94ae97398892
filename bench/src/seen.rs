//! What this process has used, and the network that it is in.

use std::fs;

use rustix::{
    param::page_size,
    time::{ClockId, clock_gettime},
};

/// Milliseconds of the processor that all threads of this process have used.
pub(crate) fn cpu_ms() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}

/// Bytes of memory of this process that are resident.
///
/// # Errors
/// The system does not tell.
pub(crate) fn memory() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/self/statm").map_err(|error| error.to_string())?;
    let pages = text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.ok_or("/proc/self/statm does not read")? * page_size() as u64)
}

/// Bytes that came in over loopback since the network of this process is there: each that was sent,
/// once, with the headers of IP and above.
///
/// # Errors
/// The system does not tell.
pub(crate) fn wire() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/net/dev").map_err(|error| error.to_string())?;
    received(&text, "lo").ok_or_else(|| "/proc/net/dev does not read".into())
}

/// The bytes that an interface received: the first number of its line.
fn received(devices: &str, interface: &str) -> Option<u64> {
    let mut lines = devices.lines().filter_map(|line| line.trim_start().split_once(':'));
    let (_, numbers) = lines.find(|(name, _)| *name == interface)?;
    numbers.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interface_received_is_read_however_wide_the_number_is() {
        let text = "Inter-|   Receive                |  Transmit\n \
                    face |bytes    packets errs |bytes    packets\n    \
                    lo:  684210     812    0  684210     812\n  eth0:99887766554433 1 0 7 1\n";
        assert_eq!(received(text, "lo"), Some(684_210));
        assert_eq!(received(text, "eth0"), Some(99_887_766_554_433));
        assert_eq!(received(text, "eth1"), None);
        assert_eq!(received("lo: many", "lo"), None);
    }
}
