//! What a datagram claims to be, before anything of it is believed `[PROTOCOL 9.2]`.

use crate::{
    stun::is_stun,
    wire::packet::{
        Flags, HEADER_LEN, Header, Hint, MAGIC, PacketType, Syn, VERSION, checksum,
        syn_of_another_version,
    },
};

/// A datagram as far as it can be read without knowing any connection.
#[derive(Debug)]
pub(super) enum ReceivedDatagram<'a> {
    /// A sealed packet: its header, of which nothing is proven before it opens.
    Sealed(Header),
    /// A query with a ticket: its header.
    Query(Header),
    /// The answer to one: its header.
    Answer(Header),
    /// A stranger's SYN.
    Syn(Syn<'a>),
    /// The payload of a SYN_ACK, for our connection of this id.
    SynAck { to: u32, payload: &'a [u8] },
    /// The third message of XX, for our connection of this id.
    Ack { to: u32, payload: &'a [u8] },
    /// An unsealed RST about the connection of this id.
    Hint { of: u32, hint: Hint },
    /// A SYN of another version, from whoever calls its connection so.
    OtherSyn { theirs: u32 },
    /// The hint of a node that speaks another version; where it has the id is a guess.
    OtherHint { of: u32 },
    /// It is STUN, whole or not.
    Stun,
    /// It is none of ours, or not whole.
    Malformed,
}

impl<'a> ReceivedDatagram<'a> {
    pub(super) fn read(datagram: &'a [u8]) -> Self {
        let Ok((header, sum)) = Header::decode(datagram) else { return Self::foreign(datagram) };
        let is_sealed = match header.kind {
            PacketType::Syn | PacketType::SynAck => false,
            // Which of two things it claims to be; each is then demanded to be it.
            PacketType::Ack | PacketType::Rst => header.flags.contains(Flags::ENCRYPTED),
            _ => true,
        };
        if is_sealed {
            return match header.kind {
                PacketType::Query => Self::Query(header),
                PacketType::Answer => Self::Answer(header),
                _ => Self::Sealed(header),
            };
        }
        // Nothing else protects them from accidents.
        if checksum(datagram) != sum {
            return Self::Malformed;
        }
        let payload = &datagram[HEADER_LEN..];
        let to = header.connection;
        match header.kind {
            PacketType::Syn => match Syn::decode(payload) {
                Ok(syn) if to == 0 => Self::Syn(syn),
                _ => Self::Malformed,
            },
            PacketType::SynAck => Self::SynAck { to, payload },
            PacketType::Ack => Self::Ack { to, payload },
            _ => Hint::decode(payload).map_or(Self::Malformed, |hint| Self::Hint { of: to, hint }),
        }
    }

    fn foreign(datagram: &[u8]) -> Self {
        if is_stun(datagram) {
            return Self::Stun;
        }
        if let Some((_, theirs)) = syn_of_another_version(datagram) {
            return Self::OtherSyn { theirs };
        }
        let [MAGIC, version, kind, ..] = *datagram else { return Self::Malformed };
        let wire = datagram.get(HEADER_LEN - 4..HEADER_LEN).and_then(|id| id.first_chunk());
        match wire {
            Some(id) if version != VERSION && kind == PacketType::Rst as u8 => {
                Self::OtherHint { of: u32::from_be_bytes(*id) }
            }
            _ => Self::Malformed,
        }
    }
}
