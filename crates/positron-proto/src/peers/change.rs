//! What peers keep across restarts, as rows: the address book.

use bytes::BufMut as _;

use super::KnownPeer;
use crate::{
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table},
    time::WallTime,
    wire::{Malformed, Reader, Writer as _, record::PeerRecord},
};

/// Node: when it was last seen, dials that failed since, where it was dialled, and its record as
/// it travels.
pub const BOOK: Table = Table { name: "peers_book", rule: Rule::Replace, essential: false };

/// A peer of the address book.
pub fn keep(peer: &KnownPeer) -> Change {
    let mut value = Vec::with_capacity(512);
    value.put_u64(peer.last_seen.as_unix_micros());
    value.put_u32(peer.failures);
    // As text, which names the interface of a link-local address too.
    let dialled = peer.dialled.map(|addr| addr.to_string()).unwrap_or_default();
    value.append_blob(dialled.as_bytes());
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
        let no_address = reader.malformed("address that was dialled");
        let dialled = match &reader.bytes(MAX_DIALLED)?[..] {
            [] => None,
            text => {
                let text = core::str::from_utf8(text).map_err(|_| no_address)?;
                Some(text.parse().map_err(|_| no_address)?)
            }
        };
        let record = Signed::<PeerRecord>::decode(&mut reader)?;
        if row.key != key(&record.content().node_id()) {
            return Err(reader.malformed("record of another key"));
        }
        reader.finish()?;
        let record = Verified::from_own_storage(record, network);
        self.push(KnownPeer { record, dialled, last_seen, failures });
        Ok(())
    }
}

fn key(peer: &NodeId) -> Vec<u8> {
    peer.as_bytes().to_vec()
}

/// Bytes of an address as text: brackets, 39 of IPv6, a scope of 10 digits and a port need 58.
const MAX_DIALLED: usize = 64;
