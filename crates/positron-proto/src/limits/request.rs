//! The bounds of requests.

use super::{DIRECT_RECONNECT, DIRECT_RETRY};
use crate::time::Duration;

/// Requests of ours that are not over: twice what others serve for us, many times over (guess).
pub const MAX_ASKED: usize = 4096;
/// Bytes of requests of ours that wait for a session to take them.
pub const MAX_ASKED_BYTES: usize = 16 << 20;
/// Requests of one peer that are served at once, or whose answers wait for its session (guess: what
/// a database has of connections to one application).
pub const MAX_SERVED_PER_PEER: usize = 64;
/// Bytes of them: four of the largest payloads.
pub const MAX_SERVED_BYTES_PER_PEER: usize = 4 << 20;
/// Requests of all peers that are served at once: of 32 peers that ask for all they may.
pub const MAX_SERVED: usize = 32 * MAX_SERVED_PER_PEER;
/// Bytes of them.
pub const MAX_SERVED_BYTES: usize = 32 << 20;
/// What waits for the session of a peer, beyond which requests are refused without a word: what an
/// honest peer can have asked.
pub const MAX_REFUSALS: usize = MAX_ASKED;
/// Bytes that are told of why a request failed.
pub const MAX_FAILURE_TEXT: usize = 1024;
/// The longest that a request waits for its answer, and that it is served (guess: who works longer
/// says so, and sends the result when it is there).
pub const LONGEST_REQUEST: Duration = Duration::from_secs(300);
/// Wait before what a session could not take is offered to it again (as [`DIRECT_RETRY`]).
pub const REQUEST_RETRY: Duration = DIRECT_RETRY;
/// Wait before a link is asked for again while a request waits for it (as [`DIRECT_RECONNECT`]).
pub const REQUEST_RECONNECT: Duration = DIRECT_RECONNECT;
/// Peers that went out of sight and of which it is known what they are to hear when they come back;
/// the one gone longest is forgotten first, and waits until its requests are out of time.
pub const MAX_OWED_PEERS: usize = 256;
