//! What trust keeps across restarts, as rows: standings, and the audit trail.

use std::net::IpAddr;

use bytes::BufMut as _;

use super::{AddressBan, RememberedTrust, TrustEffect, TrustEvent};
use crate::{
    id::{NetworkId, NodeId},
    limits::{MAX_BAN_WORDS, MAX_TRUST_EVENTS},
    misbehavior::Observation,
    standings::PeerTrust,
    storage::{Change, Remembered, Row, Rule, Table, Urgency},
    subnet::Subnet,
    time::WallTime,
    wire::{Malformed, Reader, Writer as _},
};

/// Peer: score, when it was last observed, until when it is banned, and the application's words if
/// it ordered that.
pub const STANDINGS: Table =
    Table { name: "trust_standings", rule: Rule::Replace, essential: false };
/// The audit trail. A line is its own key: one thing that happened is one line, however often it
/// is told.
pub const EVENTS: Table =
    Table { name: "trust_events", rule: Rule::Log { newest: MAX_TRUST_EVENTS }, essential: false };

/// Subnet: until when it is banned, and the application's words. The subnet is its length in bits
/// and its first address, of 4 or 16 bytes.
pub const ADDRESS_BANS: Table =
    Table { name: "trust_address_bans", rule: Rule::Replace, essential: false };

/// What an effect changes of what is kept.
pub fn of(effect: &TrustEffect) -> Option<Change> {
    Some(match effect {
        TrustEffect::Remember(known) => keep(known),
        TrustEffect::Forget(peer) => forget(peer),
        TrustEffect::Record(event) => record(event),
        TrustEffect::BanAddress(ban) => keep_address_ban(ban),
        TrustEffect::UnbanAddress(addresses) => forget_address_ban(*addresses),
        TrustEffect::Refuse(_) | TrustEffect::Ban { .. } => return None,
    })
}

/// A ban of addresses must survive a loss of power.
pub fn keep_address_ban(ban: &AddressBan) -> Change {
    let mut value = Vec::with_capacity(16);
    value.put_u64(ban.until.as_unix_micros());
    value.append_blob(ban.why.as_bytes());
    Change::keep(&ADDRESS_BANS, subnet_key(ban.addresses), value).at_least(Urgency::Critical)
}

/// Nobody is refused for being there any more.
pub fn forget_address_ban(addresses: Subnet) -> Change {
    Change::forget(&ADDRESS_BANS, subnet_key(addresses))
}

fn subnet_key(addresses: Subnet) -> Vec<u8> {
    let (first, prefix) = addresses.parts();
    let mut key = vec![prefix];
    match first {
        IpAddr::V4(v4) => key.extend(v4.octets()),
        IpAddr::V6(v6) => key.extend(v6.octets()),
    }
    key
}

impl Remembered for Vec<AddressBan> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&ADDRESS_BANS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
        let none = key.malformed("subnet");
        let prefix = key.u8()?;
        let first: IpAddr = match key.remaining() {
            4 => key.array::<4>()?.into(),
            _ => key.array::<16>()?.into(),
        };
        key.finish()?;
        let addresses = Subnet::new(first, prefix).ok_or(none)?;
        let until = WallTime::from_unix_micros(value.u64()?);
        let no_words = value.malformed("words of a ban");
        let words = value.bytes(MAX_BAN_WORDS)?;
        let why = core::str::from_utf8(&words).map_err(|_| no_words)?.into();
        value.finish()?;
        self.push(AddressBan { addresses, until, why });
        Ok(())
    }
}

/// What we make of a peer. With a ban it must survive a loss of power.
pub fn keep(known: &RememberedTrust) -> Change {
    let RememberedTrust { peer, standing, at, ordered } = known;
    let mut value = Vec::with_capacity(24);
    value.put_f64(number(standing.score));
    value.put_u64(at.as_unix_micros());
    if let Some(until) = standing.banned_until {
        value.put_u64(until.as_unix_micros());
        if let Some(words) = ordered {
            value.append_blob(words.as_bytes());
        }
    }
    let change = Change::keep(&STANDINGS, peer.as_bytes().to_vec(), value);
    match standing.banned_until {
        Some(_) => change.at_least(Urgency::Critical),
        None => change,
    }
}

/// A stranger again.
pub fn forget(peer: &NodeId) -> Change {
    Change::forget(&STANDINGS, peer.as_bytes().to_vec())
}

/// A line of the audit trail.
pub fn record(event: &TrustEvent) -> Change {
    let mut line = Vec::with_capacity(96);
    line.put_u64(event.at.as_unix_micros());
    line.append_raw(event.peer.as_bytes());
    line.put_f64(number(event.change));
    line.put_f64(number(event.score));
    line.append_raw(event.observation.name().as_bytes());
    Change::keep(&EVENTS, line, Vec::new())
}

