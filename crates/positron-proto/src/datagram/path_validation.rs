//! Where the other end is, and whether that is proven (RFC 9000, 8.2 and 9).

use std::{collections::VecDeque, net::SocketAddr};

use crate::{
    limits::{
        AMPLIFICATION, FIRST_RTT, LEAST_DATAGRAM, MAX_PATH_RESPONSES, PATH_CANDIDATE_EVERY,
        PATH_CANDIDATES_AT_ONCE, PATH_PTO_LONGEST,
    },
    rng::Rng,
    time::{Duration, Instant},
};

/// The address of the other end, and the one that may follow it.
///
/// Tell it of every packet that *opened* ([`handle_arrival`](Self::handle_arrival)), of every
/// datagram sent ([`handle_sent`](Self::handle_sent)) and of every PATH_RESPONSE
/// ([`handle_response`](Self::handle_response)), and of one PATH_CHALLENGE a packet
/// ([`handle_challenge`](Self::handle_challenge)). Send to [`addr`](Self::addr), within
/// [`allowance`](Self::allowance), and what [`poll_response`](Self::poll_response) and
/// [`poll_challenge`](Self::poll_challenge) say.
///
/// An authenticated packet from elsewhere, newer than all others, makes its source the *candidate*.
/// Both it and the address in use are challenged. Data goes on to the address in use until
///
/// - the candidate has answered **from its own address**, and the address in use has been silent
///   for one PTO since, [`PATH_PTO_LONGEST`] at most: then the other end has moved there;
/// - anything newest, or an answer to any challenge, comes from the address in use: then the other
///   end is still there, and the candidate is dropped;
/// - neither happens within 3 times the larger of the PTO and that of a path without measurements
///   (RFC 9000, 8.2.4): then the candidate is dropped.
///
/// **What an attacker can do who copies packets** on their way and sends them from his own address,
/// ahead of the originals (RFC 9000, 9.3.3):
///
/// - If he loses one race meanwhile, or does not forward challenges and answers: nothing, but for
///   the challenges. He never gets data, not even one packet.
/// - If he wins *every* race for a PTO and forwards in both directions, the path leads through him:
///   he has become a router that can drop, delay and count packets, which is what he could do on
///   the path anyway. He reads and changes nothing. The first newest packet that reaches us ahead
///   of his copy makes the old address the candidate, and it gets the path back in the same way.
///
/// **What one can do who rewrites the source** of packets on their way: drop them, in effect. Each
/// address he names gets at most 3 times what he sent in its name and no more than the repetitions
/// of one challenge; [`PATH_CANDIDATES_AT_ONCE`] addresses at once and one every
/// [`PATH_CANDIDATE_EVERY`]. Data goes on to the proven address. **Who cannot open packets** and
/// only makes them up does nothing at all: they do not open.
///
/// Departures from RFC 9000: an answer counts only if it comes from the address that was challenged
/// (8.2.2 takes it from anywhere; then forwarding one challenge would do), and nothing but the
/// challenge goes to a candidate (9.3 sends to it at once, within the bound).
///
/// **Bounds**: two addresses, and [`MAX_PATH_RESPONSES`] answers that wait.
#[derive(Debug)]
pub(super) struct Paths {
    active: Path,
    candidate: Option<Candidate>,
    /// Answers to the other end's challenges; the newest is at the back.
    responses: VecDeque<Response>,
    /// When the next candidate may come if candidates came evenly (the virtual schedule of GCRA).
    next_candidate: Instant,
    moves: u64,
    dropped: u64,
}

/// A PATH_CHALLENGE to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Where.
    pub(super) to: SocketAddr,
    /// The token that its answer must carry.
    pub(super) token: u64,
    /// Bytes to pad the datagram to: [`LEAST_DATAGRAM`], so that the answer proves that the path
    /// carries it, or what may be sent there if that is less.
    pub(super) size: usize,
}

/// A PATH_RESPONSE to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// Where: to whoever asked.
    pub(super) to: SocketAddr,
    /// What the challenge said.
    pub(super) token: [u8; 8],
    /// Bytes to pad the datagram to, at most what that asked had: nobody draws more than what was
    /// sent.
    pub(super) size: usize,
}

/// One address.
#[derive(Debug)]
struct Path {
    addr: SocketAddr,
    proven: bool,
    /// Bytes, while it is not proven.
    received: u64,
    sent: u64,
}

