//! Names of things: nodes, messages, networks, links.

use core::{fmt, str::FromStr};

use crate::crypto::sha256;

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps the 32 bytes of a hash.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first 16 hex characters: for people to read, never for authentication.
            pub fn short(&self) -> String {
                hex(&self.0[..8])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                unhex(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_id! {
    /// A node: SHA-256 of its raw Ed25519 public key `[PROTOCOL 2]`. 64 hex characters.
    NodeId
}

hash_id! {
    /// A message: SHA-256 of exactly the bytes that its sender signed `[PROTOCOL 3.1]`. 64 hex
    /// characters.
    MessageId
}

hash_id! {
    /// A network: nodes of two different ones refuse each other and cannot replay each other's
    /// messages.
    NetworkId
}

impl NetworkId {
    /// The name of the network of whoever names no other.
    pub const DEFAULT: &str = "positron";

    /// The network called `name`.
    pub fn from_name(name: &str) -> Self {
        Self(sha256(&[b"positron-net/network/1", name.as_bytes()]))
    }
}

/// One byte stream or datagram connection to one remote address, unique within the life of a node.
///
/// The core names the links it dials and the datagram connections it accepts, the driver the
/// streams it accepted: the two top bits keep them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u64);

impl LinkId {
    const OF_DRIVER: u64 = 1 << 63;
    const OF_RELAY: u64 = 1 << 62;
    const NUMBER: u64 = Self::OF_RELAY - 1;

    /// The `n`th link that the core names: it dialled it, or its endpoint of datagrams accepted it.
    pub const fn of_core(n: u64) -> Self {
        Self(n & Self::NUMBER)
    }

    /// The `n`th link that the driver names: it accepted a stream.
    pub const fn of_driver(n: u64) -> Self {
        Self(n & Self::NUMBER | Self::OF_DRIVER)
    }

    /// The `n`th link that a relay brought.
    pub(crate) const fn of_relay(n: u64) -> Self {
        Self(n & Self::NUMBER | Self::OF_RELAY)
    }

    /// The `n` of whoever named it.
    pub const fn number(self) -> u64 {
        self.0 & Self::NUMBER
    }

    /// Whether the driver named it, because it accepted it.
    pub const fn is_of_driver(self) -> bool {
        self.0 & Self::OF_DRIVER != 0
    }
}

/// Names what a caller asked for, so that its completion can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The text is not 64 hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 hexadecimal characters")]
pub struct NotAnId;

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn unhex(text: &str) -> Result<[u8; 32], NotAnId> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.ok_or(NotAnId)?;
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return Err(NotAnId);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair[0] << 4 | pair[1]).map_err(|_| NotAnId)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_refuses_other_text() {
        let id = NodeId::from_bytes(core::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap()));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), id.to_string()[..16]);
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65)] {
            assert_eq!(wrong.parse::<NodeId>(), Err(NotAnId));
        }
    }

    #[test]
    fn dialled_and_accepted_links_never_share_a_name() {
        assert!(LinkId::of_driver(3).is_of_driver());
        assert!(!LinkId::of_core(3).is_of_driver());
        assert_ne!(LinkId::of_core(3), LinkId::of_driver(3));
        assert_eq!(LinkId::of_driver(3).number(), LinkId::of_core(3).number());
    }
}
