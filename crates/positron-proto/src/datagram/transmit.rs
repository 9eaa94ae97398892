//! What leaves an endpoint, and what time brings.

use core::ops::Bound;

use super::{
    contract::{ConnectionId, EndpointEvent, Transmit},
    endpoint::{Endpoint, EndpointWake},
};
use crate::time::Now;

impl Endpoint {
    /// Does what is due. Never harmful.
    pub fn handle_timeout(&mut self, now: Now) {
        // Taken first: what is due again at once waits for the next call.
        let mut due = Vec::new();
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            due.push(wake);
        }
        for wake in due {
            match wake {
                EndpointWake::Door => {
                    self.door.handle_timeout(now.mono, &mut self.counters);
                    self.wake_door();
                }
                EndpointWake::Dial(id) => {
                    let dial = self.rows.get_mut(&id).and_then(|row| row.dial.as_deref_mut());
                    let Some(dial) = dial else { continue };
                    let progress = dial.handle_timeout(now.mono, &self.local, &mut self.rng);
                    self.progress(now, id, progress);
                }
                EndpointWake::Connection(id) => {
                    let Some(row) = self.rows.get_mut(&id) else { continue };
                    row.connection.handle_timeout(now.mono, &mut self.counters);
                    self.settle(id);
                    self.forget_if_over(now, id);
                }
            }
        }
    }

    /// Whether an event that waited is not true any more. What it told of is told again when it is.
    pub(super) fn is_stale(&self, event: &EndpointEvent) -> bool {
        let row = |connection| self.rows.get(connection);
        match event {
            EndpointEvent::Drained { connection } => {
                row(connection).is_some_and(|row| !row.connection.is_drained())
            }
            EndpointEvent::StreamReadable { connection, stream } => {
                row(connection).is_some_and(|row| !row.connection.is_readable(*stream))
            }
            _ => false,
        }
    }

    /// Fills `buf` (which is cleared first) with the next batch of datagrams to one address, at
    /// most `max_segments` of one size. Connections take turns.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        buf.clear();
        if let Some((to, datagram)) = self.unsealed.pop_front() {
            buf.extend_from_slice(&datagram);
            self.counters.datagrams_sent += 1;
            self.counters.bytes_sent += u64::try_from(buf.len()).unwrap_or(0);
            return Some(Transmit { to, segment_size: buf.len(), len: buf.len() });
        }
        while let Some(id) = self.next_dirty() {
            self.served = id;
            let Some(row) = self.rows.get_mut(&id) else {
                self.dirty.remove(&id);
                continue;
            };
            let counters = &mut self.counters;
            let sent = row.connection.poll_transmit(now.mono, max_segments, buf, counters);
            self.settle(id);
            if sent.is_some() {
                return sent;
            }
            self.dirty.remove(&id);
            self.forget_if_over(now, id);
        }
        None
    }

    /// The next connection in turn that may have something to send.
    fn next_dirty(&self) -> Option<ConnectionId> {
        let after = (Bound::Excluded(self.served), Bound::Unbounded);
        self.dirty.range(after).next().or_else(|| self.dirty.first()).copied()
    }

    fn forget_if_over(&mut self, now: Now, id: ConnectionId) {
        if self.rows.get(&id).is_some_and(|row| row.connection.is_over(now.mono)) {
            self.forget(id);
        }
    }
}
