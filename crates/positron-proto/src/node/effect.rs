//! What the node wants done.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{ChangeId, Event};
use crate::{
    datagram::contract::ExtraSocket,
    id::{LinkId, NodeId},
    identity::SignatureJob,
    session::sessions::{Hangup, LinkKind, Reading},
    storage::Change,
};

/// Names one signature check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u64);

/// Something to be done outside, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Connect; answer with `Connected` or `LinkDown`.
    Dial {
        /// Its name.
        link: LinkId,
        /// What it is to be made of.
        kind: LinkKind,
        /// Where to.
        to: SocketAddr,
    },
    /// Write all of it, in order; report `Written` as the kernel takes it.
    Write {
        /// Which link.
        link: LinkId,
        /// What.
        bytes: Bytes,
    },
    /// End a link; answer with `LinkDown`.
    Hangup {
        /// Which.
        link: LinkId,
        /// How.
        how: Hangup,
    },
    /// Read a link, or leave what arrives with the kernel.
    Read {
        /// Which link.
        link: LinkId,
        /// Which of the two.
        reading: Reading,
    },
    /// Open a UDP socket at a port of its own beside the one that is listened on, of IPv4, and read
    /// it. If that is not possible, nothing is sent over it.
    OpenSocket(ExtraSocket),
    /// Close it.
    CloseSocket(ExtraSocket),
    /// Send one datagram to the router of this network, over a socket that is used for nothing
    /// else. If that is not possible, it is lost.
    AskRouter {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Bytes,
    },
    /// Look up `host:port`; answer with `Resolved`.
    Resolve {
        /// The name and the port.
        name: String,
    },
    /// Run the job anywhere; answer with `Verdict`.
    Verify {
        /// Its name.
        check: CheckId,
        /// What.
        job: SignatureJob,
        /// Who brought it: peers are to wait for their own claims, and not for those of others.
        from: NodeId,
    },
    /// Write it to disk, in order, in batches; answer with `Persisted`.
    Persist {
        /// Its number. It grows; numbers are left out of changes that others made void.
        id: ChangeId,
        /// What.
        change: Change,
    },
    /// Tell the application.
    Emit(Event),
}
