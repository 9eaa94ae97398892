//! Why a score is what it is.

use std::collections::VecDeque;

use super::{TrustConfig, TrustEvent};
use crate::{
    id::NodeId,
    limits::{AUDIT_INTERVAL, MAX_ACCOUNT_EVENTS},
    misbehavior::{BanReason, Observation},
    standings::PeerTrust,
    time::WallTime,
};

/// Why the score of a peer is what it is.
///
/// `opening` and the changes of all `totals` and `drift` make the score.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustAccount {
    /// What is made of it, and until when it is refused.
    pub standing: PeerTrust,
    /// For what it is refused, if that is known: of a ban for a score from before the start it is
    /// not.
    pub refused_for: Option<BanReason>,
    /// What is made of a stranger.
    pub initial: f64,
    /// Below it a peer is refused.
    pub threshold: f64,
    /// The highest score.
    pub max: f64,
    /// Since when this account is kept: the start of the node, if the peer was known before.
    pub since: WallTime,
    /// The score at that time.
    pub opening: f64,
    /// What each kind of observation made of it since then, by kind.
    pub totals: Vec<TrustTotal>,
    /// What everything else made of it: the drift back to a stranger's, the end of a ban, the
    /// standing of a key that it succeeds.
    pub drift: f64,
    /// The last [`MAX_ACCOUNT_EVENTS`] wrongs, the oldest first; those of one kind within
    /// [`AUDIT_INTERVAL`] are one. They are remembered across restarts.
    pub recent: Vec<TrustEvent>,
    /// The score, and what the words of others add to it where it is about a stranger's: by it the
    /// peer is preferred to others or not. No ban and no merit is made of it.
    pub regard: f64,
    /// Who recommends it, the weightiest first. The first alone counts.
    pub words: Vec<TrustWord>,
}

/// What somebody said for a peer.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustWord {
    /// Who.
    pub from: NodeId,
    /// How much it trusts it, from 0.0 to 1.0.
    pub strength: f64,
    /// What its word weighs, from 0.0 to 1.0, by what it did itself.
    pub weight: f64,
}

/// What one kind of observation made of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrustTotal {
    /// Which.
    pub observation: Observation,
    /// How often it was made.
    pub times: u64,
    /// By how much the score changed, in all.
    pub change: f64,
    /// When it was made last.
    pub last: WallTime,
}

/// What is written down of a peer to tell that. Bounded by the kinds of observations and by
/// [`MAX_ACCOUNT_EVENTS`].
#[derive(Debug)]
pub(super) struct Ledger {
    since: WallTime,
    opening: f64,
    totals: Vec<TrustTotal>,
    recent: VecDeque<TrustEvent>,
    /// For what it was refused last.
    pub(super) refused_for: Option<BanReason>,
}

impl Ledger {
    pub(super) fn new(since: WallTime, opening: f64) -> Self {
        let (totals, recent) = (Vec::new(), VecDeque::new());
        Self { since, opening, totals, recent, refused_for: None }
    }

    /// Something was seen of the peer. What is routine is only summed: it would push out the rest.
    pub(super) fn note(&mut self, event: TrustEvent, is_routine: bool) {
        let TrustEvent { observation, change, at, .. } = event;
        let place = self.totals.binary_search_by_key(&observation, |total| total.observation);
        let place = place.unwrap_or_else(|place| {
            self.totals.insert(place, TrustTotal { observation, times: 0, change: 0.0, last: at });
            place
        });
        let total = &mut self.totals[place];
        total.times += 1;
        (total.change, total.last) = (total.change + change, at);
        if !is_routine {
            self.remember(event);
        }
    }

