//! The node: one pure state machine, and the wiring of its rooms.
//!
//! Reading order: [`input`] and [`effect`] (what goes in and what comes out), [`event`] and
//! [`command`] (what the application hears and says), `peer_order.rs` (what it decides about
//! peers), `rooms.rs` (every list that has a line for each room: messages, configurations, what
//! storage brings back, queues, reasons to wake, counters), [`change`] (our own numbers, as
//! storage keeps them), [`delivery_log`] (what the application has not acknowledged),
//! `counters.rs` and [`view`]; then [`core`] (the machine), `message.rs` (what the list of
//! messages becomes), `route.rs` (who hears whom), `hearing.rs` and `unread.rs` (what peers say,
//! in turns), `commands.rs` (what the application wants, and why not), `verification.rs` (claims,
//! until they are judged), `publisher.rs` and `sequence.rs` (our own messages, their numbers and
//! tickets), `backlog.rs`, `persistence.rs` (what goes to the disk, and what may be said when it
//! is there), `work_budget.rs` and `held_links.rs` (who makes more work than others, or brings
//! more than the disk takes, and waits), `pending_verification.rs` (claims that wait for their
//! signature to be checked), `check_pace.rs` (whose claims wait for those of others),
//! `identity_use.rs` (keys that are used in two places), `recognition.rs` (what others know of our
//! numbers), `inheritance.rs` (keys that give way to others), `hash_table.rs` (what carries the
//! questions of the hash table), `table_carrier.rs` (those that are under way), `errand_desk.rs`
//! (what is done for peers without datagrams), `finding.rs` and `node_finder.rs` (nodes that are
//! looked for by their ids), `pings.rs` and `pinging.rs` (round trips), `sending.rs` (what is noted
//! of messages on their way), `endings.rs` (who was here, what came of dials), [`reasons`] (what
//! becomes of each room's own words for why) and [`readiness`] (whether the node can do its work).

mod backlog;
pub mod change;
mod check_pace;
pub mod command;
mod commands;
pub mod core;
mod counters;
pub mod delivery_log;
pub mod effect;
mod end_label;
mod endings;
mod equivocations;
mod errand_desk;
pub mod event;
mod filters;
mod finding;
mod hash_table;
mod hearing;
#[cfg(test)]
mod hearsay_tests;
mod held_links;
mod identity_use;
mod inheritance;
pub mod input;
mod judging;
mod mapped;
mod message;
mod node_finder;
mod numbers;
mod peer_order;
mod pending_verification;
mod persistence;
mod pinging;
mod pings;
mod publisher;
mod pushes;
pub mod readiness;
pub mod reasons;
mod recognition;
mod recommending;
mod relaying;
mod room_name;
mod rooms;
mod route;
mod sending;
mod sequence;
mod sightings;
mod table_carrier;
mod table_view;
mod through_relays;
mod tracing;
mod unread;
mod verification;
pub mod view;
mod wanted_links;
mod work_budget;

pub use change::{ChangeId, KeyAge, Numbers, SequenceKind};
pub use command::{Command, PeerOrder, Refused, TableOrder};
pub use core::NodeCore;
pub use counters::{NodeCounters, NodeLevels, StoreLevels};
pub use delivery_log::{HandedOver, SubscriptionView, Unacknowledged};
pub use effect::{CheckId, Effect};
pub use end_label::{DialEnd, SessionEnd};
pub use endings::{DialState, DialTarget, LostPeer, RecentDial};
pub use event::{Event, Outcome};
pub use input::Input;
pub use pings::RoundTrip;
pub use room_name::RoomName;
pub use rooms::{AllCounters, AllLevels, Message, NodeConfig, Snapshot, Wake};
pub use table_view::dht_stats;
pub use view::{NodeView, PeerBounds};

use rooms::RoomQueues;
