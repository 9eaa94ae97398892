//! Whether a node can do its work, and if not, what is missing: one check for each cause, which
//! comes and goes with it.

use core::fmt::Write as _;

use super::NodeView;
use crate::{
    limits::{CLOCK_EARLIEST, CLOCK_LATEST, LATE_WAKE, MAX_BACKLOG_BYTES, MAX_PENDING_BROADCASTS},
    metric::{MetricLabel as _, label},
    time::{Duration, WallTime},
};

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadyCheck {
    /// It listens.
    Socket,
    /// The time of day is possible.
    Clock,
    /// The disk takes what it is given.
    Store,
    /// There are as many peers as there should be.
    Peers,
    /// What it was given to do has room, and it wakes in time.
    Load,
    /// Nobody told it to stop.
    Stopping,
}

label! {
    ReadyCheck as "check" {
        Socket => "socket",
        Clock => "clock",
        Store => "store",
        Peers => "peers",
        Load => "load",
        Stopping => "stopping",
    }
}

impl ReadyCheck {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::Socket, Self::Clock, Self::Store, Self::Peers, Self::Load, Self::Stopping];

    /// The same word everywhere.
    pub fn word(self) -> &'static str {
        Self::KEY.words[self.place()]
    }
}

/// What only the driver knows of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether its sockets are bound.
    pub is_bound: bool,
    /// The time of day.
    pub wall: WallTime,
    /// How old the view is.
    pub age: Duration,
}

