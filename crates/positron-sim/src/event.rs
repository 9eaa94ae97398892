//! What happens to a host beside its network.

use bytes::Bytes;
use positron_proto::{id::NodeId, identity::Verdict, node::CheckId};

/// Something that a host's own parts do later.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker checked a signature.
    Verdict { check: CheckId, verdict: Verdict },
    /// A batch was to be on disk by now.
    Committed,
    /// A stopped process ends.
    Exit,
    /// The process looks at its interfaces again.
    Interfaces,
    /// The application answers a request of a peer.
    Answered { from: NodeId, id: u64, payload: Bytes },
    /// A name was looked up.
    Resolved { name: String },
}