    /// One of the last wrongs.
    pub(super) fn remember(&mut self, event: TrustEvent) {
        let same = self.recent.iter_mut().rev().find(|past| {
            past.observation == event.observation && event.at.since(past.at) < AUDIT_INTERVAL
        });
        if let Some(same) = same {
            (same.change, same.score) = (same.change + event.change, event.score);
            return;
        }
        if self.recent.len() >= MAX_ACCOUNT_EVENTS {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
    }

    pub(super) fn account(
        &self,
        config: &TrustConfig,
        standing: PeerTrust,
        ordered: Option<BanReason>,
    ) -> TrustAccount {
        let seen: f64 = self.totals.iter().map(|total| total.change).sum();
        let refused_for = ordered.or_else(|| self.refused_for.clone());
        TrustAccount {
            standing,
            refused_for: refused_for.filter(|_| standing.banned_until.is_some()),
            initial: config.initial_score,
            threshold: config.min_threshold,
            max: config.max_score,
            since: self.since,
            opening: self.opening,
            totals: self.totals.clone(),
            drift: standing.score - self.opening - seen,
            recent: self.recent.iter().cloned().collect(),
            regard: standing.score,
            words: Vec::new(),
        }
    }
}

/// The same of somebody of whom nothing was seen.
pub(super) const fn of_a_stranger(
    config: &TrustConfig,
    standing: PeerTrust,
    now: WallTime,
) -> TrustAccount {
    TrustAccount {
        standing,
        refused_for: None,
        initial: config.initial_score,
        threshold: config.min_threshold,
        max: config.max_score,
        since: now,
        opening: standing.score,
        totals: Vec::new(),
        drift: 0.0,
        recent: Vec::new(),
        regard: standing.score,
        words: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::NodeId,
        misbehavior::Misbehavior,
        time::{Duration, Instant, Now},
        trust::{Trust, TrustEffect},
    };

    const FLOODS: Observation = Observation::Misbehaved(Misbehavior::Flooding);
    const VALID: Observation = Observation::ValidMessage;

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::from_micros(seconds * 1_000_000),
            wall: WallTime::from_unix_micros((1_700_000_000 + seconds) * 1_000_000),
        }
    }

    fn peer(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn observe(trust: &mut Trust, now: Now, what: Observation) -> Vec<TrustEffect> {
        let mut out = VecDeque::new();
        trust.observe(now, peer(1), what, &mut out);
        out.into()
    }

    /// The opening, what was seen and what drifted are the score.
    fn adds_up(account: &TrustAccount) -> bool {
        let seen: f64 = account.totals.iter().map(|total| total.change).sum();
        (account.opening + seen + account.drift - account.standing.score).abs() < 1e-9
    }

    #[test]
    fn the_account_of_a_score_says_what_made_it_and_how_often_and_when() {
        let mut trust = Trust::new(TrustConfig::default(), Vec::new(), at(0));
        assert_eq!(
            trust.account(at(3), &peer(1)),
            of_a_stranger(
                &TrustConfig::default(),
                PeerTrust { score: 0.5, banned_until: None },
                at(3).wall
            )
        );
        observe(&mut trust, at(10), FLOODS);
        observe(&mut trust, at(20), VALID);
        observe(&mut trust, at(30), VALID);
        let account = trust.account(at(40), &peer(1));
        let [good, wrong] = account.totals[..] else { panic!("{account:?}") };
        assert_eq!((good.observation, good.times, good.last), (VALID, 2, at(30).wall));
        assert_eq!((wrong.observation, wrong.times, wrong.last), (FLOODS, 1, at(10).wall));
        assert!(good.change > 0.0 && wrong.change < 0.0 && account.drift.abs() < 1e-9);
        assert_eq!((account.opening, account.since), (0.5, at(10).wall));
        assert_eq!(account.recent.len(), 1, "what is routine is summed");
        assert!(adds_up(&account));
        trust.handle_timeout(at(4_000), &mut VecDeque::new());
        let later = trust.account(at(4_000), &peer(1));
        assert!(later.drift > 0.0 && adds_up(&later), "{later:?}");
    }

    #[test]
    fn a_ban_is_explained_until_it_is_lifted() {
        let mut trust = Trust::new(TrustConfig::default(), Vec::new(), at(0));
        let mut out = VecDeque::new();
        trust.ban(at(1), peer(1), "sold us a horse".into(), Duration::from_secs(60), &mut out);
        let refused = |trust: &Trust, now| trust.account(now, &peer(1)).refused_for;
        assert_eq!(refused(&trust, at(2)), Some(BanReason::Ordered("sold us a horse".into())));
        trust.unban(at(3), peer(1), &mut out);
        assert_eq!(refused(&trust, at(4)), None);
        while refused(&trust, at(5)).is_none() {
            observe(&mut trust, at(5), FLOODS);
        }
        assert_eq!(refused(&trust, at(5)), Some(BanReason::Observed(FLOODS)));
        assert!(adds_up(&trust.account(at(5), &peer(1))));
    }

    #[test]
    fn a_flood_of_wrongs_takes_no_more_room_than_a_screen() {
        let config = TrustConfig { min_threshold: 0.0, ..TrustConfig::default() };
        let mut trust = Trust::new(config, Vec::new(), at(0));
        for second in 0..1_000 {
            for _ in 0..10 {
                observe(&mut trust, at(second), FLOODS);
            }
        }
        let account = trust.account(at(1_000), &peer(1));
        assert_eq!(account.recent.len(), MAX_ACCOUNT_EVENTS);
        assert_eq!(account.recent[0].at, at(1_000 - 16).wall);
        assert_eq!((account.totals.len(), account.totals[0].times), (1, 10_000));
        assert!(adds_up(&account));
    }

    #[test]
    fn wrongs_are_told_after_a_restart() {
        let mut trust = Trust::new(TrustConfig::default(), Vec::new(), at(0));
        let mut told = observe(&mut trust, at(1), FLOODS);
        observe(&mut trust, at(2), VALID);
        let mut out = VecDeque::new();
        trust.handle_timeout(at(3_700), &mut out);
        told.extend(out);
        let (mut standings, mut trail) = (Vec::new(), Vec::new());
        for effect in told {
            match effect {
                TrustEffect::Remember(known) => standings = vec![known],
                TrustEffect::Record(event) => trail.push(event),
                _ => {}
            }
        }
        assert_eq!(trail.len(), 2, "the wrong, and the sum of what is routine");
        let trust = Trust::new(TrustConfig::default(), standings, at(3_800)).with_trail(trail);
        let account = trust.account(at(3_900), &peer(1));
        assert_eq!(account.recent.len(), 1);
        assert_eq!((account.recent[0].observation, account.recent[0].at), (FLOODS, at(1).wall));
        assert_eq!((account.since, account.totals.len()), (at(3_800).wall, 0));
        assert!(adds_up(&account));
    }
}
