//! Every bound of the API, in one place: what it bounds, its unit, and where the number comes from.

use std::time::Duration;

// --- doors ---

/// Connections of one door at a time. Beyond it those give way that have not been granted
/// anything; when there are none, newcomers wait in the kernel's queue (guess: a browser has six
/// connections to one place, a scraper one).
pub const MAX_CONNECTIONS: usize = 64;
/// Time for the head of a request to arrive, and for a connection to say nothing between two.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the body of a request to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the head of a request. Browsers send about 1 KiB.
pub const MAX_HEAD: usize = 16 * 1024;
/// Fields in the head of a request. Browsers send about 20.
pub const MAX_FIELDS: usize = 64;
/// Bytes of the body of a request: the largest is a message to send.
pub const MAX_BODY: usize = 64 * 1024;
/// Wait after the operating system could not accept (no descriptors left): they come back.
pub const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// Bytes of the token: a key of 256 bits.
pub const TOKEN_BYTES: usize = 32;
/// Bytes in the path of a Unix socket (`sun_path`, less its closing zero; 103 on macOS).
pub const MAX_SOCKET_PATH: usize = 103;

// --- what is done ---

/// Actions that are under way at a time; joining a node takes up to twelve seconds (guess).
pub const MAX_ACTIONS: usize = 16;
/// How long another node may take to answer who joins it.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(12);
/// Wait before an address is tried again.
pub const JOIN_PAUSE: Duration = Duration::from_millis(250);

// --- recordings ---

/// Bytes of a recording that grows while it is shown. Half a minute of 1,000 nodes and 55
/// broadcasts is 2.4 MB (measured).
pub const MAX_REEL: usize = 64 << 20;

// --- events ---

/// Events that are kept for who comes back, or is slow.
pub const MAX_EVENTS: usize = 4096;
/// Their bytes: each client reads from this one place and holds nothing of it.
pub const MAX_EVENT_BYTES: usize = 1 << 20;
/// Who may listen to events at a time.
pub const MAX_LISTENERS: usize = 16;
/// Bytes of events that are given to a connection at a time. Two of them wait for a client that
/// does not read, beside what the kernel takes.
pub const EVENT_CHUNK: usize = 64 * 1024;
/// Silence after which a listener is sent a comment, so that both ends see that the other is there.
pub const EVENT_SILENCE: Duration = Duration::from_secs(15);

// --- history ---

/// Time between two values of the history.
pub const HISTORY_STEP: Duration = Duration::from_secs(1);
/// Values of each series: an hour of them.
pub const HISTORY_VALUES: usize = 3600;
/// Series: with four bytes a value all of them are 576 kB.
pub const MAX_SERIES: usize = 40;

// --- the asking side ---

/// Bytes in an answer that is read as a whole: an hour of history is about 2 MB.
pub const MAX_ANSWER: usize = 16 << 20;
/// How long an answer may take: making a link is what takes longest.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