/// The line of the audit trail that stands in a row.
pub fn event(row: Row) -> Result<TrustEvent, Malformed> {
    let mut line = Reader::new(row.key);
    let at = WallTime::from_unix_micros(line.u64()?);
    let peer = NodeId::from_bytes(line.array()?);
    let change = f64::from_bits(line.u64()?);
    let score = f64::from_bits(line.u64()?);
    let unknown = line.malformed("observation");
    let observation = Observation::named(&line.rest()).ok_or(unknown)?;
    Ok(TrustEvent { peer, at, observation, change, score })
}

impl Remembered for Vec<RememberedTrust> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&STANDINGS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
        let peer = NodeId::from_bytes(key.array()?);
        key.finish()?;
        let score = f64::from_bits(value.u64()?);
        let at = WallTime::from_unix_micros(value.u64()?);
        let banned_until =
            if value.is_empty() { None } else { Some(WallTime::from_unix_micros(value.u64()?)) };
        let no_words = value.malformed("words of a ban");
        let ordered = if value.is_empty() {
            None
        } else {
            let words = value.bytes(MAX_BAN_WORDS)?;
            Some(core::str::from_utf8(&words).map_err(|_| no_words)?.into())
        };
        value.finish()?;
        let standing = PeerTrust { score, banned_until };
        self.push(RememberedTrust { peer, standing, at, ordered });
        Ok(())
    }
}

impl Remembered for Vec<TrustEvent> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&EVENTS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        self.push(event(row)?);
        Ok(())
    }
}

/// What is not a number is worth nothing.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::misbehavior::Misbehavior;

    #[test]
    fn every_line_of_the_audit_trail_reads_as_it_was_written() {
        let wrong = Misbehavior::ALL.map(Observation::Misbehaved);
        use Observation as O;
        let others = [O::ValidMessage, O::Answered, O::TimedOut, O::Reported];
        for observation in others.into_iter().chain(wrong) {
            let peer = NodeId::from_bytes([3; 32]);
            let at = WallTime::from_unix_micros(7);
            let written = TrustEvent { peer, at, observation, change: -0.25, score: 0.5 };
            let Change { table, key, .. } = record(&written);
            let row = Row { table, key, value: Default::default() };
            assert_eq!(event(row.clone()), Ok(written));
            event(Row { key: row.key.slice(1..), ..row }).unwrap_err();
        }
    }

    #[test]
    fn a_ban_of_addresses_reads_as_it_was_written_and_must_survive_a_loss_of_power() {
        let network = NetworkId::from_name("test");
        for addresses in ["203.0.113.0/24", "0.0.0.0/0", "2001:db8::/32", "::1"] {
            let addresses = addresses.parse().unwrap();
            let until = WallTime::from_unix_micros(9);
            let written = AddressBan { addresses, until, why: "scans us".into() };
            let change = keep_address_ban(&written);
            assert_eq!(change.urgency, Urgency::Critical);
            assert_eq!(forget_address_ban(addresses).key, change.key);
            let value = change.value.unwrap().to_bytes();
            let row = Row { table: change.table, key: change.key, value };
            let mut back = Vec::<AddressBan>::new();
            let longer = [&row.key[..], &[0]].concat().into();
            back.load(Row { key: longer, ..row.clone() }, &network).unwrap_err();
            back.load(row, &network).unwrap();
            assert_eq!(back, [written]);
        }
    }

    #[test]
    fn a_ban_must_survive_a_loss_of_power_and_a_score_need_not() {
        let peer = NodeId::from_bytes([3; 32]);
        let at = WallTime::from_unix_micros(7);
        let until = Some(WallTime::from_unix_micros(9));
        let words = Some("it sold us a horse".into());
        for (banned_until, ordered) in [(None, None), (until, None), (until, words)] {
            let standing = PeerTrust { score: 0.25, banned_until };
            let known = RememberedTrust { peer, standing, at, ordered };
            let change = keep(&known);
            assert_eq!(change.urgency == Urgency::Critical, banned_until.is_some());
            let value = change.value.unwrap().to_bytes();
            let mut back = Vec::<RememberedTrust>::new();
            let row = Row { table: change.table, key: change.key, value };
            let network = NetworkId::from_name("test");
            let longer = [&row.value[..], &[1]].concat().into();
            back.load(Row { value: longer, ..row.clone() }, &network).unwrap_err();
            back.load(row, &network).unwrap();
            assert_eq!(back, [known]);
        }
    }
}
