//! How closely limits of bandwidth hold `[PROTOCOL 5.7]`.

use crate::time::Duration;

/// Bytes per second below which there is no limit: a third of it is what four busy peers say that
/// cannot wait, and a dozen peers still have each a packet a second (measured).
pub const LEAST_BANDWIDTH: u64 = 16 * 1024;
/// Bytes per second beyond which a limit is none: more than any machine has.
pub const MOST_BANDWIDTH: u64 = 100_000_000_000;
/// What goes at once, as time at the limited rate: timers wake seldom enough, and what waits behind
/// it does not wait long.
pub const BANDWIDTH_STEP: Duration = Duration::from_millis(10);
/// What goes at once at the least: a datagram that is almost full.
pub const LEAST_BANDWIDTH_STEP: u64 = 1_200;
/// What a bucket holds: one percent of the ten seconds over which a limit is to hold within five. A
/// timer may be late by as much.
pub const BANDWIDTH_BURST: Duration = Duration::from_millis(100);
/// The most that what cannot wait leaves to be paid off: while it is more than the limit, a limit
/// cannot hold, and this is how long it keeps the rest away after that.
pub const BANDWIDTH_DEBT: Duration = Duration::from_secs(2);
/// What may be given to a link and not be on the wire yet, as time at the limited rate: two steps,
/// so that a path that was blocked is not flooded when it opens.
pub const UPLOAD_AHEAD: Duration = Duration::from_millis(20);
/// What peers may be allowed to send and have not sent, as time at the limited rate: so far away
/// may a peer be that has the whole limit for itself. Together with [`BANDWIDTH_BURST`] it is four
/// of the five percent of ten seconds within which a limit holds.
pub const DOWNLOAD_AHEAD: Duration = Duration::from_millis(300);
