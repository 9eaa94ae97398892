//! What the stories share: a store in a temporary folder, things to store, processes to run.

use std::{
    path::Path,
    process::Command,
    sync::mpsc::{self, Receiver},
};

use positron_proto::{
    id::{NetworkId, NodeId},
    identity::{Identity, Verified},
    misbehavior::{Misbehavior, Observation},
    node::{ChangeId, Snapshot},
    peers::KnownPeer,
    standings::PeerTrust,
    storage::Change,
    time::{Duration, WallTime},
    trust::{self, RememberedTrust, TrustEvent},
    wire::{
        Address,
        message::{AppMessage, Audience},
        record::{CarrierParameter, PeerRecord},
    },
};
use positron_store::{DataFolder, Options, Report, Store, StoreError};

pub(crate) const NETWORK: &str = "test network";

pub(crate) fn network() -> NetworkId {
    NetworkId::from_name(NETWORK)
}

pub(crate) fn identity(n: u16) -> Identity {
    let mut seed = [9; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    Identity::from_seed(seed)
}

pub(crate) fn node(n: u16) -> NodeId {
    identity(n).node_id()
}

pub(crate) fn at(secs: u64) -> WallTime {
    WallTime::from_unix_micros(secs * 1_000_000 + 5)
}

/// A broadcast of `bytes` bytes.
pub(crate) fn message(by: &Identity, sequence: u64, bytes: usize) -> Verified<AppMessage> {
    let content = AppMessage {
        sender: *by.public_key(),
        audience: Audience::Everyone,
        sequence,
        timestamp: at(sequence),
        payload: vec![0xA5; bytes].into(),
    };
    by.sign(content, &network())
}

pub(crate) fn peer(n: u16) -> KnownPeer {
    let by = identity(n);
    let record = PeerRecord {
        key: *by.public_key(),
        sequence: u64::from(n),
        noise_static: [3; 32],
        // Kinds and bits of a later version are kept like everything that was signed.
        capabilities: 0x8000_0000 | u32::from(n),
        addresses: vec![
            "192.0.2.7:8888".parse().unwrap(),
            Address::new(200, b"somewhere").unwrap(),
            "[2001:db8::1]:9".parse().unwrap(),
        ],
        carriers: vec![CarrierParameter::new(201, &[0xC3; 96]).unwrap()],
        software: "positron-net/0.1.0".to_owned(),
    };
    let dialled = n.is_multiple_of(2).then(|| "[fe80::1%3]:8888".parse().unwrap());
    let record = by.sign(record, &network());
    KnownPeer {
        record,
        dialled,
        proven: dialled,
        last_seen: at(u64::from(n)),
        failures: u32::from(n),
        chosen_for: Duration::from_secs(u64::from(n)),
    }
}

pub(crate) fn standing(n: u16, score: f64, banned_until: Option<WallTime>) -> Change {
    let standing = PeerTrust { score, banned_until };
    let known = RememberedTrust { peer: node(n), standing, at: at(77), ordered: None };
    trust::change::keep(&known)
}

pub(crate) fn trust_event(number: u64) -> TrustEvent {
    TrustEvent {
        peer: NodeId::from_bytes([8; 32]),
        at: at(number),
        observation: Observation::Misbehaved(Misbehavior::ForgedSignature),
        change: -0.25,
        score: 0.5,
    }
}

/// A store in `dir`, what it brought back, and its reports.
pub(crate) fn open(dir: &Path) -> Result<(Store, Snapshot, Receiver<Report>), StoreError> {
    open_with(dir, Options::default())
}

pub(crate) fn open_with(
    dir: &Path,
    options: Options,
) -> Result<(Store, Snapshot, Receiver<Report>), StoreError> {
    let (reports, inbox) = mpsc::channel();
    let on_report = Box::new(move |report| drop(reports.send(report)));
    let folder = DataFolder::lock(dir)?;
    let (store, snapshot) = Store::open_with(folder, network(), NETWORK, on_report, options)?;
    Ok((store, snapshot, inbox))
}

/// Stores all changes and closes.
pub(crate) fn store(dir: &Path, changes: impl IntoIterator<Item = Change>) {
    let (store, _, reports) = open(dir).unwrap();
    for (id, change) in (1..).map(ChangeId).zip(changes) {
        store.persist(id, change).unwrap();
    }
    store.close().unwrap();
    for report in reports {
        assert!(matches!(report, Report::Durable { .. }), "{report:?}");
    }
}

/// What the store in `dir` brings back.
pub(crate) fn snapshot(dir: &Path) -> Snapshot {
    let (store, snapshot, _) = open(dir).unwrap();
    assert_eq!(store.skipped_rows(), 0);
    snapshot
}

/// The variable that tells a child process its data folder.
pub(crate) const CHILD_DIR: &str = "POSITRON_STORE_TEST_DIR";

/// The test `name` of this binary, with `dir`, in a process of its own: `wrapper` is a command that
/// runs its arguments as a command.
pub(crate) fn child(wrapper: &[&str], name: &str, dir: &Path) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
    };
    command.args(["--exact", name, "--ignored", "--nocapture"]).env(CHILD_DIR, dir);
    command
}

/// In a child process: its data folder. `None` if it was started by hand.
pub(crate) fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD_DIR).map(Into::into)
}
