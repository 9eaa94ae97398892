//! What peers keep across restarts, as rows: the address book, and who has a slot of their own.

use std::net::SocketAddr;

use bytes::BufMut as _;

use super::{KnownPeer, Reservation};
use crate::{
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table, Urgency},
    time::{Duration, WallTime},
    wire::{Malformed, Reader, Writer as _, record::PeerRecord},
};

/// Node: when it was last seen, dials that failed since, where it was dialled, where that proved
/// that strangers reach it, its record as it travels, and for how many microseconds it was linked
/// by our choice, which the rows of earlier versions lack.
pub const BOOK: Table = Table { name: "peers_book", rule: Rule::Replace, essential: false };

/// Node: where the application says that the peer is for which it keeps a slot.
pub const RESERVED: Table = Table { name: "peers_reserved", rule: Rule::Replace, essential: false };

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
    value.put_u64(u64::try_from(peer.chosen_for.as_micros()).unwrap_or(u64::MAX));
    Change::keep(&BOOK, key(&peer.record.content().node_id()), value)
}

/// It left the address book.
pub fn forget(peer: &NodeId) -> Change {
    Change::forget(&BOOK, key(peer))
}

/// A slot is kept for a peer. The operator's word must survive a loss of power.
pub fn keep_slot(slot: &Reservation) -> Change {
    let at = slot.at.map(|addr| addr.to_string()).unwrap_or_default();
    let mut value = Vec::with_capacity(MAX_DIALLED + 4);
    value.append_blob(at.as_bytes());
    Change::keep(&RESERVED, key(&slot.peer), value).at_least(Urgency::Critical)
}

/// None is kept for it any more.
pub fn forget_slot(peer: &NodeId) -> Change {
    Change::forget(&RESERVED, key(peer)).at_least(Urgency::Critical)
}

impl Remembered for Vec<Reservation> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&RESERVED]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
        let peer = NodeId::from_bytes(key.array()?);
        key.finish()?;
        let at = address(&mut value)?;
        value.finish()?;
        self.push(Reservation { peer, at });
        Ok(())
    }
}

impl Remembered for Vec<KnownPeer> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&BOOK]
    }

    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        let mut reader = Reader::new(row.value);
        let last_seen = WallTime::from_unix_micros(reader.u64()?);
        let failures = reader.u32()?;
        let (dialled, proven) = (address(&mut reader)?, address(&mut reader)?);
        let record = Signed::<PeerRecord>::decode(&mut reader)?;
        if row.key != key(&record.content().node_id()) {
            return Err(reader.malformed("record of another key"));
        }
        let chosen_for = if reader.remaining() == 0 { 0 } else { reader.u64()? };
        let chosen_for = Duration::from_micros(chosen_for);
        reader.finish()?;
        let record = Verified::from_own_storage(record, network);
        self.push(KnownPeer { record, dialled, proven, last_seen, failures, chosen_for });
        Ok(())
    }
}

/// An address as text, or none.
fn address(reader: &mut Reader) -> Result<Option<SocketAddr>, Malformed> {
    let no_address = reader.malformed("address of a peer");
    match &reader.bytes(MAX_DIALLED)?[..] {
        [] => Ok(None),
        text => {
            let text = core::str::from_utf8(text).map_err(|_| no_address)?;
            Ok(Some(text.parse().map_err(|_| no_address)?))
        }
    }
}

fn key(peer: &NodeId) -> Vec<u8> {
    peer.as_bytes().to_vec()
}

/// Bytes of an address as text: brackets, 39 of IPv6, a scope of 10 digits and a port need 58.
const MAX_DIALLED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_reads_as_it_was_written_and_must_survive_a_loss_of_power() {
        let network = NetworkId::from_name("test");
        let peer = NodeId::from_bytes([3; 32]);
        let somewhere = ["192.0.2.1:8888", "[fe80::1%3]:1"].map(|at| at.parse().ok());
        for at in somewhere.into_iter().chain([None]) {
            let slot = Reservation { peer, at };
            let Change { table, key, value, urgency } = keep_slot(&slot);
            assert_eq!((table, urgency), (&RESERVED, Urgency::Critical));
            let row = Row { table, key, value: value.unwrap().to_bytes() };
            let mut back = Vec::<Reservation>::new();
            let longer = [&row.value[..], &[1]].concat().into();
            back.load(Row { value: longer, ..row.clone() }, &network).unwrap_err();
            back.load(Row { key: row.key.slice(1..), ..row.clone() }, &network).unwrap_err();
            back.load(row.clone(), &network).unwrap();
            assert_eq!(back, [slot]);
            assert_eq!((forget_slot(&peer).key, forget_slot(&peer).value), (row.key, None));
        }
    }
}
