//! Tables, queues and windows keep to their limits.

use positron_proto::{
    datagram::contract::ConnectionView,
    limits::{LEAST_DATAGRAM, MAX_DATAGRAM_HALF_OPEN, MAX_FRAGMENTS_PER_PEER, TAIL_PROBES},
};

use super::{Promise, Wrong};
use crate::packets::story::End;

/// Datagrams beyond the congestion window that may be in flight: probes, two each (RFC 9002,
/// 6.2.4), and the packet that was begun while there was room, a ping; and one probe of the largest
/// size.
const BEYOND: u64 = 2 * TAIL_PROBES as u64 + 2;

/// What was seen of one connection.
#[derive(Debug, Default)]
pub(crate) struct PacketBounds {
    widest: u64,
    /// The largest datagrams: what is in flight may be older than the size is small.
    largest: u64,
    /// The most that unfinished messages counted for.
    unfinished: u64,
    lost_there: Option<u64>,
}

impl PacketBounds {
    /// Looks at a connection, of which the other end has taken so many bytes for lost, if that is
    /// known.
    pub(crate) fn look(
        &mut self,
        view: &ConnectionView,
        end: &End,
        lost_there: Option<u64>,
    ) -> Result<(), Wrong> {
        self.widest = self.widest.max(view.congestion_window);
        let wide = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        self.largest = self.largest.max(wide(view.datagram_size.max(LEAST_DATAGRAM)));
        self.lost_there = self.lost_there.max(lost_there);
        // Two things go beyond the window. Parts of a message use it only until they are
        // acknowledged: from then on they count as unfinished, and all at once again when it is
        // whole; otherwise a window would have to be larger than a message. And what was taken for
        // lost uses it no more, so that more urgent data may take its place, but it may come yet.
        let lost = self.lost_there.unwrap_or(u64::MAX);
        let held = wide(end.window_bytes).saturating_add(self.unfinished).saturating_add(lost);
        let unfinished = wide(view.unfinished_bytes);
        let limits = [
            ("bytes queued", wide(view.queued_bytes), wide(end.queue_bytes)),
            ("bytes not released", wide(view.unreleased_bytes), held),
            ("bytes of unfinished messages", unfinished, wide(MAX_FRAGMENTS_PER_PEER)),
            ("bytes of a datagram", wide(view.datagram_size), wide(end.max_datagram)),
            (
                "bytes in flight",
                view.in_flight,
                self.widest + BEYOND * self.largest + wide(end.max_datagram),
            ),
        ];
        self.unfinished = self.unfinished.max(unfinished);
        check(&limits)
    }
}

/// Looks at the tables of an endpoint.
pub(crate) fn tables(half_open: usize) -> Result<(), Wrong> {
    let wide = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    check(&[("half-open handshakes", wide(half_open), wide(MAX_DATAGRAM_HALF_OPEN))])
}

fn check(limits: &[(&str, u64, u64)]) -> Result<(), Wrong> {
    match limits.iter().find(|(_, is, most)| is > most) {
        None => Ok(()),
        Some((what, is, most)) => {
            Err(Wrong::new(Promise::Bounds, format!("{is} {what}, {most} at most")))
        }
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::{
        datagram::contract::{ConnectionId, ConnectionState},
        time::Instant,
    };

    use super::*;

    fn view() -> ConnectionView {
        ConnectionView {
            connection: ConnectionId(1),
            id_here: 1,
            id_there: None,
            remote: None,
            state: ConnectionState::Established,
            since: Instant::ORIGIN,
            rtt: None,
            least_rtt: None,
            congestion: "none",
            congestion_window: 12_000,
            in_flight: 12_000,
            send_window: 0,
            datagram_size: 1_200,
            queued_bytes: 1 << 20,
            unreleased_bytes: 1 << 20,
            unfinished_bytes: 0,
            gaps: 0,
            lost: 0,
            sent: 0,
        }
    }

    #[test]
    fn each_limit_is_looked_at() {
        let end = End::plain();
        let look = |view: ConnectionView| PacketBounds::default().look(&view, &end, Some(0));
        assert!(look(view()).is_ok());
        assert!(look(ConnectionView { queued_bytes: (1 << 20) + 1, ..view() }).is_err());
        assert!(look(ConnectionView { unreleased_bytes: (1 << 20) + 1, ..view() }).is_err());
        assert!(look(ConnectionView { in_flight: 60_000, ..view() }).is_err());
        assert!(look(ConnectionView { datagram_size: 16_385, ..view() }).is_err());
        assert!(tables(MAX_DATAGRAM_HALF_OPEN).is_ok());
        assert!(tables(MAX_DATAGRAM_HALF_OPEN + 1).is_err());
    }

    #[test]
    fn what_was_unfinished_or_taken_for_lost_may_go_beyond_the_window() {
        let more = ConnectionView { unreleased_bytes: (1 << 20) + 5_000, ..view() };
        let unfinished = ConnectionView { unfinished_bytes: 4_000, ..view() };
        let end = End::plain();
        let mut bounds = PacketBounds::default();
        assert!(bounds.look(&unfinished, &end, Some(0)).is_ok());
        assert!(bounds.look(&more, &end, Some(999)).is_err());
        assert!(bounds.look(&more, &end, Some(1_000)).is_ok());
        assert!(bounds.look(&more, &end, None).is_ok(), "it was known before");
    }

    #[test]
    fn a_window_that_shrinks_may_leave_more_in_flight() {
        let (mut bounds, end) = (PacketBounds::default(), End::plain());
        assert!(bounds.look(&view(), &end, None).is_ok());
        let smaller = ConnectionView { congestion_window: 2_400, ..view() };
        assert!(bounds.look(&smaller, &end, None).is_ok());
    }
}
