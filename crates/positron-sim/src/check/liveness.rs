//! Every command that a node accepts completes, once.

use std::collections::BTreeMap;

use positron_proto::{
    id::Ticket,
    limits::DIRECT_TIMEOUT,
    time::{Duration, Instant},
};

/// A command may take as long as a direct message may wait, and a little.
const PATIENCE: Duration = Duration::from_secs(DIRECT_TIMEOUT.as_secs() + 15);

/// Commands that nodes accepted and have not completed.
#[derive(Debug, Default)]
pub(crate) struct Liveness(BTreeMap<(usize, Ticket), Waiting>);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    since: Instant,
    /// Which thing that was said, if any.
    pub(crate) said: Option<usize>,
}

impl Liveness {
    pub(crate) fn handle_accepted(
        &mut self,
        host: usize,
        ticket: Ticket,
        at: Instant,
        said: Option<usize>,
    ) {
        self.0.insert((host, ticket), Waiting { since: at, said });
    }

    pub(crate) fn completed(&mut self, host: usize, ticket: Ticket) -> Result<Waiting, String> {
        let twice = || format!("ticket {} completed, and nobody waits for it", ticket.0);
        self.0.remove(&(host, ticket)).ok_or_else(twice)
    }

    /// The process ended as it was told to: what was not answered never will be.
    pub(crate) fn ended(&mut self, host: usize) -> Vec<String> {
        let unanswered = self.0.keys().filter(|(of, _)| *of == host);
        let what = |(_, ticket): &(usize, Ticket)| format!("stopped without answering {ticket:?}");
        let wrong = unanswered.map(what).collect();
        self.died(host);
        wrong
    }

    /// Whoever asked died with the process.
    pub(crate) fn died(&mut self, host: usize) {
        self.0.retain(|(of, _), _| *of != host);
    }

    /// Commands that have waited too long.
    pub(crate) fn overdue(&self, now: Instant) -> impl Iterator<Item = (usize, String)> {
        self.0.iter().filter(move |(_, waiting)| now.since(waiting.since) > PATIENCE).map(
            |((host, ticket), waiting)| {
                let since = waiting.since.as_micros();
                (*host, format!("ticket {} was accepted at {since} µs and waits", ticket.0))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_completes_once_and_in_time_unless_its_process_dies() {
        let (mut liveness, start) = (Liveness::default(), Instant::ORIGIN);
        liveness.handle_accepted(0, Ticket(1), start, None);
        assert!(liveness.completed(0, Ticket(1)).is_ok());
        assert!(liveness.completed(0, Ticket(1)).is_err());

        liveness.handle_accepted(0, Ticket(2), start, None);
        liveness.handle_accepted(1, Ticket(2), start, None);
        liveness.died(1);
        let late = start + PATIENCE + Duration::from_micros(1);
        assert_eq!(liveness.overdue(start + PATIENCE).count(), 0);
        let overdue: Vec<_> = liveness.overdue(late).map(|(host, _)| host).collect();
        assert_eq!(overdue, [0]);
    }
}