/// Whether a node can do its work.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Readiness {
    /// Whether every check holds.
    pub ready: bool,
    /// The same in words, with the first thing that is missing.
    pub sentence: String,
    /// Each check.
    pub checks: Vec<ReadinessCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReadinessCheck {
    /// What is checked.
    pub check: ReadyCheck,
    /// Whether it holds.
    pub ok: bool,
    /// Why not, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Why a check does not hold, and what to do about it.
type Missing = (String, &'static str);

impl Readiness {
    /// Looks at a node.
    pub fn of(view: &NodeView, around: Surroundings) -> Self {
        let missing = |check| match check {
            ReadyCheck::Socket => socket(around),
            ReadyCheck::Clock => clock(around.wall),
            ReadyCheck::Store => store(view),
            ReadyCheck::Peers => peers(view),
            ReadyCheck::Load => load(view, around),
            ReadyCheck::Stopping => stopping(view),
        };
        let checks: Vec<_> =
            ReadyCheck::ALL.map(|check| ReadinessCheck::new(check, missing(check))).into();
        let mut missing = checks.iter().filter_map(|check| check.reason.as_deref());
        let sentence = match (missing.next(), missing.count()) {
            (None, _) => format!("ready, with {}", count(view.peers.len(), "peer")),
            (Some(first), 0) => format!("not ready: {first}"),
            (Some(first), more) => format!("not ready: {first}, and {more} more"),
        };
        Self { ready: checks.iter().all(|check| check.ok), sentence, checks }
    }
}

impl ReadinessCheck {
    fn new(check: ReadyCheck, missing: Option<Missing>) -> Self {
        let (reason, remedy) = missing.unzip();
        Self { check, ok: reason.is_none(), reason, remedy: remedy.map(str::to_owned) }
    }
}

fn socket(around: Surroundings) -> Option<Missing> {
    let reason = || "no socket is bound".to_owned();
    (!around.is_bound).then(|| (reason(), "start the node; its log says why it ended"))
}

fn clock(wall: WallTime) -> Option<Missing> {
    let remedy = "set the clock of this machine, or have it set by NTP";
    let told = wall.rfc3339();
    let reason = if wall < CLOCK_EARLIEST {
        format!("the clock says {told}, which was before this program was made")
    } else if wall > CLOCK_LATEST {
        format!("the clock says {told}, which is too far ahead to be true")
    } else {
        return None;
    };
    Some((reason, remedy))
}

fn store(view: &NodeView) -> Option<Missing> {
    let storage = &view.storage;
    let mut told = match (&storage.failed, &storage.waits_for) {
        (Some(why), _) => format!("storage failed: {why}"),
        (None, Some(why)) => format!("storage takes nothing for now: {why}"),
        (None, None) => return None,
    };
    if let Some(reason) = storage.reason {
        let _ = write!(told, " ({reason})");
    }
    Some((told, storage.reason.map_or("look at the disk", |reason| reason.remedy())))
}

fn peers(view: &NodeView) -> Option<Missing> {
    let (linked, wanted) = (view.peers.len(), view.min_peers);
    let remedy = "see `positron-net status` for what became of dials, join a node that runs, or \
                  lower `min_peers`";
    (linked < wanted)
        .then(|| (format!("{} of at least {wanted} (`min_peers`)", count(linked, "peer")), remedy))
}

/// Only what strangers cannot bring about: whoever could would take a node out of service by it.
fn load(view: &NodeView, around: Surroundings) -> Option<Missing> {
    let late = view.next_wake.map_or(Duration::ZERO, |(wake, _)| around.age.saturating_sub(wake));
    let used = [
        (view.storage.waiting_bytes, MAX_BACKLOG_BYTES, "bytes that wait for the disk"),
        (view.storage.waiting_broadcasts, MAX_PENDING_BROADCASTS, "broadcasts that wait"),
    ];
    if late > LATE_WAKE {
        let reason = format!("the node acts {:.1} s too late", late.as_secs_f64());
        return Some((reason, "give its machine or its runtime more time: something blocks it"));
    }
    let (used, limit, what) = used.into_iter().find(|(used, limit, _)| used >= limit)?;
    let remedy = "see `positron-net stats` for what comes in, and limit who brings it";
    Some((format!("{used} of {limit} {what}"), remedy))
}

fn stopping(view: &NodeView) -> Option<Missing> {
    let reason = || "the node is stopping".to_owned();
    view.is_stopping.then(|| (reason(), "nothing; start it again when it has stopped"))
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        identity::Identity,
        node::{Command, Input, NodeConfig, NodeCore, Snapshot, Wake},
        reason::Reason,
        rng::Seed,
        time::{Instant, Now},
    };

    /// A node of the default configuration and this number of peers that it wants, and the time.
    fn node(min_peers: usize) -> (NodeCore, Now) {
        let now = Now { mono: Instant::from_micros(1), wall: CLOCK_EARLIEST };
        let mut config = NodeConfig::default();
        config.peers.min_peers = min_peers;
        let me = Arc::new(Identity::from_seed([1; 32]));
        let seed = Seed::from_number(1);
        (NodeCore::new(config, me, Snapshot::default(), &seed, now), now)
    }

    const CALM: Surroundings =
        Surroundings { is_bound: true, wall: CLOCK_EARLIEST, age: Duration::ZERO };

    /// What does not hold.
    fn missing(view: &NodeView, around: Surroundings) -> Vec<ReadyCheck> {
        let readiness = Readiness::of(view, around);
        let missing: Vec<_> =
            readiness.checks.iter().filter(|check| !check.ok).map(|check| check.check).collect();
        assert_eq!(readiness.ready, missing.is_empty());
        assert_eq!(
            readiness.checks.iter().map(|check| check.check).collect::<Vec<_>>(),
            ReadyCheck::ALL
        );
        for check in &readiness.checks {
            assert_eq!(check.ok, check.reason.is_none() && check.remedy.is_none(), "{check:?}");
        }
        assert_eq!(readiness.sentence.starts_with("not ready"), !readiness.ready);
        missing
    }

    #[test]
    fn a_seed_alone_in_its_network_is_ready() {
        let (core, now) = node(0);
        assert_eq!(missing(&core.view(now), CALM), []);
    }

    #[test]
    fn a_socket_that_is_not_bound_comes_and_goes() {
        let (core, now) = node(0);
        let view = core.view(now);
        assert_eq!(missing(&view, Surroundings { is_bound: false, ..CALM }), [ReadyCheck::Socket]);
        assert_eq!(missing(&view, CALM), []);
    }

    #[test]
    fn an_impossible_clock_comes_and_goes() {
        let (core, now) = node(0);
        let view = core.view(now);
        let second = Duration::from_secs(1);
        for wall in [WallTime::default(), CLOCK_EARLIEST - second, CLOCK_LATEST + second] {
            assert_eq!(missing(&view, Surroundings { wall, ..CALM }), [ReadyCheck::Clock]);
        }
        for wall in [CLOCK_EARLIEST, CLOCK_LATEST] {
            assert_eq!(missing(&view, Surroundings { wall, ..CALM }), []);
        }
    }

    #[test]
    fn a_disk_that_waits_comes_and_goes_and_one_that_failed_stays() {
        let (mut core, now) = node(0);
        let why = || "no room".to_owned();
        core.handle(now, Input::StorageWaits { reason: Reason::DiskFull, why: why() });
        let readiness = Readiness::of(&core.view(now), CALM);
        assert_eq!(missing(&core.view(now), CALM), [ReadyCheck::Store]);
        let check = &readiness.checks[2];
        assert_eq!(
            check.reason.as_deref(),
            Some("storage takes nothing for now: no room (disk_full)")
        );
        assert_eq!(check.remedy.as_deref(), Some(Reason::DiskFull.remedy()));
        core.handle(now, Input::Persisted { up_to: crate::node::ChangeId(0) });
        assert_eq!(missing(&core.view(now), CALM), []);
        core.handle(now, Input::StorageFailed { reason: Reason::Corrupt, why: why() });
        assert_eq!(missing(&core.view(now), CALM), [ReadyCheck::Store]);
    }

    #[test]
    fn too_few_peers_come_and_go() {
        let (core, now) = node(2);
        let mut view = core.view(now);
        assert_eq!(missing(&view, CALM), [ReadyCheck::Peers]);
        view.min_peers = 0;
        assert_eq!(missing(&view, CALM), []);
    }

    #[test]
    fn too_much_work_comes_and_goes() {
        let (core, now) = node(0);
        let mut view = core.view(now);
        view.storage.waiting_bytes = MAX_BACKLOG_BYTES;
        assert_eq!(missing(&view, CALM), [ReadyCheck::Load]);
        view.storage.waiting_bytes = MAX_BACKLOG_BYTES - 1;
        assert_eq!(missing(&view, CALM), []);
        view.storage.waiting_broadcasts = MAX_PENDING_BROADCASTS;
        assert_eq!(missing(&view, CALM), [ReadyCheck::Load]);
        view.storage.waiting_broadcasts = 0;
        view.next_wake = Some((Duration::from_secs(5), Wake::Peers));
        let late = |age| Surroundings { age, ..CALM };
        let on_time = Duration::from_secs(5) + LATE_WAKE;
        assert_eq!(missing(&view, late(on_time)), []);
        assert_eq!(missing(&view, late(on_time + Duration::from_millis(1))), [ReadyCheck::Load]);
    }

    #[test]
    fn a_node_that_stops_says_so() {
        let (mut core, now) = node(0);
        core.command(now, Command::Stop).expect("it runs");
        assert_eq!(missing(&core.view(now), CALM), [ReadyCheck::Stopping]);
    }
}
