//! Whom this node trusts, told to others, and whom they trust, heard.

use super::{Event, NodeCore, Outcome, Refused, judging::Judging, room_name::RoomName};
use crate::{
    id::{NodeId, Ticket},
    recommendation::{RecommendationEffect, RecommendationMessage},
    time::Now,
    wire::message::RoomMessage as _,
};

/// A node, while something is said of whom to trust.
pub(super) struct Recommending<'a>(pub(super) &'a mut NodeCore);

impl Recommending<'_> {
    pub(super) fn ask(&mut self, now: Now, peer: NodeId) -> Result<Ticket, Refused> {
        let ticket = self.0.publisher.ticket();
        self.0.recommendations.ask(now, peer, ticket, &mut self.0.queues.recommendation)?;
        Ok(ticket)
    }

    pub(super) fn share(&mut self, now: Now) -> Ticket {
        let ticket = self.0.publisher.ticket();
        let outcome = Outcome::Shared { peers: self.tell_all(now) };
        self.0.emit(Event::Completed { ticket, outcome });
        ticket
    }

    fn tell_all(&mut self, now: Now) -> usize {
        let trusted = self.0.trust.recommended();
        self.0.recommendations.share(now, &trusted, &mut self.0.queues.recommendation)
    }

    pub(super) fn route(&mut self, now: Now, out: RecommendationEffect) {
        match out {
            RecommendationEffect::Send { to, message } => {
                let (lane, body) = (message.lane(), message.encode());
                self.0.send(now, to, RoomName::Recommendation, lane, body, None);
            }
            RecommendationEffect::Answer { to, most } => {
                let trusted = self.0.trust.recommended();
                let out = &mut self.0.queues.recommendation;
                self.0.recommendations.answer((to, most), &trusted, out);
            }
            RecommendationEffect::Heard { from, recommended } => {
                self.0.trust.handle_recommended(now, from, &recommended);
            }
            RecommendationEffect::Completed { ticket, answer } => {
                let outcome = match answer {
                    Ok(recommended) => Outcome::Recommended(recommended),
                    Err(why) => Outcome::NotRecommended(why),
                };
                self.0.emit(Event::Completed { ticket, outcome });
            }
            RecommendationEffect::Share => {
                self.tell_all(now);
            }
            RecommendationEffect::Misbehaved { peer, what } => {
                Judging(self.0).observe_misbehavior(now, peer, what);
            }
        }
    }

    pub(super) fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: RecommendationMessage,
    ) {
        let out = &mut self.0.queues.recommendation;
        self.0.recommendations.handle_message(now, from, message, out);
    }
}
