//! What bounds packets to addresses from which nobody ever answered `[PROTOCOL 7]`.

use super::BUCKET_REFRESH_INTERVAL;
use crate::time::Duration;

/// Packets to an address that never answered, within [`SILENT_FOR`] at first: a dial and a query.
/// Whoever names the address of somebody else to us cannot make us flood it.
pub const MAX_TO_SILENT: u32 = 3;
/// See [`MAX_TO_SILENT`]. Each time is twice as long as the one before, so that they begin after 0,
/// 25, 75 and 175 s: nine packets in the first 150 s, of 11,232 bytes with the headers of IPv6 if
/// all are SYNs of 1,200 bytes.
pub const SILENT_FOR: Duration = Duration::from_secs(25);
/// No longer than this: an address may have somebody after all, and a table is refreshed as often.
pub const LONGEST_SILENCE: Duration = BUCKET_REFRESH_INTERVAL;
/// Addresses of which it is known whether they answered, and what they got: more than are asked in
/// the first two times, 75 s, when half of 16 lookups of a dozen in a second are new addresses
/// (guess); 2 MiB.
pub const MAX_ASKED_ADDRESSES: usize = 16 * 1024;
/// Packets of a dial to such an address until something is heard from there: one over each kind of
/// link, or two over the only one. A packet in a hundred is lost, and then both of one dial in ten
/// thousand.
pub const SPARING_DIAL_PACKETS: u32 = 2;
/// Packets of a query to such an address.
pub const QUERY_PACKETS: u32 = 1;
/// How long a byte stream may take to open for each packet that it may cost: kernels say the first
/// one again after 1 s (RFC 6298, 2.1), and this is less by what it takes to stop them.
pub const STREAM_SYN_PATIENCE: Duration = Duration::from_millis(900);
/// After how long they do.
pub const STREAM_SYN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a probe of a silent address waits at the most before it is looked at again: somebody
/// there may have spoken in the meantime.
pub const SILENT_PROBE_LATER: Duration = Duration::from_secs(60);
const _: () = assert!(SPARING_DIAL_PACKETS + QUERY_PACKETS <= MAX_TO_SILENT);
