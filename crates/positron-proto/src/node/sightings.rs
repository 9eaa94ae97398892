//! What peers say of our address, for the room that judges translators by it.

use super::NodeCore;
use crate::{id::NodeId, nat::Sighting, peers::PeersMessage, time::Now};

/// A node that hears where it is seen.
pub(super) struct Sightings<'a>(pub(super) &'a mut NodeCore);

impl Sightings<'_> {
    /// A linked peer said something.
    pub(super) fn handle_message(&mut self, now: Now, from: NodeId, message: &PeersMessage) {
        let (PeersMessage::Hello { observed, .. } | PeersMessage::ObservedAddress(observed)) =
            message
        else {
            return;
        };
        let session = self.0.sessions.views().find(|session| session.peer.id == from);
        if let (Some(seen), Some(session)) = (observed.socket_addr(), session) {
            let has_own_port = session.transport.has_own_port()
                || self.0.sessions.is_over_extra_socket(session.peer.link);
            let sighting = Sighting {
                peer: from,
                from: session.peer.addr,
                direction: session.peer.direction,
                seen,
                is_listening_socket: !has_own_port,
            };
            self.0.nat.handle_seen(now.mono, sighting);
            self.0.nat.look_at_mapped(now.mono, &mut self.0.queues.nat);
        }
    }
}
