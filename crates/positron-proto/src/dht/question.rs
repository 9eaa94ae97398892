//! Questions of ours that are under way.

use std::collections::BTreeMap;

use super::{
    Contact, DhtQuery, ErrandId, QuestionId, Via, operation::OperationId,
    recent_answers::RecentAnswers,
};
use crate::{
    deadlines::Deadlines,
    limits::{LONGEST_ERRAND, LONGEST_QUESTION, MAX_TICKETED_QUERY, QUESTION_TIMEOUT},
    time::{Duration, Instant},
};

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// It looks for nodes or records.
    Lookup(OperationId),
    /// It asks to keep the record of this operation.
    Store(OperationId),
    /// It asks for what is too large for a datagram.
    Fetch(OperationId),
    /// It finds out whether a node answers.
    Probe,
    /// It brings somebody up to date; nobody waits for it.
    Push,
    /// It asks a linked peer to do something for us.
    Errand(ErrandId, ErrandPart),
}

/// What of an errand a peer is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrandPart {
    /// To walk for us: to find, to read, or to give to others.
    Walk,
    /// To keep something itself.
    Keep,
}

/// Over what a question of an operation goes that may go over anything: by a datagram, if it fits
/// one and its other end answered one so lately that there is a ticket. That takes half of the
/// packets that it takes over a session, and no alarms.
pub(super) fn way(via: Via, about: About, query: &DhtQuery, has_ticket: bool) -> Via {
    let is_step = matches!(about, About::Lookup(_) | About::Store(_));
    let fits = query.encoded_len() < MAX_TICKETED_QUERY;
    if via == Via::Any && is_step && has_ticket && fits { Via::Datagram } else { via }
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct DhtQuestion {
    pub(super) to: Contact,
    pub(super) about: About,
    pub(super) asked: Instant,
    /// Whether it was given up: an answer counts all the same.
    pub(super) is_late: bool,
}

/// What became of a question for which the time is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Overdue {
    /// It has failed; an answer may still come.
    Failed(DhtQuestion),
    /// Its answer is not waited for any more.
    Abandoned(QuestionId),
}

/// All questions of ours that are under way: each is answered, or fails and is abandoned later.
#[derive(Debug, Default)]
pub(super) struct DhtQuestions {
    next: u64,
    open: BTreeMap<QuestionId, DhtQuestion>,
    deadlines: Deadlines<QuestionId>,
    recent: RecentAnswers,
}

impl DhtQuestions {
    /// A question is asked. It fails after three of the round trips that the other end took before,
    /// [`QUESTION_TIMEOUT`] at least; a session may have to be made for a `slow` one.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        (to, about): (Contact, About),
        rtt: Option<Duration>,
        slow: bool,
    ) -> QuestionId {
        let id = QuestionId(self.next);
        self.next += 1;
        let patience = match rtt {
            _ if matches!(about, About::Errand(..)) => LONGEST_ERRAND,
            _ if slow => LONGEST_QUESTION,
            Some(rtt) => (rtt * 3).clamp(QUESTION_TIMEOUT, LONGEST_QUESTION),
            None => QUESTION_TIMEOUT,
        };
        self.open.insert(id, DhtQuestion { to, about, asked: now, is_late: false });
        self.deadlines.set(id, now + patience);
        id
    }

    /// It is answered: after how long.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        id: QuestionId,
    ) -> Option<(DhtQuestion, Duration)> {
        let question = self.withdraw(id)?;
        if !question.is_late {
            self.recent.add(true);
        }
        Some((question, now.since(question.asked)))
    }

    /// It cannot be answered.
    pub(super) fn withdraw(&mut self, id: QuestionId) -> Option<DhtQuestion> {
        self.deadlines.clear(id);
        self.open.remove(&id)
    }

    /// Whether many stayed unanswered lately.
    pub(super) fn are_lossy(&self) -> bool {
        self.recent.are_lossy()
    }

    pub(super) fn get(&self, id: QuestionId) -> Option<&DhtQuestion> {
        self.open.get(&id)
    }

    pub(super) fn is_errand(&self, id: QuestionId) -> bool {
        let about = self.get(id).map(|question| question.about);
        matches!(about, Some(About::Errand(_, ErrandPart::Walk)))
    }

    /// The next question whose time is over; call until `None`.
    pub(super) fn pop_overdue(&mut self, now: Instant) -> Option<Overdue> {
        while let Some(id) = self.deadlines.pop_due(now) {
            let Some(question) = self.open.get_mut(&id) else { continue };
            if question.is_late {
                self.open.remove(&id);
                return Some(Overdue::Abandoned(id));
            }
            question.is_late = true;
            self.recent.add(false);
            self.deadlines.set(id, question.asked + LONGEST_QUESTION);
            return Some(Overdue::Failed(*question));
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::Place;

    #[test]
    fn a_step_goes_by_datagram_where_a_ticket_is_good() {
        let query = DhtQuery::Find(Place::from_bytes([7; 32]));
        let step = About::Lookup(OperationId(1));
        assert_eq!(way(Via::Any, step, &query, true), Via::Datagram);
        assert_eq!(way(Via::Session, step, &query, true), Via::Session);
        assert_eq!(way(Via::Any, step, &query, false), Via::Any);
        assert_eq!(way(Via::Any, About::Push, &query, true), Via::Any, "no answer came before");
    }
}
