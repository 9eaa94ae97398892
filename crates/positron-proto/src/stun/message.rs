//! Messages of STUN as bytes (RFC 8489, sections 5 and 14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{
    limits::{MAX_STUN_MESSAGE, MAX_UNKNOWN_ATTRIBUTES},
    rng::Rng,
    wire::Malformed,
};

/// The name of a transaction, which only its two ends and who is on their path know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionId(pub [u8; 12]);

impl TransactionId {
    /// 96 bits from the dice (RFC 8489, section 5: unguessable).
    pub fn draw(dice: &mut Rng) -> Self {
        Self(dice.bytes())
    }
}

/// A message of STUN that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StunMessage {
    /// Asks how it is seen.
    Request(BindingRequest),
    /// Answers a request of this name.
    Answer(TransactionId, BindingAnswer),
    /// Of another method, or an indication: nothing that is spoken here.
    Other,
}

/// Asks: how do you see me?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRequest {
    /// The name that the answer must bear.
    pub id: TransactionId,
    /// Types of attributes that must be understood, and are not: the answer is
    /// [`UNKNOWN_ATTRIBUTE`] then. At most [`MAX_UNKNOWN_ATTRIBUTES`] of them.
    pub unknown: Vec<u16>,
    /// Whether it ends with FINGERPRINT, which was right; the answer then does, too.
    pub has_fingerprint: bool,
}

/// What a server says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingAnswer {
    /// It sees the asker there.
    Mapped(SocketAddr),
    /// It does not say.
    Refused {
        /// 300 to 699 (RFC 8489, section 14.8).
        code: u16,
        /// Types of attributes that it does not understand; at most [`MAX_UNKNOWN_ATTRIBUTES`].
        unknown: Vec<u16>,
    },
}

/// The code of a server that does not understand what it must (RFC 8489, section 14.8).
pub const UNKNOWN_ATTRIBUTE: u16 = 420;

/// Whether a datagram claims to be STUN: two zero bits, and the cookie (RFC 8489, section 5). RFC
/// 3489 had no cookie; what looks like that is not STUN here.
pub fn is_stun(datagram: &[u8]) -> bool {
    let cookie = datagram.get(4..8).is_some_and(|cookie| cookie == MAGIC_COOKIE.to_be_bytes());
    cookie && datagram[0] & 0xC0 == 0
}

impl StunMessage {
    /// Reads a whole datagram.
    ///
    /// # Errors
    ///
    /// What is wrong, and where: not STUN, lengths that do not agree, a wrong FINGERPRINT, or an
    /// answer that does not say what such an answer must, or in attributes that are not understood.
    pub fn decode(datagram: &[u8]) -> Result<Self, Malformed> {
        let Some((header, rest)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(wrong("truncated", datagram.len()));
        };
        if !is_stun(datagram) || datagram.len() > MAX_STUN_MESSAGE {
            return Err(wrong("not a message of STUN", 0));
        }
        let [t0, t1, l0, l1, _, _, _, _, id @ ..] = *header;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if len != rest.len() || !len.is_multiple_of(4) {
            return Err(wrong("length is not that of the datagram", 2));
        }
        let id = TransactionId(id);
        let attributes = Attributes::decode(datagram, &id)?;
        match u16::from_be_bytes([t0, t1]) {
            BINDING_REQUEST => {
                let Attributes { unknown, has_fingerprint, .. } = attributes;
                Ok(Self::Request(BindingRequest { id, unknown, has_fingerprint }))
            }
            // RFC 8489, sections 6.3.3 and 6.3.4: an answer with an attribute that must be
            // understood, and is not, is discarded.
            BINDING_SUCCESS | BINDING_ERROR if !attributes.unknown.is_empty() => {
                Err(wrong("an attribute that must be understood", HEADER_LEN))
            }
            BINDING_SUCCESS => match attributes.xor_mapped.or(attributes.mapped) {
                Some(addr) => Ok(Self::Answer(id, BindingAnswer::Mapped(addr))),
                None => Err(wrong("an answer without an address", HEADER_LEN)),
            },
            BINDING_ERROR => {
                let code = attributes.code.ok_or_else(|| wrong("no error code", HEADER_LEN))?;
                let unknown = attributes.not_understood;
                Ok(Self::Answer(id, BindingAnswer::Refused { code, unknown }))
            }
            _ => Ok(Self::Other),
        }
    }
}

