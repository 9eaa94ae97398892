//! Where something can be reached `[PROTOCOL 3.3]`.

use std::{
    fmt,
    net::{AddrParseError, IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use bytes::{Buf as _, BufMut as _};

use super::codec::{Malformed, Reader, Writer as _};
use crate::{id::NodeId, limits::MAX_ADDRESS_BODY};

/// Where something can be reached: a kind and what that kind says.
///
/// One address has one form, so that nobody gets two limits or two records out of it: an
/// IPv4-mapped IPv6 address is written as IPv4 and refused when it is read. An address of a kind
/// that this version does not know keeps its bytes as they are, because signatures cover them, and
/// has no [`socket_addr`](Self::socket_addr).
///
/// ```
/// use positron_proto::wire::Address;
///
/// let known = "[::ffff:192.0.2.1]:8888".parse::<Address>()?;
/// assert_eq!((known.kind(), known.to_string()), (4, "192.0.2.1:8888".to_owned()));
/// let later = Address::new(99, b"somewhere").expect("an unknown kind may say anything");
/// assert_eq!(later.socket_addr(), None);
/// assert!(Address::new(4, b"somewhere").is_err());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Form);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// Kinds 4 and 6; never IPv4-mapped, without flow and scope.
    Ip(SocketAddr),
    /// Kind 16.
    Relayed { relay: NodeId, at: SocketAddr },
    /// Any other kind. The bytes are a copy of their own: a slice would hold the whole message
    /// that they came in for as long as the record is kept.
    Unknown { kind: u8, body: Box<[u8]> },
}

/// Whether the host of a `host:port` is a link-local address with its zone: `[fe80::1%eth0]` (RFC
/// 4007, 11). Which number the zone has only the operating system knows.
pub fn has_zone(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inside.and_then(|inside| inside.split_once('%')).is_some_and(|(ip, zone)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        ip.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_unicast_link_local())
            && (1..=MAX_ZONE).contains(&zone.len())
            && zone.chars().all(is_name)
    })
}

impl Address {
    /// Reads the body of an address of this kind; or what is wrong with it.
    pub fn new(kind: u8, body: &[u8]) -> Result<Self, &'static str> {
        let form = match kind {
            IPV4 => Form::Ip(ip_and_port::<4>(body)?),
            IPV6 => Form::Ip(ip_and_port::<16>(body)?),
            RELAYED => relayed(body)?,
            _ if body.len() > MAX_ADDRESS_BODY => return Err("address above its limit"),
            _ => Form::Unknown { kind, body: body.into() },
        };
        Ok(Self(form))
    }

    /// That of a node that is reached through another one, and where that one is.
    pub fn relayed(relay: NodeId, at: SocketAddr) -> Self {
        let at = SocketAddr::new(at.ip().to_canonical(), at.port());
        Self(Form::Relayed { relay, at })
    }

    /// Through whom it is reached and where that one is, if it is of that kind.
    pub const fn relay(&self) -> Option<(NodeId, SocketAddr)> {
        match self.0 {
            Form::Relayed { relay, at } => Some((relay, at)),
            Form::Ip(_) | Form::Unknown { .. } => None,
        }
    }

    /// What kind of address it is: the number on the wire.
    pub const fn kind(&self) -> u8 {
        match self.0 {
            Form::Ip(SocketAddr::V4(_)) => IPV4,
            Form::Ip(SocketAddr::V6(_)) => IPV6,
            Form::Relayed { .. } => RELAYED,
            Form::Unknown { kind, .. } => kind,
        }
    }

    /// IP address and port, if it is of a kind that is just that.
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self.0 {
            Form::Ip(addr) => Some(addr),
            Form::Relayed { .. } | Form::Unknown { .. } => None,
        }
    }

    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        let here = reader.malformed("address");
        let body = reader.bytes(MAX_ADDRESS_BODY)?;
        Self::new(kind, &body).map_err(|what| Malformed { what, ..here })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.kind());
        match &self.0 {
            Form::Ip(addr) => match addr.ip() {
                IpAddr::V4(ip) => append_ip(out, &ip.octets(), addr.port()),
                IpAddr::V6(ip) => append_ip(out, &ip.octets(), addr.port()),
            },
            Form::Relayed { relay, at } => {
                let mut body = relay.as_bytes().to_vec();
                Self(Form::Ip(*at)).encode(&mut body);
                out.append_blob(&body);
            }
            Form::Unknown { body, .. } => out.append_blob(body),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self(Form::Ip(SocketAddr::new(addr.ip().to_canonical(), addr.port())))
    }
}

/// IP address and port.
impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        text.parse::<SocketAddr>().map(Self::from)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Ip(addr) => addr.fmt(f),
            Form::Relayed { relay, at } => write!(f, "through {relay} at {at}"),
            Form::Unknown { kind, .. } => write!(f, "an address of unknown kind {kind}"),
        }
    }
}

fn ip_and_port<const N: usize>(mut body: &[u8]) -> Result<SocketAddr, &'static str>
where
    IpAddr: From<[u8; N]>,
{
    let octets = body.split_first_chunk::<N>().map(|(octets, _)| *octets);
    let Some(octets) = octets.filter(|_| body.len() == N + 2) else {
        return Err("address of the wrong length");
    };
    body.advance(N);
    let ip = IpAddr::from(octets);
    if ip != ip.to_canonical() {
        return Err("IPv4 address in an IPv6 one");
    }
    Ok(SocketAddr::new(ip, body.get_u16()))
}

