//! Whether the other end is still there (RFC 9000, 10.1), and the PINGs that ask.

use crate::{
    datagram::contract::{Closed, EndpointConfig},
    time::{Duration, Instant},
};

/// When the other end was heard, when it should have been, and what is asked and answered for that.
///
/// Tell it of every packet that opened and of every one sent that asks for an acknowledgment; send
/// a PING when [`poll_ping`](Self::poll_ping) says so and a PONG when
/// [`poll_pong`](Self::poll_pong) does.
///
/// Whoever answers nothing for the idle timeout is gone. Who is silent because nothing asked is
/// asked: every keep-alive interval, or after a retransmission timeout if data waits for the
/// window.
#[derive(Debug)]
pub(super) struct IdleTimer {
    idle_timeout: Duration,
    keep_alive: Option<Duration>,
    /// When the last packet opened.
    heard: Instant,
    /// When something that asks for an acknowledgment was last sent.
    spoke: Instant,
    /// Since when nothing was heard although something asked for an acknowledgment.
    unanswered: Option<Instant>,
    /// When an unauthenticated word last made us ask for a sign of life.
    suspected: Option<Instant>,
    /// Whether a PING is to ask whether the other end lives.
    ping: bool,
    /// The token of their last PING: one PONG answers all that wait.
    pong: Option<u64>,
    /// Counts our PINGs.
    tokens: u64,
}

impl IdleTimer {
    /// `connection` is any number of it, by which one asks sooner than another.
    pub(super) fn new(now: Instant, config: &EndpointConfig, connection: u32) -> Self {
        let sooner = |longest: Duration| longest / 1_000 * (connection % SOONER);
        Self {
            idle_timeout: config.idle_timeout,
            keep_alive: config.keep_alive.map(|longest| longest - sooner(longest)),
            heard: now,
            spoke: now,
            unanswered: None,
            suspected: None,
            ping: false,
            pong: None,
            tokens: 0,
        }
    }

    /// When the last packet opened.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// A packet opened. How long nothing had been heard.
    pub(super) fn handle_arrival(&mut self, now: Instant) -> Duration {
        let silence = now.since(self.heard);
        (self.heard, self.unanswered) = (now, None);
        silence
    }

    /// Something that asks for an acknowledgment was sent.
    pub(super) fn handle_sent(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
        self.spoke = now;
    }

    /// Their PING.
    pub(super) const fn handle_ping(&mut self, token: u64) {
        self.pong = Some(token);
    }

    /// An unauthenticated word about this connection arrived: the other end is asked for a sign of
    /// life, at most ten times a second.
    pub(super) fn handle_suspicion(&mut self, now: Instant) {
        if self.suspected.is_none_or(|last| now.since(last) >= SUSPICION_INTERVAL) {
            self.suspected = Some(now);
            self.ping = true;
        }
    }

    /// The other end is to be asked for an acknowledgment.
    pub(super) const fn ask(&mut self) {
        self.ping = true;
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. `blocked_rto` is the
    /// retransmission timeout, if data waits for the other end's window and for nothing else.
    pub(super) fn poll_timeout(&self, blocked_rto: Option<Duration>) -> Option<Instant> {
        if let Some(since) = self.unanswered {
            return Some(since + self.idle_timeout);
        }
        let interval = blocked_rto.or(self.keep_alive)?;
        Some(self.heard.max(self.spoke) + interval)
    }

    /// Asks for a sign of life, or says that there was none for too long.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        blocked_rto: Option<Duration>,
    ) -> Option<Closed> {
        if self.poll_timeout(blocked_rto).is_none_or(|at| at > now) {
            return None;
        }
        self.ping |= self.unanswered.is_none();
        self.unanswered.map(|_| Closed::Silent)
    }

    /// The token of a PING to send now.
    pub(super) fn poll_ping(&mut self) -> Option<u64> {
        core::mem::take(&mut self.ping).then(|| self.next_token())
    }

    /// The token of a PONG to send now.
    pub(super) const fn poll_pong(&mut self) -> Option<u64> {
        self.pong.take()
    }

    /// A token for a PING that is sent for another reason.
    pub(super) const fn next_token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// PINGs that were sent.
    #[cfg(test)]
    pub(super) const fn pings(&self) -> u64 {
        self.tokens
    }
}

/// Thousandths of the keep-alive interval by which a connection asks sooner than that: links that
/// were made together, and the two ends of one, do not ask at one moment.
const SOONER: u32 = 182;

/// Guess: enough to notice a restarted peer at once, too little to be of use to an attacker.
const SUSPICION_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NetworkId;

    const RTO: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn idle_timer() -> IdleTimer {
        let mut config = EndpointConfig::new(NetworkId::from_name("idle_timer"));
        config.idle_timeout = Duration::from_secs(30);
        config.keep_alive = Some(Duration::from_secs(10));
        IdleTimer::new(at(0), &config, 0)
    }

    #[test]
    fn silence_is_asked_about_and_ends_the_connection_only_when_nothing_answers() {
        let mut idle_timer = idle_timer();
        assert_eq!(idle_timer.poll_timeout(None), Some(at(10)));
        assert_eq!(idle_timer.handle_timeout(at(9), None), None);
        assert_eq!(idle_timer.poll_ping(), None);
        assert_eq!(idle_timer.handle_timeout(at(10), None), None);
        assert_eq!(idle_timer.poll_ping(), Some(1));
        assert_eq!(idle_timer.poll_ping(), None, "one question at a time");
        idle_timer.handle_sent(at(10));
        assert_eq!(idle_timer.handle_arrival(at(20)), Duration::from_secs(20));
        assert_eq!(idle_timer.poll_timeout(None), Some(at(30)), "answered");
        idle_timer.handle_sent(at(30));
        idle_timer.handle_sent(at(55));
        assert_eq!(idle_timer.handle_timeout(at(59), None), None);
        assert_eq!(idle_timer.handle_timeout(at(60), None), Some(Closed::Silent));
        assert_eq!(idle_timer.poll_ping(), None);
    }

    #[test]
    fn who_waits_for_a_window_asks_sooner() {
        let mut idle_timer = idle_timer();
        assert_eq!(idle_timer.poll_timeout(Some(RTO)), Some(at(1)));
        assert_eq!(idle_timer.handle_timeout(at(1), Some(RTO)), None);
        assert_eq!(idle_timer.poll_ping(), Some(1));
    }

    #[test]
    fn one_pong_answers_all_questions_that_wait() {
        let mut idle_timer = idle_timer();
        idle_timer.handle_ping(7);
        idle_timer.handle_ping(8);
        assert_eq!((idle_timer.poll_pong(), idle_timer.poll_pong()), (Some(8), None));
    }
}