/// A validation under way.
#[derive(Debug)]
struct Candidate {
    path: Path,
    pto: Duration,
    /// When the address in use has been silent long enough.
    grace: Instant,
    give_up: Instant,
    /// Whether it has answered.
    answered: bool,
    theirs: Asking,
    /// The challenge to the address in use.
    old: Asking,
}

/// The repetitions of one challenge.
#[derive(Debug)]
struct Asking {
    token: u64,
    sent: u32,
    due: Instant,
}

impl Paths {
    /// Starts at `addr`. It is `proven` if a handshake message or a cookie went there and was
    /// answered; otherwise `received` bytes have come from there and `sent` have gone.
    pub(super) const fn new(addr: SocketAddr, proven: bool, received: u64, sent: u64) -> Self {
        Self {
            active: Path { addr, proven, received, sent },
            candidate: None,
            responses: VecDeque::new(),
            next_candidate: Instant::ORIGIN,
            moves: 0,
            dropped: 0,
        }
    }

    /// The address to send to.
    pub(super) const fn addr(&self) -> SocketAddr {
        self.active.addr
    }

    /// Whether the address in use is proven.
    #[cfg(test)]
    pub(super) const fn is_validated(&self) -> bool {
        self.active.proven
    }

    /// The handshake has proven the address in use.
    #[cfg(test)]
    pub(super) const fn validate(&mut self) {
        self.active.proven = true;
    }

    /// How often the other end moved.
    #[cfg(test)]
    pub(super) const fn moves(&self) -> u64 {
        self.moves
    }

    /// Candidates that did not prove themselves, or that the address in use outlived.
    #[cfg(test)]
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes that may be sent to this address: no limit if it is proven, 3 times what came from
    /// it otherwise, none if it is neither in use nor the candidate.
    pub(super) fn allowance(&self, addr: SocketAddr) -> u64 {
        let candidate = self.candidate.as_ref().map(|candidate| &candidate.path);
        let path = [Some(&self.active), candidate].into_iter().flatten().find(|p| p.addr == addr);
        path.map_or(0, Path::allowance)
    }

    /// So many bytes were sent to this address.
    pub(super) fn handle_sent(&mut self, addr: SocketAddr, bytes: usize) {
        if let Some(path) = self.path_mut(addr) {
            path.sent = path.sent.saturating_add(as_u64(bytes));
        }
    }

    /// A packet opened: a datagram of `bytes`, `is_newest` if its number is the highest so far.
    /// `pto` is the present probe timeout, of the address in use.
    pub(super) fn handle_arrival(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: usize,
        is_newest: bool,
        pto: Duration,
        rng: &mut Rng,
    ) {
        let bytes = as_u64(bytes);
        if let Some(path) = self.path_mut(from) {
            path.received = path.received.saturating_add(bytes);
        }
        if !is_newest {
            return;
        }
        if from == self.active.addr {
            self.drop_candidate();
        } else if self.candidate.as_ref().is_none_or(|candidate| candidate.path.addr != from)
            && self.may_begin(now)
        {
            self.drop_candidate();
            let pto = pto.min(PATH_PTO_LONGEST);
            self.candidate = Some(Candidate::new(now, from, bytes, pto, rng));
        }
    }

    /// A PATH_CHALLENGE came in a datagram of `size` bytes, in a packet that opened. While nothing
    /// can be sent the oldest ones are forgotten.
    pub(super) fn handle_challenge(&mut self, from: SocketAddr, token: [u8; 8], size: usize) {
        if self.responses.len() >= MAX_PATH_RESPONSES {
            self.responses.pop_front();
        }
        self.responses.push_back(Response { to: from, token, size });
    }

    /// The next answer to send now; report its bytes by [`handle_sent`](Self::handle_sent). One
    /// that is lost is asked for again.
    pub(super) fn poll_response(&mut self) -> Option<Response> {
        while let Some(response) = self.responses.pop_front() {
            let allowed = usize::try_from(self.allowance(response.to)).unwrap_or(usize::MAX);
            // Somebody who is neither here nor coming asked: it gets nothing.
            if allowed >= LEAST_PADDED {
                return Some(Response { size: response.size.min(allowed), ..response });
            }
        }
        None
    }

