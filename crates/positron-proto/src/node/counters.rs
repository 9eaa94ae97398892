//! What the wiring counts.

use super::{
    end_label::{DialEnd, SessionEnd},
    room_name::RoomName,
};
use crate::{
    metric::{Way, counters},
    reason::By,
};

counters! {
    /// What the wiring itself counts.
    pub struct NodeCounters of "node";

    signatures_checked: Counter Count "Signatures checked.";
    signatures_invalid: Counter Count "Signatures that proved false."
        high "See `positron-net bans`: whoever brings false signatures is banned by itself; many \
            peers at once mean an attack or a broken release.";
    verifications_dropped: Counter Count "Claims dropped: too many waited."
        high "The processor does not keep up with signatures: give the node more cores, or fewer \
            peers.";
    checks_paced: Counter Count "Claims that waited for those of others."
        high "A peer brings more than all others together, and the processor is busy: nobody else \
            notices; see `positron-net peers` for who.";
    malformed: Counter Count "Message bodies that do not read as their type."
        high "A peer of another version, or a hostile one: compare the versions of your nodes.";
    unknown_types: Counter Count "Messages of an unknown type."
        high "Peers run a newer version: update this node.";
    changes_dropped: Counter Count "Changes not kept: the disk was away too long."
        high "The disk is too slow or away: see `positron-net status` for what storage waits for.";
    deliveries_evicted: Counter Count "Messages forgotten before they were acknowledged."
        high "A durable subscriber does not acknowledge: start it, or remove its subscription.";
    banned_addresses_dropped: Counter Count "Arrivals from banned addresses, unread."
        high "Somebody banned goes on: drop the address in the firewall to save the work.";
    strangers_refused: Counter Count "New keys banned."
        high "Somebody takes a new key each time: drop its address in the firewall.";
    links_held: Counter Count "Links not read because the disk was behind."
        high "The disk is slower than the network: use a faster one, or retain less.";
    peers_over_budget: Counter Count "Links not read because of a peer's work."
        high "A peer causes too much work: see `positron-net peers` for who, and ban it if it \
            goes on.";
    over_budget_dropped: Counter Count "Messages not read because of it."
        high "A peer causes too much work: see `positron-net peers` for who, and ban it if it \
            goes on.";
    numbers_behind: Counter Count "Numbers of ours below what our key signed."
        high "The database was set back or lost: nothing to do, the node goes on above.";
    used_twice_signs: Counter Count "Signs of a key used in two places."
        high "Give each process a key of its own; see `positron-net status` for the addresses.";
    sends_lost: Counter Count "Messages lost to a full queue; gossip repairs them."
        high "Peers take less than is said: publish less at a time, or connect faster ones.";
    messages: Counter Count "Messages of each room." by (Way RoomName);
    sessions_lost: Counter Count "Sessions that ended." by (By SessionEnd)
        high "See REASONS.md for what each reason means and what to do.";
    dials_ended: Counter Count "Dials that ended." by (DialEnd)
        high "See REASONS.md for what each reason means and what to do.";
    verification_wait: Histogram Seconds "From a claim's coming to the check of its signature."
        high "The processor does not keep up with signatures: give the node more cores.";
}

impl NodeCounters {
    /// A peer said something to this room.
    pub(super) fn note_heard(&mut self, room: RoomName) {
        self.messages.add((Way::In, room), 1);
    }

    /// This room said something, if the session took it.
    pub(super) fn note_said(&mut self, room: RoomName, taken: bool) {
        self.messages.add((Way::Out, room), u64::from(taken));
    }
}

counters! {
    /// What is there, beside the most that there can be.
    pub struct NodeLevels of "node";

    checks: Level Count "Claims that wait for their signature to be checked."
        high "The processor does not keep up with signatures: give the node more cores.";
}

counters! {
    /// What waits for the disk, beside the most that may.
    pub struct StoreLevels of "store";

    waiting_bytes: Level Bytes "Changes that wait for the disk."
        high "The disk is slow or away: see `positron-net status` for what storage waits for.";
    waits: Gauge Count "Whether storage waits for the disk: 1, or 0."
        high "See `positron-net status` for what storage waits for.";
    failed: Gauge Count "Whether storage failed for good: 1, or 0."
        high "See `positron-net status` for why, mend that, and start the node again.";
}