impl BindingRequest {
    /// A request that is as long as any answer to it (52 bytes over IPv6): with SOFTWARE, which
    /// means nothing to a server, and with FINGERPRINT.
    pub fn encode(id: TransactionId) -> Vec<u8> {
        let mut out = Writer::new(BINDING_REQUEST, &id);
        out.put(SOFTWARE, OUR_SOFTWARE);
        out.finish(true)
    }
}

impl BindingAnswer {
    /// The answer as a datagram: 32 bytes for an address of IPv4, 44 of IPv6, and 8 more with a
    /// fingerprint. Of types of attributes, the first [`MAX_UNKNOWN_ATTRIBUTES`].
    pub fn encode(&self, id: &TransactionId, with_fingerprint: bool) -> Vec<u8> {
        let mut out;
        match self {
            Self::Mapped(addr) => {
                out = Writer::new(BINDING_SUCCESS, id);
                out.put(XOR_MAPPED_ADDRESS, &address_bytes(&masked(*addr, id)));
            }
            Self::Refused { code, unknown } => {
                out = Writer::new(BINDING_ERROR, id);
                // Class and number stand apart, and no words follow: they would only lengthen it.
                let [class, number] = [code / 100 % 8, code % 100].map(|n| n.to_be_bytes()[1]);
                out.put(ERROR_CODE, &[0, 0, class, number]);
                let named = unknown.iter().take(MAX_UNKNOWN_ATTRIBUTES);
                let types: Vec<u8> = named.flat_map(|kind| kind.to_be_bytes()).collect();
                if !types.is_empty() {
                    out.put(UNKNOWN_ATTRIBUTES, &types);
                }
            }
        }
        out.finish(with_fingerprint)
    }
}

/// What is of use among the attributes of a message.
#[derive(Debug, Default)]
struct Attributes {
    mapped: Option<SocketAddr>,
    xor_mapped: Option<SocketAddr>,
    code: Option<u16>,
    /// What the other end says that it does not understand.
    not_understood: Vec<u16>,
    /// What we do not understand.
    unknown: Vec<u16>,
    has_fingerprint: bool,
}

impl Attributes {
    fn decode(datagram: &[u8], id: &TransactionId) -> Result<Self, Malformed> {
        let (mut read, mut is_covered) = (Self::default(), true);
        let mut rest = datagram.get(HEADER_LEN..).unwrap_or_default();
        while let Some((&[k0, k1, l0, l1], behind)) = rest.split_first_chunk() {
            let at = datagram.len() - rest.len();
            let kind = u16::from_be_bytes([k0, k1]);
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            // Each value is padded to four bytes, which its length does not say (section 14).
            let Some((padded, next)) = behind.split_at_checked(len.next_multiple_of(4)) else {
                return Err(wrong("truncated attribute", at));
            };
            let value = &padded[..len];
            if kind == FINGERPRINT {
                let sum = fingerprint(&datagram[..at]);
                if value != sum.to_be_bytes() || !next.is_empty() {
                    return Err(wrong("wrong fingerprint", at));
                }
                read.has_fingerprint = true;
            } else if is_covered {
                read.note(kind, value, at, id)?;
                // Nothing behind it but FINGERPRINT is heeded (section 14.5).
                is_covered = kind != MESSAGE_INTEGRITY && kind != MESSAGE_INTEGRITY_SHA256;
            }
            rest = next;
        }
        Ok(read)
    }

