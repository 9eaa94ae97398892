//! What everybody on the way can read of a packet.

/// The header of a packet, as far as it is of use to a bystander.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketHeaderView {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) number: u32,
    pub(crate) ack: u32,
    pub(crate) connection: u32,
}

/// Bytes of a header.
pub(crate) const HEADER: usize = 32;
const MAGIC: u8 = 0xBE;
const ACK: u8 = 3;
const ENCRYPTED: u8 = 4;
const KEY_PHASE: u8 = 128;

impl PacketHeaderView {
    /// The header of a datagram; `None` if it is no packet of ours.
    pub(crate) fn of(datagram: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = datagram.first_chunk()?;
        let word = |at: usize| {
            header[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
        };
        (header[0] == MAGIC).then(|| Self {
            kind: header[2],
            flags: header[3],
            number: word(4),
            ack: word(8),
            connection: word(28),
        })
    }

    pub(crate) const fn is_sealed(&self) -> bool {
        self.flags & ENCRYPTED != 0
    }

    /// Whether it is the third message of a handshake.
    pub(crate) const fn is_ack(&self) -> bool {
        self.kind == ACK && !self.is_sealed()
    }

    /// Whether the keys changed an odd number of times before.
    pub(crate) const fn has_odd_phase(&self) -> bool {
        self.flags & KEY_PHASE != 0
    }
}

impl core::fmt::Display for PacketHeaderView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const NAMES: [&str; 13] = [
            "?",
            "SYN",
            "SYN_ACK",
            "ACK",
            "FIN",
            "FIN_ACK",
            "RST",
            "DATA",
            "PING",
            "PONG",
            "FRAGMENT",
            "MESSAGE_ACK",
            "MESSAGE_NACK",
        ];
        let name = NAMES.get(usize::from(self.kind)).unwrap_or(&"?");
        let phase = u8::from(self.has_odd_phase());
        let Self { number, ack, connection, .. } = self;
        if self.is_sealed() {
            write!(f, "{name} {number} ack {ack} phase {phase} to {connection:08x}")
        } else {
            write!(f, "{name} unsealed to {connection:08x}")
        }
    }
}
