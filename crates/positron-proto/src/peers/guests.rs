//! Which guest gives way to a newcomer when every slot for guests is taken.

use std::collections::BTreeMap;

use crate::{id::NodeId, netgroup::Owner, time::Instant};

/// Somebody who dialled us and has a slot that all share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    pub(super) id: NodeId,
    pub(super) owner: Owner,
    /// Since when it is here.
    pub(super) since: Instant,
    /// It had time enough to say hello, and did not.
    pub(super) is_mute: bool,
    pub(super) score: f64,
}

/// The one of `guests` that gives way to a newcomer of `owner`, if any does, while those of the
/// owners `knocking` are on their way in, too.
///
/// First who is mute, the one that is here longest. Else one of the owner with most guests, if that
/// has two more than the newcomer's: so that slots are shared between owners, and two that have as
/// many do not push each other out in turns. Of that owner's guests the least trusted one goes, of
/// equals the last that came.
pub(super) fn gives_way(guests: &[Guest], knocking: &[Owner], owner: Owner) -> Option<NodeId> {
    let mute = guests.iter().filter(|guest| guest.is_mute);
    if let Some(guest) = mute.min_by_key(|guest| guest.since) {
        return Some(guest.id);
    }
    let mut crowds: BTreeMap<Owner, usize> = BTreeMap::new();
    for guest in guests {
        *crowds.entry(guest.owner).or_default() += 1;
    }
    let before = knocking.iter().filter(|other| **other == owner).count();
    let own = crowds.get(&owner).copied().unwrap_or(0) + before;
    // The nodes of this machine crowd nobody out.
    crowds.remove(&Owner::Host);
    let (crowded, most) = crowds.into_iter().max_by_key(|(_, count)| *count)?;
    let of_crowd = guests.iter().filter(|guest| guest.owner == crowded && most > own + 1);
    let least = of_crowd.min_by(|a, b| a.score.total_cmp(&b.score).then(b.since.cmp(&a.since)));
    least.map(|guest| guest.id)
}
