//! Of keys and who has them.

use crate::time::Duration;

// --- key files ---

/// Bytes of a passphrase (guess: a long sentence, ten times).
pub const MAX_PASSPHRASE: usize = 1024;
/// Rounds of PBKDF2 that reading a key file may take: some seconds, and 16 times what OWASP
/// advises.
pub const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;
/// N times r of scrypt in a key file, blocks of 128 bytes: 64 MiB, four times OpenSSL's own.
pub const MAX_SCRYPT_BLOCKS: u64 = 1 << 19;
/// N times r times p of it: a second or two, eight times OpenSSL's own.
pub const MAX_SCRYPT_MIXES: u64 = 1 << 20;

// --- keys in use ---

/// Processes of a peer that are remembered after another one took their place: two machines with
/// one key, and two restarts of each.
pub const MAX_EARLIER_PROCESSES: usize = 4;
/// Peers of whom that is remembered; the one whose process changed longest ago is forgotten first.
pub const MAX_RESTARTED_PEERS: usize = 256;
/// How often a process must have come back after another one of its key before it is said that the
/// key is used in two places (guess: nothing honest does it once).
pub const USED_TWICE_SIGNS: u32 = 3;
/// How long it is said after the last sign: longer than either of the two leaves a peer alone.
pub const USED_TWICE_MEMORY: Duration = Duration::from_secs(3600);
/// Keys of which signs are remembered; the one whose last sign is the oldest is forgotten first.
pub const MAX_USED_TWICE: usize = 64;

// --- keys that gave way to others [PROTOCOL 3.6] ---

/// Successions that are kept: 260 bytes each, 1 MiB. As many as peers in the book.
pub const MAX_SUCCESSIONS: usize = super::MAX_BOOK;
/// Of those, kept free for the keys of reserved peers: whoever makes keys by the thousand does not
/// keep the successor of a validator out.
pub const SUCCESSIONS_FOR_RESERVED: usize = MAX_SUCCESSIONS / 8;
/// Keys after one another in one history: what follows it is bounded, and so is what one holder
/// takes of the table. Guess: one a year, for longer than anybody keeps a node.
pub const MAX_SUCCESSION_CHAIN: usize = 32;
/// Successions in one message: a whole history.
pub const MAX_SUCCESSIONS_PER_MESSAGE: usize = MAX_SUCCESSION_CHAIN;
/// Successions of one peer that wait for their turn to be checked: two full messages. They are
/// checked one by one.
pub const MAX_SUCCESSIONS_UNCHECKED: usize = 2 * MAX_SUCCESSIONS_PER_MESSAGE;
/// Nodes that are not linked whose word before they refuse us is being checked: as many as dials
/// (one dial, one word).
pub const MAX_PARTING_SUCCESSIONS: usize = super::MAX_DIALS;
/// Time between two SUCCESSION of a peer, in the long run.
pub const SUCCESSION_INTERVAL: Duration = Duration::from_secs(1);
/// SUCCESSION that a peer may send at once. We send half of that, so that an honest node stays far
/// below the limit.
pub const SUCCESSION_BURST: u32 = 60;
