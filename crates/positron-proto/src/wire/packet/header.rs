//! The header in front of every datagram `[PROTOCOL 9.2]`.

use crate::wire::codec::Malformed;

/// Bytes in front of the payload of every packet.
pub const HEADER_LEN: usize = 32;
/// Bytes that sealing adds: the tag of AES-256-GCM and of ChaCha20-Poly1305.
pub const TAG_LEN: usize = 16;
/// The first byte of all that is ours: of every datagram, and of every handshake on a stream.
pub const MAGIC: u8 = 0xBE;
/// The version of the protocol that is spoken here, over datagrams and over streams.
pub const VERSION: u8 = 1;

/// Where the fields are, in bytes from the start.
mod at {
    pub(super) const VERSION: usize = 1;
    pub(super) const KIND: usize = 2;
    pub(super) const FLAGS: usize = 3;
    pub(super) const NUMBER: usize = 4;
    pub(super) const ACK: usize = 8;
    pub(super) const WINDOW: usize = 12;
    pub(super) const CHECKSUM: usize = 14;
    pub(super) const PAYLOAD_LEN: usize = 16;
    pub(super) const FRAGMENT_ID: usize = 20;
    pub(super) const FRAGMENT_INDEX: usize = 24;
    pub(super) const FRAGMENT_TOTAL: usize = 26;
    pub(super) const CONNECTION: usize = 28;
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketType {
    /// Begins a handshake. Unsealed.
    Syn = 1,
    /// Answers a SYN, by a handshake message or a cookie. Unsealed.
    SynAck = 2,
    /// Sealed: acknowledgments only. Unsealed: the third handshake message of XX.
    Ack = 3,
    /// Its sender says nothing more.
    Fin = 4,
    /// Answers a FIN.
    FinAck = 5,
    /// Sealed: the connection is over at once. Unsealed: a [`Hint`](super::Hint).
    Rst = 6,
    /// Messages, streams, and whatever else goes along.
    Data = 7,
    /// Asks for a PONG.
    Ping = 8,
    /// Answers a PING.
    Pong = 9,
    /// One fragment of a message.
    Fragment = 10,
    /// Messages in fragments arrived whole.
    MessageAck = 11,
    /// Messages in fragments were given up by their receiver.
    MessageNack = 12,
    /// A query with a ticket. Of no connection.
    Query = 13,
    /// Answers a QUERY.
    Answer = 14,
}

impl PacketType {
    /// Every type, in order of its number.
    pub const ALL: [Self; 14] = [
        Self::Syn,
        Self::SynAck,
        Self::Ack,
        Self::Fin,
        Self::FinAck,
        Self::Rst,
        Self::Data,
        Self::Ping,
        Self::Pong,
        Self::Fragment,
        Self::MessageAck,
        Self::MessageNack,
        Self::Query,
        Self::Answer,
    ];

