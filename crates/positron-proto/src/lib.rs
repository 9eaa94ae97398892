//! Every protocol of positron-net, as state machines without sockets, clocks, threads, async,
//! entropy or disk. Time, randomness and verdicts on signatures are arguments.
//!
//! Modules in reading order; a module uses only those above it, and the siblings, in the line above
//! `node`, never use one another. `cargo xtask tidy` reads the order here.
//!
//! ```text
//! time · deadlines · lru · allowance · fair_queue  given time, deadlines, who gives way, how much
//!                                       one may say, whose turn it is
//! shown                                 numbers as they are told
//! limits · metric · reason              every bound, what a counter is, why something ended
//! crypto · rng                          the one door to cryptographic libraries · named dice
//! bloom                                 sets that are wrong now and then, in few bits
//! scope · netgroup · subnet             how far addresses reach, which count as one, begin alike
//! id · misbehavior · words · standings  names, wrongs, whom others trust, what we make of it
//! journey                               what happens to a message at a node
//! identity · wire                       claims and evidence · bytes and values
//! reconciliation                        how two sets differ, in as few bytes as they do
//! storage                               what is remembered, as rows of tables
//! handshake                             from two keys to shared secrets
//! stun                                  how an address looks from outside, asked of any server
//! datagram                              connections over datagrams, from packets to streams
//! stream                                links over byte streams, sealed
//! session                               one authenticated conversation with one node
//! peers · gossip · direct · request · substream · trust · succession · recommendation ·
//! trace · nat · relay · dht             who says what, and what stands between them
//! node                                  the whole node: inputs, effects, events, commands
//! ```

mod allowance;
pub mod bloom;
mod crypto;
pub mod datagram;
pub mod deadlines;
pub mod dht;
pub mod direct;
mod fair_queue;
pub mod gossip;
pub mod handshake;
pub mod id;
pub mod identity;
pub mod journey;
pub mod limits;
mod lru;
pub mod metric;
pub mod misbehavior;
pub mod nat;
mod netgroup;
pub mod node;
pub mod peers;
pub mod reason;
pub mod recommendation;
pub mod reconciliation;
pub mod relay;
pub mod request;
pub mod rng;
mod scope;
pub mod session;
pub mod shown;
pub mod standings;
pub mod storage;
pub mod stream;
pub mod stun;
pub mod subnet;
pub mod substream;
pub mod succession;
pub mod time;
pub mod trace;
pub mod trust;
pub mod wire;
pub mod words;

#[cfg(test)]
mod tests {
    /// Where tests have no output, what stays in memory tells that they ran (`.ci/wasm`).
    #[test]
    fn it_can_be_seen_in_memory_that_tests_ran() {
        let words: &str = Box::leak(format!("ran to the end: {:08x}", 700).into_boxed_str());
        // Not the whole of it, or the words would be in memory without any test.
        assert!(words.ends_with("02bc"), "{words}");
    }
}
