//! Our questions, until they are over.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::TooManyRequests;
use crate::{
    id::{NodeId, Ticket},
    limits::{MAX_ASKED, MAX_ASKED_BYTES},
    metric::Level,
    time::Instant,
};

/// Requests of ours: at most [`MAX_ASKED`], and [`MAX_ASKED_BYTES`] of those that wait for their
/// session. The ticket is the id that the other end sees.
#[derive(Debug, Default)]
pub(super) struct Questions {
    all: BTreeMap<Ticket, Question>,
    /// Of the payloads that wait.
    bytes: usize,
}

#[derive(Debug)]
struct Question {
    to: NodeId,
    since: Instant,
    /// What is asked, until a session has it.
    waiting: Option<Bytes>,
}

/// What became of a question that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedQuestion {
    pub(super) to: NodeId,
    pub(super) sent: bool,
}

impl Questions {
    pub(super) fn add(
        &mut self,
        now: Instant,
        ticket: Ticket,
        to: NodeId,
        payload: Bytes,
    ) -> Result<(), TooManyRequests> {
        let bytes = self.bytes.saturating_add(payload.len());
        if self.all.len() >= MAX_ASKED || bytes > MAX_ASKED_BYTES {
            return Err(TooManyRequests);
        }
        self.bytes = bytes;
        self.all.insert(ticket, Question { to, since: now, waiting: Some(payload) });
        Ok(())
    }

    /// How many there are.
    pub(super) fn level(&self) -> Level {
        Level::new(self.all.len(), MAX_ASKED)
    }

    /// When it was asked.
    pub(super) fn since(&self, ticket: Ticket) -> Option<Instant> {
        self.all.get(&ticket).map(|question| question.since)
    }

    /// What is asked, if no session has it yet.
    pub(super) fn payload(&self, ticket: Ticket) -> Option<&Bytes> {
        self.all.get(&ticket)?.waiting.as_ref()
    }

    /// A session has it.
    pub(super) fn set_sent(&mut self, ticket: Ticket) {
        let payload = self.all.get_mut(&ticket).and_then(|question| question.waiting.take());
        self.bytes -= payload.map_or(0, |payload| payload.len());
    }

    /// Whether `peer` was asked this.
    pub(super) fn is_sent_to(&self, ticket: Ticket, peer: &NodeId) -> bool {
        self.all.get(&ticket).is_some_and(|one| one.to == *peer && one.waiting.is_none())
    }

    /// It is over.
    pub(super) fn end(&mut self, ticket: Ticket) -> Option<EndedQuestion> {
        let Question { to, waiting, .. } = self.all.remove(&ticket)?;
        self.bytes -= waiting.as_ref().map_or(0, Bytes::len);
        Some(EndedQuestion { to, sent: waiting.is_none() })
    }

    /// Whether `peer` is asked anything.
    pub(super) fn is_any_to(&self, peer: &NodeId) -> bool {
        self.all.values().any(|question| question.to == *peer)
    }

    /// What `peer` was asked and has not answered, in order.
    pub(super) fn sent_to(&self, peer: &NodeId) -> Vec<Ticket> {
        let sent = self.all.iter().filter(|(_, one)| one.to == *peer && one.waiting.is_none());
        sent.map(|(ticket, _)| *ticket).collect()
    }

    pub(super) fn tickets(&self) -> Vec<Ticket> {
        self.all.keys().copied().collect()
    }
}
