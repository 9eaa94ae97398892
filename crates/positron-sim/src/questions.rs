//! What nodes ask each other, and what becomes of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use positron_proto::{
    id::{NodeId, Ticket},
    node::{Event, Outcome},
    request::Unanswered,
    time::{Duration, Instant},
};

/// A request that a node took.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Who asks.
    pub from: usize,
    /// Whom.
    pub to: usize,
    /// When.
    pub at: Instant,
    /// How often an application was given it.
    pub served: u32,
    /// How often its answer was not wanted any more.
    pub abandoned: u32,
    /// When and how it ended, each time.
    pub ends: Vec<(Instant, Result<(), Unanswered>)>,
}

/// All of them, in the order in which they were asked.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Vec<Question>,
    /// Whose tickets they have.
    tickets: BTreeMap<(usize, Ticket), usize>,
    /// By what name they are being served.
    served: BTreeMap<(usize, NodeId, u64), usize>,
}

impl Questions {
    /// The next question, which takes so long to answer.
    pub(crate) fn next_payload(&self, work: Duration) -> Bytes {
        let micros = u64::try_from(work.as_micros()).unwrap_or(u64::MAX);
        [as_u64(self.asked.len()).to_be_bytes(), micros.to_be_bytes()].concat().into()
    }

    /// How long an application works at it.
    pub(crate) fn work(payload: &[u8]) -> Duration {
        payload.get(8..16).and_then(number).map_or(Duration::ZERO, Duration::from_micros)
    }

    /// A node took it.
    pub(crate) fn handle_asked(&mut self, ticket: Ticket, from: usize, to: usize, at: Instant) {
        self.tickets.insert((from, ticket), self.asked.len());
        let (served, abandoned, ends) = (0, 0, Vec::new());
        self.asked.push(Question { from, to, at, served, abandoned, ends });
    }

    /// An application hears something.
    pub(crate) fn hear(&mut self, host: usize, at: Instant, event: &Event) {
        match event {
            Event::Request { from, id, payload } => {
                let Some(index) = payload.get(..8).and_then(number) else { return };
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                if let Some(question) = self.asked.get_mut(index) {
                    question.served += 1;
                    self.served.insert((host, *from, *id), index);
                }
            }
            Event::RequestAbandoned { from, id } => {
                let served = self.served.get(&(host, *from, *id));
                if let Some(question) = served.and_then(|index| self.asked.get_mut(*index)) {
                    question.abandoned += 1;
                }
            }
            Event::Completed { ticket, outcome } => {
                let asked = self.tickets.get(&(host, *ticket));
                let Some(question) = asked.and_then(|index| self.asked.get_mut(*index)) else {
                    return;
                };
                match outcome {
                    Outcome::Answered(_) => question.ends.push((at, Ok(()))),
                    Outcome::Unanswered(why) => question.ends.push((at, Err(why.clone()))),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// A process died, and its tickets with it.
    pub(crate) fn handle_death(&mut self, host: usize) {
        self.tickets.retain(|(of, _), _| *of != host);
    }

    pub(crate) fn asked(&self) -> &[Question] {
        &self.asked
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
