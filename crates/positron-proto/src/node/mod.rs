//! The node: one pure state machine, and the wiring of its rooms.
//!
//! Reading order: [`input`] and [`effect`] (what goes in and what comes out), [`event`] and
//! [`command`] (what the application hears and says), [`change`] (what storage keeps and brings
//! back), [`config`], `counters.rs` and [`view`]; then [`core`] (the machine), [`message`] (which
//! room reads a message), `route.rs` (who hears whom), `publisher.rs` and `sequence.rs` (our own
//! messages, their numbers and tickets), `persistence.rs` (what goes to the disk, and what may be
//! said when it is there), `pending_verification.rs` (claims that wait for their signature to be
//! checked) and `wake.rs` (why it wakes).

pub mod change;
pub mod command;
pub mod config;
pub mod core;
mod counters;
pub mod effect;
pub mod event;
pub mod input;
pub mod message;
mod pending_verification;
mod persistence;
mod publisher;
mod route;
mod sequence;
pub mod view;
mod wake;

pub use change::{ChangeId, Numbers, SequenceKind, Snapshot};
pub use command::{Command, Refused};
pub use config::NodeConfig;
pub use core::NodeCore;
pub use counters::{AllCounters, NodeCounters};
pub use effect::{CheckId, Effect};
pub use event::{Event, Outcome};
pub use input::Input;
pub use message::Message;
pub use view::NodeView;
pub use wake::Wake;
