//! What the world tells the node.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::{ChangeId, CheckId};
use crate::{
    gossip::{ValidationId, Validity},
    id::{LinkId, NodeId, Ticket},
    identity::Verdict,
    nat::RouterNews,
    reason::Reason,
    request::Refusal,
    session::sessions::{LinkDown, LinkKind},
};

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Sockets are bound here; an unspecified IP address means all of this machine's.
    Listening(Vec<SocketAddr>),
    /// The addresses of this machine's interfaces that are up, all of them: at first, whenever they
    /// or the way to others change, and when the machine wakes up. A node that nobody tells takes
    /// its addresses from others alone.
    Interfaces(Vec<IpAddr>),
    /// There is something new of the router of this machine's network, for a node that is to have
    /// its port mapped (`NodeConfig::map_port`).
    Router(RouterNews),
    /// Somebody connected to us.
    Accepted {
        /// What the link is made of.
        kind: LinkKind,
        /// A name of the driver's choice ([`LinkId::of_driver`]).
        link: LinkId,
        /// From where.
        from: SocketAddr,
        /// SHA-256 of our certificate, if there is one below the stream.
        certificate: Option<[u8; 32]>,
    },
    /// A dial of ours ([`super::Effect::Dial`]) connected.
    Connected {
        /// Which.
        link: LinkId,
        /// SHA-256 of the other end's certificate, if there is one below the stream.
        certificate: Option<[u8; 32]>,
    },
    /// Bytes of a link, in order.
    Bytes {
        /// Which.
        link: LinkId,
        /// Any number of them, cut anywhere.
        bytes: Bytes,
    },
    /// The kernel took this much of what was written; how slow readers are noticed.
    Written {
        /// Which link.
        link: LinkId,
        /// How many bytes more.
        bytes: usize,
    },
    /// A link ended, or a dial failed. Also answers [`super::Effect::Hangup`], exactly once a link.
    LinkDown {
        /// Which.
        link: LinkId,
        /// Why.
        reason: LinkDown,
    },
    /// The operating system has no way for datagrams to this address from here: a dial that waits
    /// for an answer from there waits in vain.
    NoWay {
        /// As it was to be sent to.
        to: SocketAddr,
    },
    /// Answers [`super::Effect::Resolve`].
    Resolved {
        /// The `host:port` of the question.
        name: String,
        /// Its addresses, or in words why there are none.
        outcome: Result<Vec<SocketAddr>, String>,
    },
    /// Answers [`super::Effect::Verify`], in any order.
    Verdict {
        /// Which check.
        check: CheckId,
        /// What it came to.
        verdict: Verdict,
    },
    /// Every [`super::Effect::Persist`] up to this one would survive a crash of the process.
    Persisted {
        /// The last one.
        up_to: ChangeId,
    },
    /// Storage takes nothing for now, and tries again by itself: a full disk, a database that
    /// somebody else has locked. `Persisted` tells that it has passed.
    StorageWaits {
        /// Why, in one word.
        reason: Reason,
        /// What it waits for, in words.
        why: String,
    },
    /// Storage failed for good. What needs durability is refused from now on; the rest goes on.
    StorageFailed {
        /// Why, in one word.
        reason: Reason,
        /// Why, in words.
        why: String,
    },
    /// The application answers a request ([`super::Event::Request`]), or says why not.
    Answered {
        /// Who asked.
        from: NodeId,
        /// Which of its requests.
        id: u64,
        /// What.
        answer: Result<Bytes, Refusal>,
    },
    /// The application says whether a broadcast is valid ([`super::Event::Validate`]).
    Validity {
        /// Which.
        id: ValidationId,
        /// What of it.
        validity: Validity,
    },
    /// Nobody waits any more for the answer to a request of ours ([`super::Command::Ask`]): it ends
    /// without a word.
    Unwanted {
        /// Which.
        ticket: Ticket,
    },
    /// Time passed: `NodeCore::poll_timeout` may be due. Never harmful.
    Timeout,
}
