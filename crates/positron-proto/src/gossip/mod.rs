//! Tell everyone: eager push, announcement, and anti-entropy `[PROTOCOL 6]`.
//!
//! A new message is rumour (pushed along a tree), news (announced on some other links), and in the
//! end a matter of comparing notes: *push* makes it fast, *announcements* make it complete and mend
//! the tree, *anti-entropy* makes it certain, whatever was lost before (Demers et al. 1987,
//! "Epidemic algorithms for replicated database maintenance", sections 1.3 and 1.4; eager and lazy
//! push as in Leitão, Pereira, Rodrigues 2007, "Epidemic broadcast trees").
//!
//! Reading order: [`GossipMessage`], [`GossipEffect`] and [`GossipConfig`] (the contract),
//! `gossip.rs` (the machine: publish, push, verdicts, peers, time), `push_tree.rs` (over which
//! links it pushes), `tree_links.rs` (what peers are told of that, and who announces),
//! `eager_push.rs` and `lazy_push.rs` (its two halves: pushes; announcements and requests),
//! `validation.rs` (what the application says of messages before anybody hears of them, with
//! `unvalidated.rs`, those that wait for it),
//! `anti_entropy.rs` (comparing notes, with `comparison.rs`, how far that is, and `set_digest.rs`,
//! whether it is needed); then what it is made of:
//! `message_store.rs` (what is kept), `low_watermarks.rs` (what is old), `refused.rs` (what is not
//! accepted),
//! `checks_under_way.rs` (claims under verification), `fetches.rs` (fetches under way),
//! `fetch_delay.rs` (how long to wait for a push), `announcements.rs` (what is to be announced),
//! `reach.rs` (whom a message has not reached), `receipts.rs` (what those hear who wait for us),
//! `peer_state.rs` (what is remembered of a peer), `unserved.rs` (what they asked for, in turns),
//! `telling.rs` (what is told of messages), [`change`] (what is kept across restarts, as rows),
//! `counters.rs`.

mod announcements;
mod anti_entropy;
pub mod change;
mod checks_under_way;
mod comparison;
mod config;
mod counters;
mod eager_push;
mod effect;
mod fetch_delay;
mod fetches;
#[allow(clippy::module_inception)]
mod gossip;
mod lazy_push;
mod low_watermarks;
mod message;
mod message_key;
mod message_store;
mod peer_state;
mod push_tree;
mod reach;
mod receipts;
mod refused;
mod set_digest;
mod telling;
#[cfg(test)]
pub(crate) mod tests;
mod tree_links;
mod unserved;
mod unvalidated;
mod validation;

pub use config::{GossipConfig, GossipSnapshot};
pub use counters::{GossipCounters, GossipLevels};
pub use effect::GossipEffect;
pub use gossip::Gossip;
pub use message::{GossipMessage, SHAPES};
pub use unvalidated::{ValidationId, Validity};
pub use validation::Validating;
