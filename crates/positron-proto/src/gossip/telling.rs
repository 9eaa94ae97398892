//! What is told of messages to whoever remembers their way.

use std::collections::VecDeque;

use super::{GossipEffect, message_key::MessageKey};
use crate::{
    id::{MessageId, NodeId},
    journey::{CameFrom, DropReason, Dropped, JourneyStep, Nth, Origin},
    metric::WATCHED,
};

/// Something happened to a broadcast that was taken.
pub(super) fn trace(nth: Nth, step: JourneyStep, out: &mut VecDeque<GossipEffect>) {
    if WATCHED {
        out.push_back(GossipEffect::Traced { nth, step });
    }
}

pub(super) fn trace_taken(
    nth: Nth,
    id: MessageId,
    item: MessageKey,
    (arrival, also): (CameFrom, Vec<NodeId>),
    out: &mut VecDeque<GossipEffect>,
) {
    let MessageKey { sender, sequence } = item;
    trace(nth, JourneyStep::Taken(Origin { id, sender, sequence, arrival, also }), out);
}

pub(super) fn trace_dropped(
    item: MessageKey,
    id: Option<MessageId>,
    from: NodeId,
    why: DropReason,
    out: &mut VecDeque<GossipEffect>,
) {
    let MessageKey { sender, sequence } = item;
    if WATCHED {
        out.push_back(GossipEffect::Dropped(Dropped { sender, sequence, id, from, why }));
    }
}
