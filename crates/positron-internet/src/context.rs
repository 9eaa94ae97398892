//! One call to the streams of a host.

use std::collections::VecDeque;

use crate::{
    Time,
    event::{Event, StreamId},
    queue::{EventQueue, Packet, StreamEnd},
    topology::{HostId, Topology},
    uplink::Uplink,
};

/// What is around the streams of a host in one call.
pub(crate) struct Context<'a, P> {
    pub(crate) now: Time,
    pub(crate) host: HostId,
    pub(crate) life: u32,
    pub(crate) topology: &'a Topology,
    pub(crate) uplink: &'a mut Uplink,
    pub(crate) queue: &'a mut EventQueue<P>,
    pub(crate) events: &'a mut VecDeque<Event<P>>,
}

impl<P> Context<'_, P> {
    pub(crate) const fn end(&self, id: StreamId) -> StreamEnd {
        StreamEnd { host: self.host, life: self.life, id }
    }

    pub(crate) fn carries(&self, remote: HostId) -> bool {
        self.topology.carries_streams(self.host, remote)
    }

    pub(crate) fn later(&mut self, at: Time, packet: Packet<P>) {
        self.queue.later(at, self.life, packet);
    }

    pub(crate) fn send(&mut self, to: StreamEnd, at: Time, packet: Packet<P>) {
        self.queue.send(to.host, at, to.life, packet);
    }
}
