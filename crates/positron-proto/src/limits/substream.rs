//! What bounds streams between nodes `[PROTOCOL 3.5]`.

use super::{DIRECT_RECONNECT, DIRECT_TIMEOUT};
use crate::time::Duration;

/// Bytes in one piece of a stream between nodes: four records, so that streams take turns often,
/// and what is around a piece does not matter.
pub const SUBSTREAM_PIECE: usize = 64 * 1024;
/// Bytes that may be sent in a stream before its reader has said anything.
pub const SUBSTREAM_WINDOW_FIRST: u64 = 16 * 1024;
/// Bytes that are ever granted ahead of what was read: 1.3 Gbit/s over 100 ms.
pub const SUBSTREAM_WINDOW_LARGEST: u64 = 16 << 20;
/// Bytes that the streams of one peer are granted together, beside the first window of each: with
/// [`MAX_SUBSTREAMS_PER_PEER`] it is 32 MiB that one peer can have us keep.
pub const SUBSTREAM_SHARE_PER_PEER: u64 = 16 << 20;
/// The same of all peers: like [`ENDPOINT_WINDOW_BYTES`](super::ENDPOINT_WINDOW_BYTES).
pub const MAX_SUBSTREAM_BYTES: u64 = 256 << 20;
/// Streams with one peer at a time.
pub const MAX_SUBSTREAMS_PER_PEER: usize = 1024;
/// Streams with all peers at a time; what is kept for an idle one is a few hundred bytes.
pub const MAX_SUBSTREAMS: usize = 16 * 1024;
/// Messages about streams that wait until their peer's lane takes any: a grant and an end for each.
pub const MAX_SUBSTREAM_UNSENT: usize = 2 * MAX_SUBSTREAMS_PER_PEER;
/// Peers of whose lost streams we know that they may not know that they are lost (guess).
pub const MAX_GHOST_PEERS: usize = 64;
/// How long a stream that is to be opened waits for a link.
pub const SUBSTREAM_OPEN_TIMEOUT: Duration = DIRECT_TIMEOUT;
/// Wait before a link is asked for again while a stream waits for it.
pub const SUBSTREAM_RECONNECT: Duration = DIRECT_RECONNECT;
