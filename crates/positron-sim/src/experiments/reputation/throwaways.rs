//! A million identities that each do one wrong at one node.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    limits::{MAX_ACCOUNT_EVENTS, MAX_OBSERVED, MAX_STRANGERS, MAX_TRUST_EVENTS},
    misbehavior::{Misbehavior, Observation},
    rng::Seed,
    standings::PeerTrust,
    storage::{Change, Rule},
    time::{Duration, Now},
    trust::{Trust, TrustAccount, TrustConfig, TrustEffect, TrustEvent, TrustTotal, change},
};

use super::{super::figure::Figure, town::START};

/// Nodes that did well before, and how often.
const HONEST: u64 = 1_000;
const GOOD_DEEDS: u32 = 100;
/// Time between two liars.
const PACE: Duration = Duration::from_millis(10);
/// Between two looks at how much there is.
const LOOK: usize = 10_000;

/// Who the liars are to the node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It dialled them, or they were linked for a minute.
    Acquainted,
    /// They came a moment ago.
    Strangers,
}

/// What became of it.
#[derive(Default)]
struct Outcome {
    /// The most that there was at any time.
    observed: usize,
    banned: usize,
    bytes: usize,
    rows: usize,
    /// Changes that were given to storage, beyond those that there are without liars.
    written: usize,
    row_bytes: usize,
    /// Of what honest nodes earned, the most that differs from what it is without liars.
    lost: f64,
    /// Honest nodes that are refused or forgotten.
    wronged: usize,
}

/// A disk that follows the rules of the tables.
#[derive(Default)]
struct Disk {
    tables: BTreeMap<&'static str, Rows>,
    written: usize,
}

/// The rows of one table.
#[derive(Default)]
struct Rows {
    /// How many bytes each has.
    by_key: BTreeMap<Bytes, usize>,
    /// Those of a log, the oldest first.
    lines: VecDeque<Bytes>,
}

/// Each liar does one wrong; those of the third story do two, and are refused for it.
pub(super) fn figures(liars: usize, seed: &Seed) -> Vec<Figure> {
    let told = |what, measured: usize| Figure::told(what, measured as f64, "");
    let once = play(liars, Standing::Acquainted, 1, seed);
    let twice = play(liars, Standing::Acquainted, 2, seed);
    let strangers = play(liars, Standing::Strangers, 1, seed);
    let most_rows = (MAX_OBSERVED + MAX_TRUST_EVENTS) as f64;
    let most_bytes = MAX_OBSERVED * MAX_ACCOUNT_EVENTS * size_of::<TrustEvent>();
    let bytes = |what, outcome: &Outcome| told(what, outcome.bytes).at_most(most_bytes as f64);
    let kept = |what, outcome: &Outcome| Figure::told(what, outcome.lost, "").at_most(0.0);
    vec![
        told("liars: identities that do one wrong each", liars),
        told("liars, known: remembered, the most", once.observed).at_most(MAX_OBSERVED as f64),
        bytes("liars, known: bytes of accounts, the most", &once),
        told("liars, known: rows kept, the most", once.rows).at_most(most_rows),
        told("liars, known: bytes of rows kept", once.row_bytes),
        Figure::told("liars, known: rows written for each", once.written_each(liars), ""),
        kept("liars, known: of honest scores lost, the most", &once),
        told("liars, known: honest refused or forgotten", once.wronged).at_most(0.0),
        told("liars that are refused: at once, the most", twice.banned)
            .at_most(MAX_OBSERVED as f64),
        told("liars that are refused: remembered, the most", twice.observed)
            .at_most(MAX_OBSERVED as f64),
        told("liars that are refused: rows kept, the most", twice.rows).at_most(most_rows),
        Figure::told(
            "liars that are refused: rows written for each",
            twice.written_each(liars),
            "",
        ),
        bytes("liars that are refused: bytes of accounts, the most", &twice),
        kept("liars that are refused: of honest scores lost, the most", &twice),
        told("liars that are refused: honest refused or forgotten", twice.wronged).at_most(0.0),
        told("liars, strangers: remembered, the most", strangers.observed)
            .at_most(HONEST as f64 + MAX_STRANGERS as f64),
        Figure::told("liars, strangers: rows written for each", strangers.written_each(liars), "")
            .at_most(0.0),
        kept("liars, strangers: of honest scores lost, the most", &strangers),
        told("liars, strangers: honest refused or forgotten", strangers.wronged).at_most(0.0),
    ]
}

