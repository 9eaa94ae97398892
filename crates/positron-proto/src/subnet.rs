//! IP addresses that begin with the same bits.

use core::{fmt, str::FromStr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One IP address, or all that begin with the same bits (RFC 4632, RFC 4291 2.3): `203.0.113.7`,
/// `203.0.113.0/24`, `2001:db8::/32`. An IPv4 address is the same whether it is written as one or
/// mapped into IPv6.
///
/// ```
/// use positron_proto::subnet::Subnet;
///
/// let banned: Subnet = "203.0.113.0/24".parse().unwrap();
/// assert!(banned.contains("::ffff:203.0.113.7".parse().unwrap()));
/// assert!(!banned.contains("203.0.114.7".parse().unwrap()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Subnet`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotASubnet {
    /// What stands before the slash, or all of it, is no IP address.
    #[error("'{0}' is not an IP address")]
    Address(String),
    /// What stands behind the slash is no length that such an address can have.
    #[error("the length behind the slash must be a number from 0 to {most}, not '{found}'")]
    Prefix {
        /// What stands there.
        found: String,
        /// The most that there may be.
        most: u8,
    },
    /// The address says more than the length lets it.
    #[error("the address has bits beyond its length: is {0} meant?")]
    HostBits(Subnet),
}

impl Subnet {
    /// All addresses whose first `prefix` bits are those of `first`; `None` if there are fewer
    /// bits, or others are set.
    pub fn new(first: IpAddr, prefix: u8) -> Option<Self> {
        let net = Self::cut(first, prefix)?;
        (net.first == first).then_some(net)
    }

    /// All addresses whose first `prefix` bits are those of `ip`; all bits, if there are fewer.
    pub(crate) fn around(ip: IpAddr, prefix: u8) -> Self {
        Self::cut(ip.to_canonical(), prefix).unwrap_or_else(|| ip.into())
    }

    fn cut(ip: IpAddr, prefix: u8) -> Option<Self> {
        let first = match ip {
            IpAddr::V4(v4) if u32::from(prefix) <= Ipv4Addr::BITS => {
                let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - u32::from(prefix)).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) if u32::from(prefix) <= Ipv6Addr::BITS => {
                let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - u32::from(prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
            _ => return None,
        };
        Some(Self { first, prefix })
    }

    /// Whether this address is among them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        Self::cut(ip, self.prefix).is_some_and(|net| net.first == self.first)
    }

    /// The first address, and how many bits all have in common.
    pub const fn parts(&self) -> (IpAddr, u8) {
        (self.first, self.prefix)
    }

    const fn is_one(&self) -> bool {
        self.prefix == all_bits(&self.first)
    }
}

const fn all_bits(ip: &IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// Bits in front of an IPv4 address that is mapped into IPv6.
const MAPPED: u8 = 96;

impl From<IpAddr> for Subnet {
    fn from(ip: IpAddr) -> Self {
        let first = ip.to_canonical();
        Self { first, prefix: all_bits(&first) }
    }
}

impl FromStr for Subnet {
    type Err = NotASubnet;

    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr =
            address.parse().map_err(|_| NotASubnet::Address(address.escape_debug().to_string()))?;
        let Some(length) = length else { return Ok(ip.into()) };
        let most = all_bits(&ip);
        let is_number = !length.is_empty() && length.bytes().all(|digit| digit.is_ascii_digit());
        let prefix = length.parse().ok().filter(|prefix: &u8| is_number && *prefix <= most);
        let prefix = prefix.ok_or_else(|| {
            let found = length.escape_debug().to_string();
            NotASubnet::Prefix { found, most }
        })?;
        let (ip, prefix) = match ip.to_canonical() {
            v4 @ IpAddr::V4(_) if ip.is_ipv6() && prefix >= MAPPED => (v4, prefix - MAPPED),
            IpAddr::V4(_) if ip.is_ipv6() => (ip, prefix),
            ip => (ip, prefix),
        };
        match Self::cut(ip, prefix) {
            Some(net) if net.first == ip => Ok(net),
            Some(net) => Err(NotASubnet::HostBits(net)),
            None => Err(NotASubnet::Prefix { found: length.to_owned(), most }),
        }
    }
}

/// An address alone has no length behind it.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.prefix)
        }
    }
}

impl serde::Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Subnet {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_reads_as_it_is_written_and_a_mapped_address_is_one_of_ipv4() {
        for (text, written) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:DB8::1", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ] {
            assert_eq!(net(text).to_string(), written, "{text}");
            assert_eq!(net(written), net(text), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_wrong_with_it() {
        for (text, why) in [
            ("", "'' is not an IP address"),
            ("example.org", "'example.org' is not an IP address"),
            ("1.2.3.4:80", "'1.2.3.4:80' is not an IP address"),
            ("1.2.3.0/33", "a number from 0 to 32, not '33'"),
            ("1.2.3.0/", "a number from 0 to 32, not ''"),
            ("1.2.3.0/+8", "a number from 0 to 32, not '+8'"),
            ("::/129", "a number from 0 to 128, not '129'"),
            ("1.2.3.4/24", "is 1.2.3.0/24 meant?"),
            ("::ffff:1.2.3.4/120", "is 1.2.3.0/24 meant?"),
            ("2001:db8::1/32", "is 2001:db8::/32 meant?"),
            ("\u{1b}[31m", "is not an IP address"),
        ] {
            let error = text.parse::<Subnet>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains('\u{1b}'), "{error:?}");
        }
    }

    #[test]
    fn it_contains_exactly_those_that_begin_with_its_bits() {
        for (text, inside, outside) in [
            ("203.0.113.0/25", "203.0.113.127", "203.0.113.128"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "ffff::1", "1.2.3.4"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("203.0.113.0/24", "::ffff:203.0.113.9", "::203.0.113.9"),
            ("::1", "::1", "::2"),
        ] {
            assert!(net(text).contains(inside.parse().unwrap()), "{text}");
            assert!(!net(text).contains(outside.parse().unwrap()), "{text}");
        }
    }
}
