//! What bounds STUN `[PROTOCOL 9.12]`.

use crate::time::Duration;

/// Bytes of a STUN message that is read: what passes every path unfragmented where the path is not
/// known (RFC 8489, 6.1: 548 over IPv4, and 1280 less headers over IPv6).
pub const MAX_STUN_MESSAGE: usize = 1232;
/// Types of attributes that one message names or is refused for; of more, the first are named.
pub const MAX_UNKNOWN_ATTRIBUTES: usize = 16;
/// Binding requests of one address (IPv6: /64; loopback is not counted) that are answered in one
/// second: a client sends one, and again after half a second (guess: eight of them behind one NAT).
pub const BINDINGS_PER_ADDRESS: u32 = 16;
/// Binding requests that are answered in one second, in all: about 14 KiB of answers.
pub const BINDINGS_PER_SECOND: u32 = 256;
/// Binding requests of one address that are shorter than their answers and get one, in one second:
/// a spoofed source hears 12 bytes a second more of this node than somebody spent on it (IPv4).
pub const SHORT_BINDINGS_PER_ADDRESS: u32 = 1;
/// The same of all addresses: 64 answers of 32 bytes for 64 requests of 20.
pub const SHORT_BINDINGS_PER_SECOND: u32 = 64;
/// Answers to STUN requests that wait to be heard of: as many as one input brings.
pub const MAX_STUN_ANSWERS: usize = 64;
/// Transactions of ours that wait for their answers: each configured server, on two families.
pub const MAX_STUN_TRANSACTIONS: usize = 16;
/// RTO of RFC 8489, 6.2.1: after it a request is sent again, and after twice as long each time.
pub const STUN_RTO: Duration = Duration::from_millis(500);
/// Rc of RFC 8489, 6.2.1: how often a request is sent.
pub const STUN_REQUESTS: u32 = 7;
/// Rm of RFC 8489, 6.2.1: so many RTOs after the last request nothing more is expected.
pub const STUN_LAST_WAIT: u32 = 16;
