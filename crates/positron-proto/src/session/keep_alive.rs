//! Signs of life of one link, in both directions `[PROTOCOL 5.4]`.

use super::fault::LinkFault;
use crate::{
    limits::{INSTEAD_AFTER, MAX_PINGS_PER_SECOND, PROBE_AFTER, PROBE_TIMEOUT, RECENT_TRAFFIC},
    time::{Duration, Instant},
    wire::frame::Frame,
};

/// Whether something of ours waits to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Unacknowledged,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// Nothing yet.
    Fine,
    /// A PING waits to be sent.
    Ask,
    /// It was asked and has not answered yet: time to dial another link instead.
    Suspect,
    /// It was asked and did not answer.
    Gone,
}

/// Whether the other end of a link lives, and that this end does.
///
/// [`handle_ping`](Self::handle_ping) and [`check`](Self::check) leave PONGs and a PING that wait
/// to be [`put`](Self::put) into a record. [`poll_check`](Self::poll_check) says when silence may
/// mean something; a link that nothing can replace is never suspect, only gone.
///
/// It holds at most [`MAX_PINGS_PER_SECOND`] unanswered PINGs, and no buffer while there are none.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// When bytes arrived last.
    heard: Instant,
    /// When a message for which somebody waits went out or came in last.
    carried: Instant,
    /// Since when something of ours waits to be acknowledged, if it does.
    spoken: Instant,
    /// The question by which silence is judged.
    probed: Option<Probe>,
    /// Whether we could dial a link of another kind instead.
    replaceable: bool,
    /// The token of a PING that waits to be sent.
    ask: Option<u64>,
    /// The PING that was sent last, and when.
    asked: Option<(u64, Instant)>,
    /// Tokens that wait to be sent back.
    answers: Vec<u64>,
    tokens: u64,
    /// PINGs that arrived since the start of the current second.
    pings: (Instant, u32),
    srtt: Option<Duration>,
}

/// A PING that stands between a silent link and its end.
#[derive(Clone, Copy, Debug)]
struct Probe {
    since: Instant,
    /// Whether it was found to take long.
    suspect: bool,
}