    /// The type with this number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// The flags of a header: a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Something in the packet is sent again when the packet is lost.
    pub const RELIABLE: Self = Self(1);
    /// Something in the packet is handed over in order.
    pub const ORDERED: Self = Self(2);
    /// The payload is sealed. Demanded by the state of the receiver, never believed.
    pub const ENCRYPTED: Self = Self(4);
    /// Never set in version 1, and refused.
    pub const COMPRESSED: Self = Self(8);
    /// The packet is a FRAGMENT.
    pub const FRAGMENTED: Self = Self(16);
    /// The fragment is the last one of its message.
    pub const LAST_FRAGMENT: Self = Self(32);
    /// Something in the packet is of the most urgent lane.
    pub const PRIORITY: Self = Self(64);
    /// The parity of the key under which the packet is sealed.
    pub const KEY_PHASE: Self = Self(128);

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These and `flags`.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// Which fragment of which message a FRAGMENT packet carries; zero elsewhere, but for the id in
/// MESSAGE_ACK and MESSAGE_NACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// The low 32 bits of the message's number.
    pub id: u32,
    /// Counts the fragments of the message from 0.
    pub index: u16,
    /// Fragments of the message.
    pub total: u16,
}

impl Fragment {
    /// Whether the fragment that carries the bytes from `offset` on, `len` of them, of a message of
    /// `whole` bytes with this number is this one: all fragments but the last have one size.
    pub fn agrees_with(self, number: u64, offset: u32, len: usize, whole: u32) -> bool {
        let Ok(len) = u64::try_from(len) else { return false };
        let (index, total) = (u64::from(self.index), u64::from(self.total));
        let (offset, whole) = (u64::from(offset), u64::from(whole));
        let last = index + 1 == total;
        let size = match (last, index) {
            (false, _) | (true, 0) => len,
            (true, _) => offset / index,
        };
        self.id == low(number)
            && index < total
            && offset == index * size
            && len > 0
            && len <= size
            && whole.div_ceil(size) == total
            && (offset + len == whole) == last
    }
}

/// The header of a packet, without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// What the packet is for.
    pub kind: PacketType,
    /// How it is sent.
    pub flags: Flags,
    /// The low 32 bits of the packet's number; 0 in handshakes.
    pub number: u32,
    /// The low 32 bits of the lowest packet number that the sender has not received and was not
    /// told to give up.
    pub ack: u32,
    /// Bytes of data for which the sender has room, shifted right by its window scale.
    pub window: u16,
    /// Bytes after the header, with the tag.
    pub payload_len: u32,
    /// Which fragment it carries.
    pub fragment: Fragment,
    /// The connection, as its receiver calls it; 0 in a SYN.
    pub connection: u32,
}

impl Header {
    /// A header without flags, numbers, window and payload.
    pub fn new(kind: PacketType, connection: u32) -> Self {
        Self {
            kind,
            flags: Flags::NONE,
            number: 0,
            ack: 0,
            window: 0,
            payload_len: 0,
            fragment: Fragment::default(),
            connection,
        }
    }

    /// Reads the header of a whole datagram, and its checksum as it was sent. The checksum is not
    /// compared: the seal says more.
    pub fn decode(datagram: &[u8]) -> Result<(Self, u16), Malformed> {
        let header = datagram.first_chunk::<HEADER_LEN>();
        let header = header.ok_or_else(|| wrong("truncated", datagram.len()))?;
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
        if header[0] != MAGIC {
            return Err(wrong("not a packet of positron-net", 0));
        }
        if header[at::VERSION] != VERSION {
            return Err(wrong("unknown version", at::VERSION));
        }
        let kind = PacketType::from_byte(header[at::KIND])
            .ok_or_else(|| wrong("unknown packet type", at::KIND))?;
        let read = Self {
            kind,
            flags: Flags(header[at::FLAGS]),
            number: u32_at(at::NUMBER),
            ack: u32_at(at::ACK),
            window: u16_at(at::WINDOW),
            payload_len: u32_at(at::PAYLOAD_LEN),
            fragment: Fragment {
                id: u32_at(at::FRAGMENT_ID),
                index: u16_at(at::FRAGMENT_INDEX),
                total: u16_at(at::FRAGMENT_TOTAL),
            },
            connection: u32_at(at::CONNECTION),
        };
        if usize::try_from(read.payload_len) != Ok(datagram.len() - HEADER_LEN) {
            return Err(wrong("payload length is not that of the datagram", at::PAYLOAD_LEN));
        }
        read.check_redundancy()?;
        Ok((read, u16_at(at::CHECKSUM)))
    }

    /// Fields that say the same thing must agree.
    fn check_redundancy(&self) -> Result<(), Malformed> {
        let Fragment { id, index, total } = self.fragment;
        let is_fragment = self.kind == PacketType::Fragment;
        let is_last = is_fragment && u32::from(index) + 1 == u32::from(total);
        if self.flags.contains(Flags::COMPRESSED) {
            return Err(wrong("compressed", at::FLAGS));
        }
        if self.flags.contains(Flags::FRAGMENTED) != is_fragment {
            return Err(wrong("the fragment flag and the type disagree", at::FLAGS));
        }
        if self.flags.contains(Flags::LAST_FRAGMENT) != is_last {
            return Err(wrong("the flag of the last fragment is wrong", at::FLAGS));
        }
        if is_fragment {
            return if index < total {
                Ok(())
            } else {
                Err(wrong("fragment outside its message", at::FRAGMENT_INDEX))
            };
        }
        if id != 0 && !matches!(self.kind, PacketType::MessageAck | PacketType::MessageNack) {
            return Err(wrong("fragment fields without a fragment", at::FRAGMENT_ID));
        }
        if (index, total) != (0, 0) {
            return Err(wrong("fragment fields without a fragment", at::FRAGMENT_INDEX));
        }
        Ok(())
    }

