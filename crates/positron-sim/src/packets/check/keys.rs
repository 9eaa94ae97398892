//! Keys change only after an acknowledgment, and go only when nothing of theirs is under way
//! (RFC 9001, 6).

use std::collections::BTreeMap;

use positron_proto::time::{Duration, Instant};

use super::{Promise, Wrong};
use crate::packets::header_view::PacketHeaderView;

/// The keys of all connections of one life of an end, by what their headers show. Each is named by
/// the id that this end chose for it.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeMap<u32, Half>);

#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// Changes of keys before what it sealed last.
    sealing: u64,
    /// The latest phase of what it was handed, and since when.
    heard: Option<(u64, Instant)>,
    /// The latest phase of its own that the other end had heard when it sealed something that
    /// arrived here: no acknowledgment can be of a later one.
    confirmed: Option<u64>,
}

/// What the end that sealed a packet knew of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Changes of keys before this packet.
    phase: u64,
    /// The latest phase of the other end that it had heard.
    heard: Option<u64>,
}

impl Keys {
    /// The end sealed a packet on the connection `here`; `None` if it never came to one.
    pub(crate) fn sealed(
        &mut self,
        here: Option<u32>,
        packet: &PacketHeaderView,
    ) -> Result<Seal, Wrong> {
        let Some(here) = here else {
            return Ok(Seal { phase: u64::from(packet.has_odd_phase()), heard: None });
        };
        let half = self.0.entry(here).or_default();
        let heard = half.heard.map(|(phase, _)| phase);
        if packet.has_odd_phase() != (half.sealing % 2 == 1) {
            let before = half.sealing;
            half.sealing += 1;
            let follows = heard >= Some(half.sealing);
            // RFC 9001, 6.1 and 6.5.
            let may_begin = heard >= Some(before) && half.confirmed >= Some(before);
            if !follows && !may_begin {
                return Err(Wrong::new(
                    Promise::Keys,
                    format!("phase {} begins, but of {before}: {half:?}", half.sealing),
                ));
            }
        }
        Ok(Seal { phase: half.sealing, heard })
    }

    /// The end is handed a packet on the connection `here`, as it was sealed: whether it must have
    /// its key. A key that was replaced is kept for `grace` at least, from the first packet of the
    /// other end under the next one.
    pub(crate) fn handle_handover(
        &mut self,
        now: Instant,
        here: u32,
        seal: Seal,
        grace: Duration,
    ) -> bool {
        let half = self.0.entry(here).or_default();
        half.confirmed = half.confirmed.max(seal.heard);
        let (heard, since) =
            half.heard.filter(|heard| heard.0 >= seal.phase).unwrap_or((seal.phase, now));
        half.heard = Some((heard, since));
        let present = heard.max(half.sealing);
        let is_kept = heard < present || now < since + grace;
        seal.phase >= present || (seal.phase + 1 == present && is_kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: PacketHeaderView =
        PacketHeaderView { kind: 7, flags: 4, number: 1, ack: 0, connection: 9 };
    const ODD: PacketHeaderView = PacketHeaderView { flags: 4 | 128, ..EVEN };
    const GRACE: Duration = Duration::from_millis(30);
    const ME: u32 = 1;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    /// A packet of the other end in this phase, which had heard `heard` of ours.
    fn hear(keys: &mut Keys, millis: u64, phase: u64, heard: Option<u64>) -> bool {
        keys.handle_handover(at(millis), ME, Seal { phase, heard }, GRACE)
    }

    #[test]
    fn who_changes_keys_before_an_acknowledgment_can_have_come_is_found() {
        let mut keys = Keys::default();
        assert!(keys.sealed(Some(ME), &EVEN).is_ok());
        assert!(keys.sealed(Some(ME), &ODD).is_err());
        let mut keys = Keys::default();
        hear(&mut keys, 0, 0, None);
        assert!(keys.sealed(Some(ME), &ODD).is_err(), "it cannot have heard of us");
        let mut keys = Keys::default();
        hear(&mut keys, 0, 0, Some(0));
        assert!(keys.sealed(Some(ME), &ODD).is_ok());
        assert!(keys.sealed(Some(ME), &EVEN).is_err(), "twice in a row");
    }

    #[test]
    fn who_follows_the_other_end_needs_no_acknowledgment() {
        let mut keys = Keys::default();
        hear(&mut keys, 0, 1, None);
        assert_eq!(keys.sealed(Some(ME), &ODD), Ok(Seal { phase: 1, heard: Some(1) }));
        assert!(keys.sealed(Some(ME), &EVEN).is_err());
    }

    #[test]
    fn the_key_before_is_kept_for_its_grace_and_the_one_before_that_is_not() {
        let mut keys = Keys::default();
        assert!(hear(&mut keys, 0, 0, Some(0)));
        assert!(hear(&mut keys, 10, 1, Some(0)));
        assert!(hear(&mut keys, 39, 0, None));
        assert!(!hear(&mut keys, 40, 0, None));
        assert!(hear(&mut keys, 40, 2, Some(0)));
        assert!(!hear(&mut keys, 40, 0, None));
        assert!(hear(&mut keys, 40, 1, None));
    }

    #[test]
    fn who_begins_a_phase_keeps_the_key_before_until_the_other_end_follows() {
        let mut keys = Keys::default();
        hear(&mut keys, 0, 0, Some(0));
        assert!(keys.sealed(Some(ME), &ODD).is_ok());
        assert!(hear(&mut keys, 5_000, 0, Some(0)));
        assert!(hear(&mut keys, 6_000, 1, Some(1)));
        assert!(!hear(&mut keys, 7_000, 0, Some(0)));
    }
}