fn play(liars: usize, standing: Standing, wrongs: u32, seed: &Seed) -> Outcome {
    let mut now = START;
    let new = || Trust::new(TrustConfig::default(), Vec::new(), START);
    // The second one never hears of a liar.
    let (mut trust, mut alone) = (new(), new());
    let mut calm = VecDeque::new();
    let (mut out, mut disk, mut outcome) = (VecDeque::new(), Disk::default(), Outcome::default());
    let mut keys = seed.stream("honest");
    let honest: Vec<NodeId> = (0..HONEST).map(|_| NodeId::from_bytes(keys.bytes())).collect();
    for &peer in &honest {
        for _ in 0..GOOD_DEEDS {
            trust.observe(now, peer, Observation::ValidMessage, &mut out);
            alone.observe(now, peer, Observation::ValidMessage, &mut calm);
        }
    }
    // What this one keeps goes to a disk of its own.
    let mut alone_disk = Disk::default();
    alone_disk.take(&mut calm);
    disk.take(&mut out);
    let mut keys = seed.stream("liars");
    for liar in 0..liars {
        now = Now { mono: now.mono + PACE, wall: now.wall + PACE };
        trust.handle_timeout(now, &mut out);
        alone.handle_timeout(now, &mut calm);
        alone_disk.take(&mut calm);
        let peer = NodeId::from_bytes(keys.bytes());
        for _ in 0..wrongs {
            match standing {
                Standing::Acquainted => trust.observe(now, peer, LIES, &mut out),
                Standing::Strangers => trust.observe_stranger(now, peer, LIES, &mut out),
            }
        }
        disk.take(&mut out);
        outcome.look(&trust, &disk);
        if liar.is_multiple_of(LOOK) || liar + 1 == liars {
            outcome.bytes = outcome.bytes.max(bytes_of_accounts(&trust, now));
        }
    }
    outcome.written = disk.written.saturating_sub(alone_disk.written);
    outcome.row_bytes = disk.bytes();
    for peer in &honest {
        let (with, without) = (trust.standings().of(peer), alone.standings().of(peer));
        outcome.lost = outcome.lost.max(without.score - with.score);
        let is_wronged = with.banned_until.is_some() || !trust.standings().knows(peer);
        outcome.wronged += usize::from(is_wronged);
    }
    outcome
}

impl Outcome {
    fn look(&mut self, trust: &Trust, disk: &Disk) {
        self.observed = self.observed.max(trust.standings().len());
        self.banned = self.banned.max(trust.standings().banned());
        self.rows = self.rows.max(disk.rows());
    }

    fn written_each(&self, liars: usize) -> f64 {
        self.written as f64 / liars as f64
    }
}

impl Disk {
    fn take(&mut self, out: &mut VecDeque<TrustEffect>) {
        for change in out.drain(..).filter_map(|effect| change::of(&effect)) {
            self.write(change);
        }
    }

    fn write(&mut self, change: Change) {
        let name = change.table.name;
        self.written += 1;
        let rows = self.tables.entry(name).or_default();
        match change.value {
            None => {
                rows.by_key.remove(&change.key);
            }
            Some(value) => {
                let bytes = change.key.len() + value.len();
                let is_new = rows.by_key.insert(change.key.clone(), bytes).is_none();
                if let Rule::Log { newest } = change.table.rule
                    && is_new
                {
                    rows.lines.push_back(change.key);
                    if rows.lines.len() > newest {
                        let oldest = rows.lines.pop_front().unwrap_or_default();
                        rows.by_key.remove(&oldest);
                    }
                }
            }
        }
    }

    fn rows(&self) -> usize {
        self.tables.values().map(|rows| rows.by_key.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.tables.values().flat_map(|rows| rows.by_key.values()).sum()
    }
}

/// What all accounts take, by the size of their parts and of what stands in the tables that lend
/// them.
fn bytes_of_accounts(trust: &Trust, now: Now) -> usize {
    let each = trust.standings().iter().map(|(peer, _)| {
        let account = trust.account(now, peer);
        size_of::<TrustAccount>()
            + 2 * size_of::<NodeId>()
            + size_of::<PeerTrust>()
            + account.totals.len() * size_of::<TrustTotal>()
            + account.recent.len() * size_of::<TrustEvent>()
    });
    each.sum()
}

/// What a liar does.
const LIES: Observation = Observation::Misbehaved(Misbehavior::ForgedSignature);
