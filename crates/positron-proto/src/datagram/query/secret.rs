//! What only the two ends of a ticket know.

use core::fmt;

use zeroize::Zeroizing;

/// What only the two ends of a ticket know.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::datagram) struct TicketSecret(Zeroizing<[u8; 32]>);

impl TicketSecret {
    pub(in crate::datagram) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(in crate::datagram) fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(..)")
    }
}