    /// The next challenge to send now. It counts as sent; report its bytes by
    /// [`handle_sent`](Self::handle_sent) too.
    pub(super) fn poll_challenge(&mut self, now: Instant) -> Option<Challenge> {
        let candidate = self.candidate.as_mut()?;
        let pto = candidate.pto;
        let (theirs, old) = (&candidate.path, &self.active);
        for (path, asking) in [(old, &mut candidate.old), (theirs, &mut candidate.theirs)] {
            let size = usize::try_from(path.allowance()).unwrap_or(usize::MAX).min(LEAST_DATAGRAM);
            if now < asking.due || size < LEAST_PADDED {
                continue;
            }
            // Backoff; the end of the candidate bounds it.
            asking.due = now + pto.saturating_mul(1 << asking.sent.min(MOST_DOUBLINGS));
            asking.sent += 1;
            return Some(Challenge { to: path.addr, token: asking.token, size });
        }
        None
    }

    /// A PATH_RESPONSE came, in a packet that opened: the new address if that completes a move.
    /// Call [`handle_arrival`](Self::handle_arrival) for the packet first.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        from: SocketAddr,
        token: u64,
    ) -> Option<SocketAddr> {
        let candidate = self.candidate.as_mut()?;
        let theirs = candidate.theirs.is_answered(token);
        if !theirs && !candidate.old.is_answered(token) {
            return None;
        }
        if from == self.active.addr {
            self.drop_candidate();
            return None;
        }
        if theirs && from == candidate.path.addr {
            candidate.answered = true;
            candidate.theirs.due = Instant::FAR_FUTURE;
        }
        self.handle_timeout(now)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_challenge`](Self::poll_challenge)
    /// has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let candidate = self.candidate.as_ref()?;
        let end = if candidate.answered { candidate.grace } else { candidate.give_up };
        let can_ask = candidate.path.allowance() >= as_u64(LEAST_PADDED);
        let theirs = if can_ask { candidate.theirs.due } else { Instant::FAR_FUTURE };
        Some(end.min(theirs).min(candidate.old.due))
    }

    /// Does what is due: the new address if that completes a move.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<SocketAddr> {
        let candidate = self.candidate.as_ref()?;
        if candidate.answered && candidate.grace <= now {
            let Candidate { path, .. } = self.candidate.take()?;
            self.active = Path { proven: true, ..path };
            self.moves += 1;
            return Some(self.active.addr);
        }
        if candidate.give_up <= now {
            self.drop_candidate();
        }
        None
    }

    fn drop_candidate(&mut self) {
        if self.candidate.take().is_some() {
            self.dropped += 1;
        }
    }

    /// Whether the rate of candidates allows another one; counts it if so.
    fn may_begin(&mut self, now: Instant) -> bool {
        let ahead = PATH_CANDIDATE_EVERY.saturating_mul(PATH_CANDIDATES_AT_ONCE - 1);
        let allowed = self.next_candidate <= now + ahead;
        if allowed {
            self.next_candidate = self.next_candidate.max(now) + PATH_CANDIDATE_EVERY;
        }
        allowed
    }

    fn path_mut(&mut self, addr: SocketAddr) -> Option<&mut Path> {
        let candidate = self.candidate.as_mut().map(|candidate| &mut candidate.path);
        [Some(&mut self.active), candidate].into_iter().flatten().find(|p| p.addr == addr)
    }
}

impl Path {
    /// RFC 9000, 8.1.
    fn allowance(&self) -> u64 {
        if self.proven {
            return u64::MAX;
        }
        self.received.saturating_mul(AMPLIFICATION).saturating_sub(self.sent)
    }
}

impl Candidate {
    fn new(now: Instant, addr: SocketAddr, bytes: u64, pto: Duration, rng: &mut Rng) -> Self {
        let mut asking = || Asking { token: rng.next_u64(), sent: 0, due: now };
        Self {
            path: Path { addr, proven: false, received: bytes, sent: 0 },
            pto,
            grace: now + pto,
            give_up: now + pto.max(UNMEASURED_PTO).saturating_mul(3),
            answered: false,
            theirs: asking(),
            old: asking(),
        }
    }
}

impl Asking {
    /// Before it was sent nobody can know it.
    const fn is_answered(&self, token: u64) -> bool {
        self.sent > 0 && self.token == token
    }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Probe timeout of a path on which nothing was measured: RTT and 4 times its variation, half of it
/// (RFC 9002, 6.2.1).
const UNMEASURED_PTO: Duration = FIRST_RTT.saturating_mul(3);
/// Bytes of the smallest datagram with a challenge or a response: header, frame, tag.
const LEAST_PADDED: usize = 32 + 9 + 16;
/// Beyond it the backoff is longer than any validation.
const MOST_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests;
