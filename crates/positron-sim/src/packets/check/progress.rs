//! What waits goes on, and time does.

use positron_proto::{
    datagram::contract::{ConnectionState, ConnectionView},
    limits::MESSAGE_COST,
    time::Instant,
};

use super::{Promise, Wrong};

/// Steps at one moment; beyond it, an endpoint wakes for ever without time going on.
const STEPS: u32 = 20_000;
/// Steps of a run; the largest take some hundred thousand.
const MOST: u64 = 5_000_000;

/// Sees that time goes on.
#[derive(Debug, Default)]
pub(crate) struct Clockwork {
    now: Instant,
    steps: u32,
    all: u64,
}

impl Clockwork {
    /// Something happened.
    pub(crate) fn step(&mut self, now: Instant) -> Result<(), Wrong> {
        self.steps = if now == self.now { self.steps + 1 } else { 0 };
        self.now = now;
        self.all += 1;
        if self.steps == STEPS || self.all == MOST {
            let what = format!("time stands still: {} steps now, {} in all", self.steps, self.all);
            return Err(Wrong::new(Promise::Progress, what));
        }
        Ok(())
    }

    /// Steps so far.
    pub(crate) const fn steps(&self) -> u64 {
        self.all
    }
}

/// What still waits on a connection, as its end sees it: `None` once it is at rest. One that is
/// under way to its beginning or its end waits. `open`: streams of the other end that are never
/// finished, and cost something for as long.
pub(crate) fn waiting(view: &ConnectionView, open: usize) -> Option<String> {
    let at_rest = matches!(
        view.state,
        ConnectionState::Established | ConnectionState::CloseWait | ConnectionState::FinWait2
    );
    // A ping may be in flight at any time.
    let idle = view.queued_bytes == 0 && view.unreleased_bytes <= open * MESSAGE_COST;
    (!at_rest || !idle).then(|| in_short(view))
}

/// A connection in a line.
pub(crate) fn in_short(view: &ConnectionView) -> String {
    let ConnectionView { state, rtt, congestion_window, in_flight, send_window, .. } = view;
    let ConnectionView { datagram_size, queued_bytes, unreleased_bytes, gaps, lost, sent, .. } =
        view;
    format!(
        "{state:?}, {queued_bytes} bytes queued, {in_flight} in flight (congestion window \
         {congestion_window}, send window {send_window}), {unreleased_bytes} not released, \
         {gaps} gaps, datagrams of {datagram_size}, round trip {rtt:?}, {sent} packets sent, \
         {lost} lost"
    )
}

#[cfg(test)]
mod tests {
    use positron_proto::{datagram::contract::ConnectionId, time::Duration};

    use super::*;

    #[test]
    fn time_that_stands_still_is_found() {
        let mut clockwork = Clockwork::default();
        let now = Instant::ORIGIN + Duration::from_secs(1);
        assert!((0..STEPS).all(|_| clockwork.step(now).is_ok()));
        assert!(clockwork.step(now).is_err());
        let mut clockwork = Clockwork::default();
        assert!((0..u64::from(2 * STEPS)).all(|n| clockwork.step(Instant::from_micros(n)).is_ok()));
    }

    #[test]
    fn whatever_is_queued_or_not_released_or_on_its_way_waits() {
        let rest = ConnectionView {
            connection: ConnectionId(1),
            id_here: 1,
            id_there: None,
            remote: None,
            state: ConnectionState::Established,
            since: Instant::ORIGIN,
            rtt: None,
            least_rtt: None,
            congestion: "none",
            congestion_window: 0,
            in_flight: 0,
            send_window: 0,
            datagram_size: 0,
            queued_bytes: 0,
            unreleased_bytes: 0,
            unfinished_bytes: 0,
            gaps: 0,
            lost: 0,
            sent: 0,
        };
        assert_eq!(waiting(&rest, 0), None);
        assert!(waiting(&ConnectionView { queued_bytes: 1, ..rest.clone() }, 0).is_some());
        assert!(waiting(&ConnectionView { in_flight: 57, ..rest.clone() }, 0).is_none(), "a ping");
        assert!(waiting(&ConnectionView { unreleased_bytes: 1, ..rest.clone() }, 0).is_some());
        assert!(waiting(&ConnectionView { state: ConnectionState::FinWait1, ..rest }, 0).is_some());
    }
}
