//! What waits goes on, and time does.

use positron_proto::{
    session::datagram::contract::{ConnectionView, State},
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
/// under way to its beginning or its end waits.
pub(crate) fn waiting(view: &ConnectionView) -> Option<String> {
    let at_rest = matches!(view.state, State::Established | State::CloseWait | State::FinWait2);
    let idle = view.queued_bytes == 0 && view.in_flight == 0 && view.unreleased_bytes == 0;
    (!at_rest || !idle).then(|| format!("{view:?}"))
}

#[cfg(test)]
mod tests {
    use positron_proto::{session::datagram::contract::ConnectionId, time::Duration};

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
    fn whatever_is_queued_in_flight_or_on_its_way_waits() {
        let rest = ConnectionView {
            connection: ConnectionId(1),
            remote: None,
            state: State::Established,
            since: Instant::ORIGIN,
            rtt: None,
            least_rtt: None,
            congestion_window: 0,
            in_flight: 0,
            send_window: 0,
            datagram_size: 0,
            queued_bytes: 0,
            unreleased_bytes: 0,
            lost: 0,
            sent: 0,
        };
        assert_eq!(waiting(&rest), None);
        assert!(waiting(&ConnectionView { queued_bytes: 1, ..rest.clone() }).is_some());
        assert!(waiting(&ConnectionView { in_flight: 1, ..rest.clone() }).is_some());
        assert!(waiting(&ConnectionView { unreleased_bytes: 1, ..rest.clone() }).is_some());
        assert!(waiting(&ConnectionView { state: State::FinWait1, ..rest }).is_some());
    }
}
