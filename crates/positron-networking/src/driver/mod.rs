//! What drives a node: one task owns the [`NodeCore`](positron_proto::node::NodeCore); everything
//! else brings it inputs or carries out its effects, and decides nothing.
//!
//! ```text
//!  accept loop ──(64)──▸┐                     ┌─▸ link task   one per connection: reads, writes
//!  link tasks  ────────▸│                     ├─▸ UDP socket  read and written by the task itself
//!                       │                     ├─▸ lookup      one per name
//!  interfaces  ────────▸│  core task          ├─▸ verify pool one per process
//!  router      ────────▸│                     ├─▸ router      asked to map the port, if at all
//!  lookups     ────────▸│                     │
//!  verify pool ────────▸│  handle · command   ├─▸ storage     one writer thread
//!  storage     ────────▸│  drain effects      ├─▸ feeds       inboxes, events, handlers
//!  streams     ────────▸│                     ├─▸ streams     what came and may be written
//!  callers     (1024)──▸┘                     └─▸ view        every 100 ms, if somebody looks
//! ```
//!
//! The channel into the core has no bound of its own because everything that feeds it has one: a
//! link has at most one chunk, one `Written` and one `LinkDown` in it, a stream is in it once, and
//! the core bounds its links, streams, lookups, checks and changes. Datagrams do not go through it:
//! each is sealed by the core at the moment it is sent, so the core's task reads and writes the
//! socket.

pub(crate) mod blocked;
mod clock;
pub(crate) mod complaint;
mod core_task;
pub(crate) mod datagrams;
mod dual_stack;
mod extra_sockets;
mod interfaces;
mod link;
mod links;
pub(crate) mod listen;
mod lookup;
mod order;
mod packets;
mod route_socket;
mod router;
mod serving;
mod showing;
mod sleep_watch;
mod sockets;
mod source_addresses;
pub(crate) mod storage;
mod streams;
mod verify_pool;

pub(crate) use clock::Clock;
pub(crate) use core_task::{CoreTask, Subscriptions};
pub(crate) use links::Links;
pub(crate) use order::{Order, Reply};
use positron_proto::{id::LinkId, node::Input, substream::SubstreamId};
pub(crate) use serving::HandlerSlot;
pub(crate) use showing::Shown;
use sleep_watch::SleepWatch;
pub(crate) use sockets::Sockets;
pub(crate) use streams::IncomingStreams;

/// Something for the core.
#[derive(Debug)]
pub(crate) enum CoreInput {
    /// An input as it is.
    Input(Input),
    /// The application did something with this stream; what is noted at the stream.
    Stream(SubstreamId),
    /// The kernel took more of what was written to this link; how much is counted at the link.
    Written(LinkId),
}

/// The way into the core.
pub(crate) type Arrivals = tokio::sync::mpsc::UnboundedSender<CoreInput>;
