//! Everything that a scenario wants to happen, in order of time.

use std::collections::VecDeque;

use positron_proto::time::Instant;

use crate::{
    clock::at,
    scenario::{Fault, Scenario, Workload},
};

/// What a scenario wants to happen, and when.
///
/// # Contract
///
/// [`next_time`](Self::next_time) says when the next cue is due, and [`poll`](Self::poll) gives
/// what is due, each once. Cues of one time come as the scenario lists them: starts, then faults,
/// then sayings, then checks.
#[derive(Debug)]
pub(crate) struct Script(VecDeque<(Instant, Cue)>);

/// Something that a scenario wants to happen.
#[derive(Clone, Debug)]
pub(crate) enum Cue {
    /// A process starts on this host.
    Start(usize),
    /// Something goes wrong, or right again.
    Fault(Fault),
    /// An application says something.
    Say(Workload),
    /// Another program takes the place of the one that runs there.
    Replace(usize),
    /// Everything is checked.
    Check,
}

impl Script {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let count = u32::try_from(scenario.nodes.max(1)).unwrap_or(u32::MAX);
        let mut cues = Vec::new();
        for node in (0..scenario.nodes).filter(|node| !scenario.absent.contains(node)) {
            let turn = u32::try_from(node).unwrap_or(u32::MAX);
            cues.push((at(scenario.start_within / count * turn), Cue::Start(node)));
        }
        for (guest, what) in scenario.guests.iter().enumerate() {
            let host = scenario.nodes + guest;
            cues.push((at(scenario.guests_after), Cue::Start(host)));
            cues.extend(what.is_replaced_after().map(|after| (at(after), Cue::Replace(host))));
        }
        for (after, fault) in &scenario.faults {
            cues.push((at(*after), Cue::Fault(fault.clone())));
        }
        for (after, saying) in &scenario.sayings {
            cues.push((at(*after), Cue::Say(*saying)));
        }
        for after in &scenario.checkpoints {
            cues.push((at(*after), Cue::Check));
        }
        // A stable sort.
        cues.sort_by_key(|(at, _)| *at);
        Self(cues.into())
    }

    /// When the next cue is due.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.0.front().map(|(at, _)| *at)
    }

    /// The next cue that is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Cue> {
        self.next_time().filter(|at| *at <= now)?;
        self.0.pop_front().map(|(_, cue)| cue)
    }
}
