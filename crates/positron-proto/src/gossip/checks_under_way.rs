//! Claims whose signature is being checked.

use std::collections::BTreeMap;

use super::{
    SHAPES,
    message_key::{MessageKey, same_claim},
};
use crate::{
    id::NodeId,
    identity::Signed,
    journey::CameFrom,
    limits::{MAX_HOLDERS, MAX_PARKED, MAX_PARKED_BYTES_PER_PEER, MAX_PARKED_PER_PEER},
    time::Instant,
    wire::message::AppMessage,
};

/// Claims under verification, each distinct one once, however many peers bring it.
///
/// What is remembered is the claim and not its number, so a forged copy stands beside the good one
/// and never in its way (the lesson of Bitcoin's CVE-2024-52921).
#[derive(Debug, Default)]
pub(super) struct ChecksUnderWay {
    under_way: BTreeMap<MessageKey, Vec<Check>>,
    load: BTreeMap<NodeId, Load>,
    count: usize,
}

/// One claim under verification.
#[derive(Debug)]
pub(super) struct Check {
    claim: Signed<AppMessage>,
    /// When it was heard of first.
    pub(super) heard: Instant,
    /// Whom we have it from, the first one first.
    pub(super) from: Vec<NodeId>,
    /// The most hops that any of them left it.
    pub(super) ttl: u8,
    /// How it came.
    pub(super) arrival: CameFrom,
}

/// What one peer has under verification.
#[derive(Debug, Default)]
struct Load {
    claims: usize,
    bytes: usize,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddedCheck {
    /// It is to be checked.
    New,
    /// It is being checked already.
    UnderWay,
    /// Its peer, or all peers together, have too much under verification.
    NoRoom,
}

impl ChecksUnderWay {
    pub(super) fn add(
        &mut self,
        heard: Instant,
        item: MessageKey,
        from: NodeId,
        ttl: u8,
        arrival: CameFrom,
        claim: &Signed<AppMessage>,
    ) -> AddedCheck {
        let same = self.under_way.get_mut(&item);
        if let Some(check) =
            same.and_then(|all| all.iter_mut().find(|check| same_claim(&check.claim, claim)))
        {
            let hops = (check.ttl & !SHAPES).max(ttl & !SHAPES);
            check.ttl = hops | (check.ttl | ttl) & SHAPES;
            if check.from.len() < MAX_HOLDERS && !check.from.contains(&from) {
                check.from.push(from);
            }
            return AddedCheck::UnderWay;
        }
        let bytes = claim.content().payload.len();
        let full = self.load.get(&from).is_some_and(|load| {
            load.claims >= MAX_PARKED_PER_PEER || load.bytes + bytes > MAX_PARKED_BYTES_PER_PEER
        });
        if full || self.count >= MAX_PARKED {
            return AddedCheck::NoRoom;
        }
        let load = self.load.entry(from).or_default();
        load.claims += 1;
        load.bytes += bytes;
        self.count += 1;
        let check = Check { claim: claim.clone(), heard, from: vec![from], ttl, arrival };
        self.under_way.entry(item).or_default().push(check);
        AddedCheck::New
    }

    /// Whether a claim of `sender` is under verification.
    pub(super) fn contains_any_of(&self, sender: NodeId) -> bool {
        self.under_way.range(MessageKey::all_of(sender)).next().is_some()
    }

    /// Its verdict is here, or will never come.
    pub(super) fn take(&mut self, item: &MessageKey, claim: &Signed<AppMessage>) -> Option<Check> {
        let all = self.under_way.get_mut(item)?;
        let index = all.iter().position(|check| same_claim(&check.claim, claim))?;
        let check = all.swap_remove(index);
        if all.is_empty() {
            self.under_way.remove(item);
        }
        self.count -= 1;
        let first = check.from.first()?;
        if let Some(load) = self.load.get_mut(first) {
            load.claims -= 1;
            load.bytes -= check.claim.content().payload.len();
            if load.claims == 0 {
                self.load.remove(first);
            }
        }
        Some(check)
    }
}