impl KeepAlive {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            heard: now,
            carried: now,
            spoken: now,
            probed: None,
            replaceable: false,
            ask: None,
            asked: None,
            answers: Vec::new(),
            tokens: 0,
            pings: (now, 0),
            srtt: None,
        }
    }

    /// Whether a link of another kind could be dialled instead.
    pub(super) const fn set_replaceable(&mut self, replaceable: bool) {
        self.replaceable = replaceable;
    }

    /// Asks with this token as soon as something is sent.
    pub(super) const fn ask(&mut self, token: u64) {
        self.ask = Some(token);
    }

    /// The first PING of the link was said, past [`put`](Self::put).
    pub(super) const fn handle_asked(&mut self, now: Instant, token: u64) {
        self.asked = Some((token, now));
    }

    /// A PING arrived; its PONG waits to be sent.
    pub(super) fn handle_ping(&mut self, now: Instant, token: u64) -> Result<(), LinkFault> {
        let (start, count) = &mut self.pings;
        if now.since(*start) >= Duration::from_secs(1) {
            (*start, *count) = (now, 0);
        }
        *count += 1;
        if *count > MAX_PINGS_PER_SECOND {
            return Err(LinkFault::flooding("too many PINGs"));
        }
        // While the peer does not read, its oldest questions are forgotten.
        if u32::try_from(self.answers.len()).is_ok_and(|waiting| waiting >= MAX_PINGS_PER_SECOND) {
            self.answers.remove(0);
        }
        self.answers.push(token);
        Ok(())
    }

    /// A PONG arrived: how long ago our PING left, if it answers that.
    pub(super) fn handle_pong(&mut self, now: Instant, token: u64) -> Option<Duration> {
        let (_, sent) = self.asked.take_if(|(asked, _)| *asked == token)?;
        // RFC 6298, 2.2 and 2.3, with alpha 1/8.
        let sample = now.since(sent);
        self.srtt = Some(self.srtt.map_or(sample, |srtt| srtt - srtt / 8 + sample / 8));
        Some(sample)
    }

    /// Asks as soon as something is sent, for who wants to know how long it takes: silence is not
    /// held against the link for it.
    pub(super) fn ping(&mut self) {
        self.tokens += 1;
        self.ask.get_or_insert(self.tokens);
    }

    /// Whether nothing was heard for as long as a link in use is not silent, and nobody asked.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        now.since(self.heard) >= PROBE_AFTER && self.ask.is_none() && self.asked.is_none()
    }

    /// Whether a PING or PONG waits to be sent.
    pub(super) const fn is_pending(&self) -> bool {
        self.ask.is_some() || !self.answers.is_empty()
    }

    /// Appends the PINGs and PONGs that wait.
    pub(super) fn put(&mut self, now: Instant, out: &mut Vec<u8>) {
        for token in self.answers.drain(..) {
            Frame::Pong { token }.encode(out);
        }
        self.answers = Vec::new();
        if let Some(token) = self.ask.take() {
            self.asked = Some((token, now));
            Frame::Ping { token }.encode(out);
        }
    }

    /// Bytes arrived, whatever they are.
    pub(super) const fn handle_sign_of_life(&mut self, now: Instant) {
        self.heard = now;
        self.probed = None;
    }

    /// Something arrived then, perhaps less than a record.
    pub(super) fn handle_heard(&mut self, then: Instant) {
        if then > self.heard && self.probed.is_none_or(|probe| then > probe.since) {
            self.handle_sign_of_life(then);
        }
    }

    /// Something goes out, and nothing before it waits to be acknowledged.
    pub(super) const fn handle_spoken(&mut self, now: Instant) {
        self.spoken = now;
    }

    /// Since when something waits to be acknowledged, if it does.
    pub(super) const fn spoken(&self) -> Instant {
        self.spoken
    }

    /// A message for which somebody waits went out or came in.
    pub(super) const fn handle_carried(&mut self, now: Instant) {
        self.carried = now;
    }

    /// Whether it left a PING unanswered for so long that another link was dialled instead.
    pub(super) fn is_suspect(&self) -> bool {
        self.probed.is_some_and(|probe| probe.suspect)
    }

    /// How long the peer has been silent, and since when it was asked.
    pub(super) fn check(
        &mut self,
        now: Instant,
        waiting: Waiting,
        heartbeat: Duration,
    ) -> Liveness {
        if self.poll_check(waiting, heartbeat) > now {
            return Liveness::Fine;
        }
        match &mut self.probed {
            Some(probe) if self.replaceable && !probe.suspect => {
                probe.suspect = true;
                return Liveness::Suspect;
            }
            Some(_) => return Liveness::Gone,
            None => {}
        }
        self.probe(now);
        Liveness::Ask
    }

    /// Asks now, unless it was asked already, and holds silence from now on against the link.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.probed.is_none() {
            self.probed = Some(Probe { since: now, suspect: false });
            // Authenticated already, so a counter does: dice are for ephemeral keys only.
            self.tokens += 1;
            self.ask.get_or_insert(self.tokens);
        }
    }

    /// Asks now though it was asked before: that question may have gone nowhere, from a network in
    /// which we are no more.
    pub(super) fn probe_anew(&mut self, now: Instant) {
        self.probed.take_if(|probe| !probe.suspect);
        self.probe(now);
    }

    /// When [`check`](Self::check) may come to something else than fine.
    pub(super) fn poll_check(&self, waiting: Waiting, heartbeat: Duration) -> Instant {
        match self.probed {
            Some(probe) if self.replaceable && !probe.suspect => probe.since + INSTEAD_AFTER,
            Some(probe) => probe.since + PROBE_TIMEOUT,
            None => self.next_question(waiting, heartbeat),
        }
    }

    fn next_question(&self, waiting: Waiting, heartbeat: Duration) -> Instant {
        let busy = (self.heard + PROBE_AFTER).since(self.carried) < RECENT_TRAFFIC;
        match waiting {
            _ if busy => self.heard + PROBE_AFTER,
            Waiting::Unacknowledged => self.heard.max(self.spoken) + PROBE_AFTER,
            Waiting::Nothing => self.heard + heartbeat.max(PROBE_AFTER),
        }
    }

    /// Smoothed round trip time, once known.
    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.srtt
    }
}
