//! What peers keep across restarts, as rows: the address book.

use std::net::SocketAddr;

use bytes::BufMut as _;

use super::KnownPeer;
use crate::{
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table},
    time::WallTime,
    wire::{Malformed, Reader, Writer as _, record::PeerRecord},
};

/// Node: when it was last seen, dials that failed since, where it was dialled, where that proved
/// that strangers reach it, and its record as it travels.
pub const BOOK: Table = Table { name: "peers_book", rule: Rule::Replace, essential: false };

/// A peer of the address book.
pub fn keep(peer: &KnownPeer) -> Change {
    let mut value = Vec::with_capacity(512);
    value.put_u64(peer.last_seen.as_unix_micros());
    value.put_u32(peer.failures);
    // As text, which names the interface of a link-local address too.
    for addr in [peer.dialled, peer.proven] {
        value.append_blob(addr.map(|addr| addr.to_string()).unwrap_or_default().as_bytes());
    }
    peer.record.claim().encode(&mut value);
    Change::keep(&BOOK, key(&peer.record.content().node_id()), value)
}

/// It left the address book.
pub fn forget(peer: &NodeId) -> Change {
    Change::forget(&BOOK, key(peer))
}

impl Remembered for Vec<KnownPeer> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&BOOK]
    }

    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        let mut reader = Reader::new(row.value);
        let last_seen = WallTime::from_unix_micros(reader.u64()?);
        let failures = reader.u32()?;
        let (dialled, proven) = (read_address(&mut reader)?, read_address(&mut reader)?);
        let record = Signed::<PeerRecord>::decode(&mut reader)?;
        if row.key != key(&record.content().node_id()) {
            return Err(reader.malformed("record of another key"));
        }
        reader.finish()?;
        let record = Verified::from_own_storage(record, network);
        self.push(KnownPeer { record, dialled, proven, last_seen, failures });
        Ok(())
    }
}

fn read_address(reader: &mut Reader) -> Result<Option<SocketAddr>, Malformed> {
    let no_address = reader.malformed("address that was dialled");
    match &reader.bytes(MAX_DIALLED)?[..] {
        [] => Ok(None),
        text => {
            let text = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            text.map(Some).ok_or(no_address)
        }
    }
}

fn key(peer: &NodeId) -> Vec<u8> {
    peer.as_bytes().to_vec()
}

/// Bytes of an address as text: brackets, 39 of IPv6, a scope of 10 digits and a port need 58.
const MAX_DIALLED: usize = 64;