    /// Writes the header, with a checksum of zero.
    pub fn encode(&self, out: &mut [u8; HEADER_LEN]) {
        let [n0, n1, n2, n3] = self.number.to_be_bytes();
        let [a0, a1, a2, a3] = self.ack.to_be_bytes();
        let [w0, w1] = self.window.to_be_bytes();
        let [l0, l1, l2, l3] = self.payload_len.to_be_bytes();
        let [f0, f1, f2, f3] = self.fragment.id.to_be_bytes();
        let [i0, i1] = self.fragment.index.to_be_bytes();
        let [t0, t1] = self.fragment.total.to_be_bytes();
        let [c0, c1, c2, c3] = self.connection.to_be_bytes();
        *out = [
            MAGIC,
            VERSION,
            self.kind as u8,
            self.flags.0, //
            n0,
            n1,
            n2,
            n3,
            a0,
            a1,
            a2,
            a3,
            w0,
            w1,
            0,
            0, //
            l0,
            l1,
            l2,
            l3,
            f0,
            f1,
            f2,
            f3,
            i0,
            i1,
            t0,
            t1,
            c0,
            c1,
            c2,
            c3,
        ];
    }
}

/// The checksum of a datagram: the low 16 bits of CRC-32 (IEEE 802.3) over all of it, the field
/// itself taken for zero. Of less than a header it is a number without meaning.
pub fn checksum(datagram: &[u8]) -> u16 {
    let (front, rest) = datagram.split_at(datagram.len().min(at::CHECKSUM));
    let mut crc = crc32fast::Hasher::new();
    crc.update(front);
    crc.update(&[0, 0]);
    crc.update(rest.get(2..).unwrap_or_default());
    let [.., high, low] = crc.finalize().to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Writes the checksum into a finished datagram, after sealing. Does nothing to less than a header.
pub fn put_checksum(datagram: &mut [u8]) {
    let sum = checksum(datagram).to_be_bytes();
    if let Some(header) = datagram.first_chunk_mut::<HEADER_LEN>() {
        header[at::CHECKSUM..at::PAYLOAD_LEN].copy_from_slice(&sum);
    }
}

/// What the seal of a packet covers beside its frames: the header with a checksum of zero. Missing
/// bytes of less than a header are zero.
pub fn associated_data(datagram: &[u8]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let len = datagram.len().min(HEADER_LEN);
    header[..len].copy_from_slice(&datagram[..len]);
    header[at::CHECKSUM..at::PAYLOAD_LEN].fill(0);
    header
}

/// The packet number of which a header has the low 32 bits: the one nearest to that after the
/// highest one received (RFC 9000, A.3).
pub fn extend_number(truncated: u32, highest: Option<u64>) -> u64 {
    const WINDOW: u64 = 1 << 32;
    const HALF: u64 = WINDOW / 2;
    let expected = highest.map_or(0, |highest| highest.saturating_add(1));
    let candidate = expected & !(WINDOW - 1) | u64::from(truncated);
    if candidate.saturating_add(HALF) <= expected && candidate < (1 << 62) - WINDOW {
        candidate + WINDOW
    } else if candidate > expected.saturating_add(HALF) && candidate >= WINDOW {
        candidate - WINDOW
    } else {
        candidate
    }
}

/// The low 32 bits of a number, as headers carry them.
pub const fn low(number: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

pub(super) const fn wrong(what: &'static str, offset: usize) -> Malformed {
    Malformed { what, offset }
}
