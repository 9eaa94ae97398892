//! What nodes forward for others `[PROTOCOL 3.10]`.

use crate::time::Duration;

/// Bytes of a relayed stream in one message: as much as a record of a link, so that what forwards
/// it cuts nothing anew.
pub const RELAY_PIECE: usize = 16 << 10;
/// Bytes that one end of a relayed stream may be ahead of the other: the most that a relay holds
/// for each direction. At 100 ms from end to end it is 640 KiB/s, more than
/// [`RELAY_RATE_PAIR`] allows anyway.
pub const RELAY_WINDOW: u64 = 64 << 10;
/// What goes over a relay at a time once the burst is spent: of what is said the largest record, of
/// what may be said the smallest part that is worth a word. What is urgent waits behind one of
/// each: [`RELAY_RATE_PAIR`] carries one in 31 ms, and when as many pairs as there may be share
/// [`RELAY_RATE_ALL`] each has its turn in 250 ms.
pub const RELAY_STEP: usize = 2 << 10;
/// Relayed streams that end here.
pub const MAX_RELAYED_LINKS: usize = 128;
/// Of them, those through one relay, so that none takes the place of all others. Each of our own
/// nodes that has no other relay counts, so it is more than [`MAX_RELAY_PAIRS_PER_PEER`].
pub const MAX_RELAYED_LINKS_PER_RELAY: usize = 64;
/// Addresses of nodes behind relays that are remembered, those of streams that are open included.
pub const MAX_RELAYED_ADDRESSES: usize = 1_024;
/// Pairs of nodes that a relay forwards between. Guess: a hundred homes with two or three each.
pub const MAX_RELAY_PAIRS: usize = 256;
/// Of them, those of one peer.
pub const MAX_RELAY_PAIRS_PER_PEER: usize = 16;
/// A pair that said nothing for so long gives way to another one when there are too many.
pub const RELAY_IDLE: Duration = Duration::from_secs(60);
/// A peer asks for one pair in so long, [`RELAY_OPEN_BURST`] at once: who looks for a node asks
/// each of its peers for it.
pub const RELAY_OPEN_PACE: Duration = Duration::from_secs(1);
/// What a peer may ask for at once.
pub const RELAY_OPEN_BURST: u32 = 32;
/// Peers whose sessions ended, and pairs that a peer closed, of which it is remembered how much was
/// forwarded of late: who comes again has no burst before it is due.
pub const MAX_RELAY_REMEMBERED: usize = 256;
/// Bytes a second forwarded between two nodes, [`RELAY_BURST`] at once. A rate, not a total: who
/// must go over a relay goes on, slowly.
pub const RELAY_RATE_PAIR: u64 = 64 << 10;
/// Bytes a second forwarded for one peer, whatever its pairs.
pub const RELAY_RATE_PEER: u64 = 256 << 10;
/// Bytes a second forwarded in all.
pub const RELAY_RATE_ALL: u64 = 2 << 20;
/// Bytes that may go at once after a pause, for each of the three rates.
pub const RELAY_BURST: u64 = 1 << 20;
/// Peers that are asked at once to forward to a node, when nobody knows how to reach it.
pub const RELAYS_ASKED: usize = 8;
/// Relays that a record names, and that are tried of another's.
pub const MAX_STATED_RELAYS: usize = 3;
/// Relays that are dialled because records name them, and nodes that are to be reached through one.
pub const MAX_AWAITED_RELAYS: usize = 64;
/// Relays over which a link is dialled when the one there is falls silent.
pub const RELAYS_STANDING_BY: usize = 2;
