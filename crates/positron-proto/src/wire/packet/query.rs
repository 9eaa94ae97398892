//! What packets of queries with a ticket carry `[PROTOCOL 9.11]`.

use super::header::{TAG_LEN, wrong};
use crate::wire::codec::{Malformed, Writer as _};

/// The payload of a QUERY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryPacket<'a> {
    /// The ticket, as its responder wrote it: a nonce.
    pub nonce: [u8; 8],
    /// When the responder made the ticket, in seconds of its own clock.
    pub issued: u32,
    /// Whose ticket it is.
    pub key: [u8; 32],
    /// The static X25519 key of its links.
    pub noise_static: [u8; 32],
    /// The sealed query, with its tag.
    pub sealed: &'a [u8],
}

impl<'a> QueryPacket<'a> {
    /// Bytes in front of what is sealed.
    pub const CLEAR: usize = 8 + 4 + 32 + 32;

    /// Reads what follows the header of a QUERY. Offsets count from there.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let truncated = || wrong("truncated", payload.len());
        let (nonce, rest) = payload.split_first_chunk().ok_or_else(truncated)?;
        let (issued, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
        let (key, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
        let (noise_static, sealed) = rest.split_first_chunk().ok_or_else(truncated)?;
        if sealed.len() < TAG_LEN {
            return Err(truncated());
        }
        let issued = u32::from_be_bytes(*issued);
        Ok(Self { nonce: *nonce, issued, key: *key, noise_static: *noise_static, sealed })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.append_raw(&self.nonce);
        out.append_raw(&self.issued.to_be_bytes());
        out.append_raw(&self.key);
        out.append_raw(&self.noise_static);
        out.append_raw(self.sealed);
    }
}

/// The payload of an ANSWER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryAnswer<'a> {
    /// What makes the key of this answer one that sealed nothing before.
    pub salt: [u8; 16],
    /// The sealed answer, with its tag.
    pub sealed: &'a [u8],
}

impl<'a> QueryAnswer<'a> {
    /// Bytes in front of what is sealed.
    pub const CLEAR: usize = 16;

    /// Reads what follows the header of an ANSWER. Offsets count from there.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let truncated = || wrong("truncated", payload.len());
        let (salt, sealed) = payload.split_first_chunk().ok_or_else(truncated)?;
        if sealed.len() < TAG_LEN {
            return Err(truncated());
        }
        Ok(Self { salt: *salt, sealed })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.append_raw(&self.salt);
        out.append_raw(self.sealed);
    }
}
