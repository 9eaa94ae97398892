//! How far the end of a connection is.

use crate::{time::Instant, wire::frame::CloseReason};

/// How far the end of a connection is.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Why we close, once we were asked to.
    pub(super) ours: Option<CloseReason>,
    /// Why they close, once they said so.
    pub(super) theirs: Option<CloseReason>,
    /// Whether the application was told that it is over.
    pub(super) told: bool,
    /// Whether a RST says that it is over.
    pub(super) resets: bool,
    /// Until when what waits has to go on being acknowledged, once we close; after that, until when
    /// the connection is remembered, to answer what still comes.
    pub(super) until: Option<Instant>,
    /// Until when the other end is heard out at most, once our FIN went out.
    pub(super) latest: Option<Instant>,
}

impl Ending {
    /// Whether we were asked to close.
    pub(super) const fn is_asked_for(&self) -> bool {
        self.ours.is_some()
    }

    /// What our FIN or RST says.
    pub(super) fn reason(&self) -> CloseReason {
        let reason = self.ours.as_ref().or(self.theirs.as_ref());
        reason.cloned().unwrap_or(CloseReason::ShuttingDown)
    }

    /// Whether whoever still speaks is told that it is over.
    pub(super) const fn resets(&self) -> bool {
        self.resets
    }

    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }
}
