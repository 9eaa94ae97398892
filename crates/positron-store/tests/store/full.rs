//! A full disk: told, waited for without end; and nothing that was acknowledged is lost.

use std::{path::Path, process::Command, sync::mpsc, time::Duration};

use positron_proto::{gossip::change::keep_message, node::ChangeId, storage::Change};
use positron_store::{DataFolder, Options, Report, Store, StoreError};
use tempfile::tempdir;

use crate::rig::{
    NETWORK, child, child_dir, identity, message, network, open, open_with, snapshot,
};

/// Tries before a test is sure that nobody gives up: more than three, after which it once did.
const TRIES: usize = 12;

fn hasty(max_bytes: u64) -> Options {
    Options { max_bytes, retry_pauses: vec![Duration::from_millis(1)] }
}

fn large(n: u64) -> Change {
    keep_message(&message(&identity(1), n, 64 * 1024))
}

/// Fills the store in `dir` one message at a time until there is no room; how many were
/// acknowledged.
fn fill(dir: &Path, options: Options) -> u64 {
    let (store, _, reports) = open_with(dir, options).unwrap();
    let mut acknowledged = 0;
    'full: for n in 1.. {
        store.persist(ChangeId(n), large(n)).unwrap();
        for tried in 1.. {
            match reports.recv().unwrap() {
                Report::Durable { up_to } => {
                    acknowledged = up_to.0;
                    break;
                }
                Report::Retrying { attempt, why, .. } => {
                    assert_eq!(attempt, tried, "{why}");
                    assert!(why.contains("make room on the disk"), "{why}");
                    if attempt == TRIES {
                        break 'full;
                    }
                }
                Report::Failed { why, .. } => panic!("given up: {why}"),
            }
        }
    }
    // Nobody who puts something in waits for the disk.
    store.persist(ChangeId(u64::MAX), large(0)).unwrap();
    let error = store.close().unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    acknowledged
}

fn assert_holds(dir: &Path, acknowledged: u64) {
    let back = snapshot(dir);
    let numbers = back.gossip.messages.iter().map(|message| message.content().sequence);
    assert!(numbers.eq(1..=acknowledged));
}

#[test]
fn a_database_at_its_bound_waits_and_holds_what_it_acknowledged() {
    let dir = tempdir().unwrap();
    let acknowledged = fill(dir.path(), hasty(1 << 20));
    assert!((10..17).contains(&acknowledged), "{acknowledged}");
    assert_holds(dir.path(), acknowledged);
    // With room again it goes on.
    let (store, _, reports) = open(dir.path()).unwrap();
    store.persist(ChangeId(1), large(acknowledged + 1)).unwrap();
    assert_eq!(reports.recv().unwrap(), Report::Durable { up_to: ChangeId(1) });
    store.close().unwrap();
    assert_holds(dir.path(), acknowledged + 1);
}

#[test]
#[ignore = "runs in a process of its own, on a small disk"]
fn on_a_small_disk() {
    let Some(disk) = child_dir() else { return };
    let dir = disk.join("data");
    let acknowledged = fill(&dir, hasty(u64::MAX));
    assert!(acknowledged > 3, "{acknowledged}");
    assert_holds(&dir, acknowledged);
    std::fs::remove_dir_all(&dir).unwrap();

    // Something else filled the disk, and makes room when storage tells that it has none.
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let (told, reports) = mpsc::channel();
    let make_room = Box::new(move |report| {
        if matches!(report, Report::Retrying { attempt: TRIES, .. }) {
            std::fs::remove_file(&ballast).unwrap();
        }
        told.send(report).unwrap_or(());
    });
    let folder = DataFolder::lock(&dir).unwrap();
    let (store, _) =
        Store::open_with(folder, network(), NETWORK, make_room, hasty(u64::MAX)).unwrap();
    for n in 1..=16 {
        store.persist(ChangeId(n), large(n)).unwrap();
    }
    let all = Report::Durable { up_to: ChangeId(16) };
    assert!(reports.iter().any(|report| report == all));
    store.close().unwrap();
    assert!(!disk.join("ballast").exists());
    assert_holds(&dir, 16);
    println!("\nthe small disk held {acknowledged} messages");
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let dir = tempdir().unwrap();
    // A mount namespace of its own: the small disk ends with the process that uses it.
    let mount = r#"mount -t tmpfs -o size=4m tmpfs "$POSITRON_STORE_TEST_DIR" && exec "$0" "$@""#;
    let wrapper = ["unshare", "--mount", "sh", "-c", mount];
    let mut can = Command::new("unshare");
    can.args(["--mount", "mount", "-t", "tmpfs", "tmpfs"]).arg(dir.path());
    if !succeeds(&mut can) {
        println!("skipped: this user cannot mount a small disk");
        return;
    }
    let output = child(&wrapper, "full::on_a_small_disk", dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("the small disk held"), "{output:?}");
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
