//! The bounds of traces `[PROTOCOL 3.7]`.

use super::{MAX_AWAITED_PEERS, MAX_TTL};
use crate::time::Duration;

/// Broadcasts whose way is remembered: at 40 a second those of the last 100 s, at 7 a second those
/// of the last 10 min (guess: who asks does it soon).
pub const MAX_JOURNEYS: usize = 4096;
/// Direct messages whose way is remembered.
pub const MAX_DIRECT_JOURNEYS: usize = 512;
/// Bytes that all of them take; the oldest gives way. Of nodes with 20 peers all fit.
pub const MAX_JOURNEY_BYTES: usize = 4 << 20;
/// Steps of one broadcast that are remembered one by one: a word of each peer and a word to each;
/// what comes after them is counted.
pub const MAX_JOURNEY_STEPS: usize = 2 * MAX_AWAITED_PEERS;
/// Broadcasts that were not taken and of which it is remembered why.
pub const MAX_DROPPED_JOURNEYS: usize = 256;
/// How long after a message went to a peer an announcement by that peer says that it has it from
/// somebody else. Later it may be part of a list of everything. Of announcements that are lost
/// twice in a row some take longer than a second.
pub const HAD_WITHIN: Duration = Duration::from_secs(3);

/// How old a message may be that is traced: what is older is forgotten where much is said.
pub const TRACED_FOR: Duration = Duration::from_secs(600);
/// A node asks for one trace in this time.
pub const TRACE_INTERVAL: Duration = Duration::from_secs(60);
/// Others take the next trace of one sender after this time: less, because the asks of two traces
/// need not take equally long.
pub const TRACE_INTERVAL_LEAST: Duration = Duration::from_secs(55);
/// Traces in which a node takes part per [`TRACE_INTERVAL`], whoever asks for them.
pub const MAX_TRACES_PER_INTERVAL: u32 = 10;
/// Traces of which a node knows that it took part in them: all those of messages that are young
/// enough, so that none is answered twice.
pub const MAX_KNOWN_TRACES: usize = 128;
/// Traces that a node has under way: those of one interval, and its own.
pub const MAX_TRACES_UNDER_WAY: usize = 16;
/// Results of traces of ours that are kept.
pub const MAX_TRACE_REPORTS: usize = 16;
/// Asks of one peer in one interval that are looked at: of every trace that we may take part in,
/// and of as many in which it is not us whom it should ask.
pub const MAX_TRACE_ASKS_PER_PEER: u32 = 8 * MAX_TRACES_PER_INTERVAL;
/// Hops from the sender that a trace follows, as far as a push goes by default and as far again as
/// those reach it who ask. Guess: 1,000 nodes are 6 hops deep.
pub const MAX_TRACE_DEPTH: u8 = MAX_TTL / 2;
/// How long the last node on the way waits for the answer of those below it.
pub const TRACE_PATIENCE: Duration = Duration::from_secs(2);
/// How much longer each node before it waits, so that an answer is not late because one below it
/// was waited for: a round trip around the world in which a packet is lost.
pub const TRACE_PATIENCE_PER_HOP: Duration = Duration::from_millis(500);
/// Buckets of a histogram of depths; the last one has all that is deeper.
pub const TRACE_DEPTHS: usize = 16;
/// Buckets of a histogram of times, factor 2 from 1 ms; the last one has all that is longer.
pub const TRACE_TIMES: usize = 16;
/// Nodes in the sample of an answer. With 16 bytes each, an answer fits into one datagram.
pub const MAX_TRACE_SAMPLE: usize = 48;
/// Bytes of one answer (measured: 977 at most, and what carries it).
pub const MAX_TRACE_ANSWER: usize = 1200;
/// Nodes that one answer may claim, whatever is known of the size of the network: an address book
/// is small at first.
pub const LEAST_PLAUSIBLE_NODES: usize = 1024;
/// How many times as many nodes as a node knows addresses may be claimed. Measured: of 1,000 nodes
/// one knows 86 after 20 s.
pub const PLAUSIBLE_FACTOR: usize = 16;