/// An id, and an address of one of the other kinds.
fn relayed(body: &[u8]) -> Result<Form, &'static str> {
    let Some((relay, rest)) = body.split_first_chunk::<32>() else {
        return Err("relayed address of the wrong length");
    };
    let [kind @ (IPV4 | IPV6), len, at @ ..] = rest else {
        return Err("relay at an address of unknown kind");
    };
    if usize::from(*len) != at.len() {
        return Err("relayed address of the wrong length");
    }
    let Address(Form::Ip(at)) = Address::new(*kind, at)? else {
        return Err("relay at an address of unknown kind");
    };
    Ok(Form::Relayed { relay: NodeId::from_bytes(*relay), at })
}

fn append_ip(out: &mut Vec<u8>, octets: &[u8], port: u16) {
    out.append_varint(octets.len() as u64 + 2);
    out.append_raw(octets);
    out.put_u16(port);
}

/// Four bytes of address, two of port.
const IPV4: u8 = 4;
/// Sixteen bytes of address, two of port.
const IPV6: u8 = 6;
/// An id, and one of the addresses above.
const RELAYED: u8 = 16;
/// Bytes in the name of an interface: longer than any system allows.
const MAX_ZONE: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bytes::Bytes;

    use super::*;

    fn read(bytes: impl Into<Bytes>) -> Result<Address, Malformed> {
        let mut reader = Reader::new(bytes.into());
        let address = Address::decode(&mut reader)?;
        reader.finish()?;
        Ok(address)
    }

    #[test]
    fn addresses_survive_and_mapped_ones_become_ipv4() {
        for (text, back, len) in [
            ("10.1.2.3:80", "10.1.2.3:80", 8),
            ("[2001:db8::1]:65535", "[2001:db8::1]:65535", 20),
            ("[::ffff:10.1.2.3]:80", "10.1.2.3:80", 8),
        ] {
            let address: Address = text.parse().unwrap();
            let mut bytes = Vec::new();
            address.encode(&mut bytes);
            assert_eq!(bytes.len(), len);
            assert_eq!(read(bytes).unwrap().socket_addr(), Some(back.parse().unwrap()));
        }
    }

    #[test]
    fn a_zone_belongs_to_a_link_local_address_in_brackets() {
        for zoned in ["[fe80::1%eth0]", "[fe80::1%3]", "[fe80::aa:1%br-1.7]"] {
            assert!(has_zone(zoned), "{zoned}");
        }
        let others = ["fe80::1%eth0", "[fe80::1]", "[fe80::1%]", "[2001:db8::1%eth0]", "[x%eth0]"];
        for other in others.into_iter().chain(["[fe80::1%a b]", "[%eth0]", "[10.0.0.1%eth0]"]) {
            assert!(!has_zone(other), "{other}");
        }
    }

    #[test]
    fn a_relayed_address_says_through_whom_and_where_that_one_is() {
        let relay = NodeId::from_bytes([7; 32]);
        for (at, len) in [("20.1.1.1:9", 42), ("[2001:db8::1]:9", 54)] {
            let address = Address::relayed(relay, at.parse().unwrap());
            let mut bytes = Vec::new();
            address.encode(&mut bytes);
            assert_eq!((bytes.len(), address.kind()), (len, 16));
            let back = read(bytes.clone()).unwrap();
            assert_eq!((back.relay(), back.socket_addr()), (address.relay(), None));
            assert_eq!(back.relay(), Some((relay, at.parse().unwrap())));
            bytes[34] = 16;
            assert!(read(bytes.clone()).is_err(), "a relay behind a relay");
            bytes.truncate(20);
            assert!(read(bytes).is_err());
        }
    }

    #[test]
    fn what_this_version_does_not_know_keeps_its_bytes() {
        for body in [&b""[..], b"x", &[0xFF; MAX_ADDRESS_BODY]] {
            for kind in [0, 1, 5, 7, 255] {
                let mut bytes = vec![kind];
                bytes.append_blob(body);
                let address = read(bytes.clone()).unwrap();
                assert_eq!((address.kind(), address.socket_addr()), (kind, None));
                let mut again = Vec::new();
                address.encode(&mut again);
                assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn nonsense_within_a_known_kind_and_a_body_that_is_too_long_are_refused() {
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        let mapped = [&[6, 18][..], &mapped, &[0, 80]].concat();
        let long = [&[5, 0x40, 129][..], &[0; 129]].concat();
        for (bytes, what, offset) in [
            (vec![4, 5, 1, 2, 3, 4, 5], "address of the wrong length", 1),
            (vec![4, 7, 1, 2, 3, 4, 5, 6, 7], "address of the wrong length", 1),
            (vec![6, 6, 1, 2, 3, 4, 5, 6], "address of the wrong length", 1),
            (mapped, "IPv4 address in an IPv6 one", 1),
            (long, "length above its limit", 1),
            (vec![5, 2, 1], "truncated", 2),
        ] {
            assert_eq!(read(bytes).unwrap_err(), Malformed { what, offset });
        }
    }
}
