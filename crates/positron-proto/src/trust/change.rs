//! What trust keeps across restarts, as rows: standings, and the audit trail.

use bytes::BufMut as _;

use super::{RememberedTrust, TrustEvent};
use crate::{
    id::{NetworkId, NodeId},
    limits::{MAX_BAN_WORDS, MAX_TRUST_EVENTS},
    misbehavior::Observation,
    standings::PeerTrust,
    storage::{Change, Remembered, Row, Rule, Table, Urgency},
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
        &[&STANDINGS, &EVENTS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        if *row.table == EVENTS {
            return event(row).map(drop);
        }
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
