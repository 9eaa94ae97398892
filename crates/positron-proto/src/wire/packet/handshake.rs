//! What unsealed packets carry `[PROTOCOL 9.4]`.

use super::header::{HEADER_LEN, Header, MAGIC, PacketType, VERSION, put_checksum, wrong};
use crate::{
    limits::{LEAST_DATAGRAM, MAX_COOKIE, MAX_HANDSHAKE},
    wire::codec::{Malformed, Writer as _, read_varint},
};

/// Appends a whole unsealed datagram to `out`: header, what `payload` appends, checksum.
pub fn put_unsealed(
    out: &mut Vec<u8>,
    kind: PacketType,
    connection: u32,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    payload(out);
    let datagram = &mut out[start..];
    let payload_len = u32::try_from(datagram.len() - HEADER_LEN).unwrap_or(u32::MAX);
    let header = Header { payload_len, ..Header::new(kind, connection) };
    if let Some(front) = datagram.first_chunk_mut() {
        header.encode(front);
    }
    put_checksum(datagram);
}

/// The version and the sender's connection id of a SYN in a version that is not spoken here. Bytes
/// 0 to 2 of a header and bytes 33 to 36 of a SYN mean the same in all versions.
pub fn syn_of_another_version(datagram: &[u8]) -> Option<(u8, u32)> {
    let &[magic, version, kind, ..] = datagram else { return None };
    let syn = magic == MAGIC && kind == PacketType::Syn as u8 && datagram.len() == LEAST_DATAGRAM;
    let connection = datagram.get(HEADER_LEN + 1..)?.first_chunk()?;
    (syn && version != VERSION).then_some((version, u32::from_be_bytes(*connection)))
}

/// The pattern byte of a SYN that asks something and begins no connection: IK, with a query behind
/// the hello.
pub const QUERY_PATTERN: u8 = 3;

/// The payload of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syn<'a> {
    /// The Noise pattern.
    pub pattern: u8,
    /// The connection, as the initiator calls it.
    pub connection: u32,
    /// What the responder gave it to prove its address; empty at first. At most
    /// [`MAX_COOKIE`] bytes.
    pub cookie: &'a [u8],
    /// The first message of the Noise handshake; begins with the initiator's ephemeral key.
    pub noise: &'a [u8],
}

impl<'a> Syn<'a> {
    /// Reads what follows the header of a SYN. Offsets count from there.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        if payload.len() != LEAST_DATAGRAM - HEADER_LEN {
            return Err(wrong("size of a SYN", 0));
        }
        let mut cursor = Cursor::new(payload);
        let syn = Self {
            pattern: cursor.u8()?,
            connection: cursor.u32()?,
            cookie: cursor.blob(MAX_COOKIE)?,
            noise: cursor.blob(LEAST_DATAGRAM)?,
        };
        let no_key = cursor.malformed("no ephemeral key");
        syn.ephemeral().ok_or(no_key)?;
        let padding = cursor.malformed("padding is not zero");
        if cursor.rest.iter().all(|byte| *byte == 0) { Ok(syn) } else { Err(padding) }
    }

    /// Appends the payload, padded so that the datagram has [`LEAST_DATAGRAM`] bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let end = out.len() + LEAST_DATAGRAM - HEADER_LEN;
        out.push(self.pattern);
        out.append_raw(&self.connection.to_be_bytes());
        out.append_blob(self.cookie);
        out.append_blob(self.noise);
        out.resize(end.max(out.len()), 0);
    }

    /// The ephemeral key: names a half-open handshake together with the address.
    pub fn ephemeral(&self) -> Option<&'a [u8; 32]> {
        self.noise.first_chunk()
    }
}

/// The payload of a SYN_ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynAck<'a> {
    /// The handshake goes on.
    Noise {
        /// The Noise pattern, that of the SYN.
        pattern: u8,
        /// The second message of the Noise handshake.
        noise: &'a [u8],
    },
    /// The initiator is to say its SYN again, with this cookie.
    Cookie {
        /// Opaque to the initiator; never empty, at most [`MAX_COOKIE`] bytes.
        cookie: &'a [u8],
    },
}

impl<'a> SynAck<'a> {
    /// Reads what follows the header of a SYN_ACK. Offsets count from there.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let read = match cursor.u8()? {
            1 => Self::Noise { pattern: cursor.u8()?, noise: cursor.blob(LEAST_DATAGRAM)? },
            2 => Self::Cookie { cookie: cursor.blob(MAX_COOKIE)? },
            _ => return Err(wrong("unknown kind of answer", 0)),
        };
        if matches!(read, Self::Cookie { cookie: [] }) {
            return Err(wrong("empty cookie", 1));
        }
        cursor.finish(read)
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Noise { pattern, noise } => {
                out.extend_from_slice(&[1, *pattern]);
                out.append_blob(noise);
            }
            Self::Cookie { cookie } => {
                out.push(2);
                out.append_blob(cookie);
            }
        }
    }
}

/// The payload of an unsealed ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeAck<'a> {
    /// The Noise pattern, that of the SYN.
    pub pattern: u8,
    /// The third message of the Noise handshake.
    pub noise: &'a [u8],
}

impl<'a> HandshakeAck<'a> {
    /// Reads what follows the header of an unsealed ACK. Offsets count from there.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let read = Self { pattern: cursor.u8()?, noise: cursor.blob(MAX_HANDSHAKE)? };
        cursor.finish(read)
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.pattern);
        out.append_blob(self.noise);
    }
}

/// The payload of an unsealed RST: anybody may have written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The version of the SYN is not spoken here; that of this packet is.
    Version = 1,
    /// The IK message of the SYN was not for this key.
    NotThisKey = 2,
    /// There is no connection with the id of the sealed packet that this answers.
    NoSuchConnection = 3,
}

impl Hint {
    /// Reads what follows the header of an unsealed RST. Offsets count from there.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let read = match cursor.u8()? {
            1 => Self::Version,
            2 => Self::NotThisKey,
            3 => Self::NoSuchConnection,
            _ => return Err(wrong("unknown hint", 0)),
        };
        cursor.finish(read)
    }

    /// Appends the payload.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(self as u8);
    }
}

/// Reads from the front of a borrowed payload.
struct Cursor<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Cursor<'a> {
    fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, total: payload.len() }
    }

    fn malformed(&self, what: &'static str) -> Malformed {
        wrong(what, self.total - self.rest.len())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let truncated = self.malformed("truncated");
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.take(4)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn blob(&mut self, limit: usize) -> Result<&'a [u8], Malformed> {
        let (value, len) = read_varint(self.rest).map_err(|what| self.malformed(what))?;
        let over = self.malformed("length above its limit");
        let wanted = usize::try_from(value).ok().filter(|len| *len <= limit).ok_or(over)?;
        self.take(len)?;
        self.take(wanted)
    }

    fn finish<T>(self, read: T) -> Result<T, Malformed> {
        if self.rest.is_empty() { Ok(read) } else { Err(self.malformed("trailing bytes")) }
    }
}
