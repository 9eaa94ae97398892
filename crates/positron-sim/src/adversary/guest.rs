//! A guest that acts at its own pace, between what its sessions bring.

use positron_proto::{
    id::Ticket,
    node::{Command, Effect, Input, Refused},
    time::{Duration, Instant, Now},
};

use super::guest_sessions::GuestSessions;
use crate::machine::Machine;

/// What a guest makes of its sessions.
pub(super) trait Conduct: Send {
    /// Time between two deeds.
    const PACE: Duration;

    fn sessions(&self) -> &GuestSessions;
    fn sessions_mut(&mut self) -> &mut GuestSessions;
    /// Does what it came for.
    fn act(&mut self, now: Now);
    /// Hears what the sessions say.
    fn settle(&mut self, now: Now);
}

/// The machine of such a guest.
pub(super) struct Guest<C> {
    conduct: C,
    next: Instant,
}

impl<C: Conduct> Guest<C> {
    pub(super) const fn new(conduct: C) -> Self {
        Self { conduct, next: Instant::ORIGIN }
    }
}

impl<C: Conduct> Machine for Guest<C> {
    fn handle(&mut self, now: Now, input: Input) {
        let is_woken = matches!(input, Input::Timeout);
        self.conduct.sessions_mut().handle(now, input);
        if is_woken && now.mono >= self.next {
            self.next = now.mono + C::PACE;
            self.conduct.act(now);
        }
        self.conduct.settle(now);
    }

    fn command(&mut self, _: Now, _: Command) -> Result<Ticket, Refused> {
        Err(Refused::Stopping)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.conduct.sessions_mut().poll_effect()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.conduct.sessions().poll_timeout();
        Some(sessions.map_or(self.next, |due| due.min(self.next)))
    }
}