    /// Of two attributes of a type the first counts (section 14).
    fn note(
        &mut self,
        kind: u16,
        value: &[u8],
        at: usize,
        id: &TransactionId,
    ) -> Result<(), Malformed> {
        match kind {
            MAPPED_ADDRESS if self.mapped.is_none() => {
                self.mapped = Some(address(value).ok_or_else(|| wrong("not an address", at))?);
            }
            XOR_MAPPED_ADDRESS if self.xor_mapped.is_none() => {
                let addr = address(value).ok_or_else(|| wrong("not an address", at))?;
                self.xor_mapped = Some(masked(addr, id));
            }
            ERROR_CODE if self.code.is_none() => {
                let &[_, _, class, number] =
                    value.first_chunk().ok_or_else(|| wrong("truncated error code", at))?;
                let class = u16::from(class & 7);
                if !(3..=6).contains(&class) || number > 99 {
                    return Err(wrong("not an error code", at));
                }
                self.code = Some(class * 100 + u16::from(number));
            }
            UNKNOWN_ATTRIBUTES if self.not_understood.is_empty() => {
                let (types, _) = value.as_chunks();
                let types = types.iter().map(|kind| u16::from_be_bytes(*kind));
                self.not_understood = types.take(MAX_UNKNOWN_ATTRIBUTES).collect();
            }
            _ if kind >= FIRST_OPTIONAL || READ_PAST.contains(&kind) => {}
            _ => {
                if self.unknown.len() < MAX_UNKNOWN_ATTRIBUTES && !self.unknown.contains(&kind) {
                    self.unknown.push(kind);
                }
            }
        }
        Ok(())
    }
}

/// A message that is being written.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u16, id: &TransactionId) -> Self {
        let mut out = Vec::with_capacity(64);
        out.extend(kind.to_be_bytes());
        out.extend([0, 0]);
        out.extend(MAGIC_COOKIE.to_be_bytes());
        out.extend(id.0);
        Self(out)
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(value.len()).expect("our attributes are short");
        self.0.extend(kind.to_be_bytes());
        self.0.extend(len.to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.set_len(0);
    }

    /// The length in the header counts what is to come as well.
    fn set_len(&mut self, to_come: usize) {
        let len = self.0.len() - HEADER_LEN + to_come;
        let len = u16::try_from(len).expect("our messages are short");
        self.0[2..4].copy_from_slice(&len.to_be_bytes());
    }

    fn finish(mut self, with_fingerprint: bool) -> Vec<u8> {
        if with_fingerprint {
            // It covers a length that counts it already (section 14.7).
            self.set_len(8);
            let sum = fingerprint(&self.0);
            self.put(FINGERPRINT, &sum.to_be_bytes());
        }
        self.0
    }
}

/// An address as MAPPED-ADDRESS writes it (section 14.1).
fn address(value: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], ip) = value.split_first_chunk()?;
    let ip = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([p0, p1])))
}

fn address_bytes(addr: &SocketAddr) -> Vec<u8> {
    let [p0, p1] = addr.port().to_be_bytes();
    match addr.ip() {
        IpAddr::V4(ip) => [&[0, 1, p0, p1][..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2, p0, p1][..], &ip.octets()].concat(),
    }
}

/// XOR-MAPPED-ADDRESS hides an address from translators that rewrite all they know (section 14.2);
/// twice is not at all.
fn masked(addr: SocketAddr, id: &TransactionId) -> SocketAddr {
    let [c0, c1, ..] = MAGIC_COOKIE.to_be_bytes();
    let port = addr.port() ^ u16::from_be_bytes([c0, c1]);
    let ip = match addr.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&id.0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ u128::from_be_bytes(mask)))
        }
    };
    SocketAddr::new(ip, port)
}

/// CRC-32 of all in front of FINGERPRINT (section 14.7).
fn fingerprint(front: &[u8]) -> u32 {
    crc32fast::hash(front) ^ FINGERPRINT_MASK
}

const fn wrong(what: &'static str, offset: usize) -> Malformed {
    Malformed { what, offset }
}

const HEADER_LEN: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;
/// "STUN" (section 14.7).
const FINGERPRINT_MASK: u32 = 0x5354_554E;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const SOFTWARE: u16 = 0x8022;
const FINGERPRINT: u16 = 0x8028;
/// From this type on, who does not understand an attribute reads past it (section 14).
const FIRST_OPTIONAL: u16 = 0x8000;
/// Attributes below that number that say nothing here: those of credentials, which a server that
/// asks for none ignores (section 9), second ones of a type, and PADDING (RFC 5780, section 7.6).
const READ_PAST: [u16; 12] = [
    MAPPED_ADDRESS,
    0x0006,
    MESSAGE_INTEGRITY,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    0x0014,
    0x0015,
    MESSAGE_INTEGRITY_SHA256,
    0x001D,
    0x001E,
    XOR_MAPPED_ADDRESS,
    0x0026,
];
const OUR_SOFTWARE: &[u8] = b"positron-net, asking how";
