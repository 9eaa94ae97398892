//! What ends a connection because the other end did wrong.

use crate::misbehavior::Misbehavior;

/// What the other end did wrong inside its sealed packets. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datagram) struct Violation {
    pub(in crate::datagram) what: &'static str,
    pub(in crate::datagram) misbehavior: Misbehavior,
}

impl Violation {
    pub(in crate::datagram) const fn protocol(what: &'static str) -> Self {
        Self { what, misbehavior: Misbehavior::ProtocolViolation }
    }

    pub(in crate::datagram) const fn flooding(what: &'static str) -> Self {
        Self { what, misbehavior: Misbehavior::Flooding }
    }
}
