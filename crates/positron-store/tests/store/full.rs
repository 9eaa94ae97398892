//! A full disk: told, tried again, given up; and nothing that was acknowledged is lost.

use std::{path::Path, process::Command, time::Duration};

use positron_proto::{gossip::change::keep_message, node::ChangeId, storage::Change};
use positron_store::{DataFolder, Options, Report, Store, StoreError};
use tempfile::tempdir;

use crate::rig::{
    NETWORK, child, child_dir, identity, message, network, open, open_with, snapshot,
};

fn hasty(max_bytes: u64) -> Options {
    Options { max_bytes, retry_pauses: vec![Duration::ZERO; 2] }
}

fn large(n: u64) -> Change {
    keep_message(&message(&identity(1), n, 64 * 1024))
}

/// Fills the store in `dir` one message at a time until it fails; how many were acknowledged.
fn fill(dir: &Path, options: Options) -> u64 {
    let (store, _, reports) = open_with(dir, options).unwrap();
    let mut acknowledged = 0;
    let mut retries = 0;
    for n in 1.. {
        store.persist(ChangeId(n), large(n)).unwrap();
        let outcome = loop {
            match reports.recv().unwrap() {
                Report::Retrying { attempt, why } => {
                    retries += 1;
                    assert_eq!(attempt, retries, "{why}");
                }
                outcome => break outcome,
            }
        };
        match outcome {
            Report::Durable { up_to } => acknowledged = up_to.0,
            Report::Failed { why } => {
                assert!(why.contains("make room on the disk"), "{why}");
                break;
            }
            Report::Retrying { .. } => unreachable!("read above"),
        }
    }
    assert_eq!(retries, 2);
    let refused = store.persist(ChangeId(u64::MAX), large(0)).unwrap_err();
    assert!(refused.why.contains("no room"), "{refused}");
    assert_eq!(store.backlog().changes, 0);
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
fn a_database_at_its_bound_fails_and_holds_what_it_acknowledged() {
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
    let make_room = move |report| match report {
        Report::Retrying { .. } => std::fs::remove_file(&ballast).unwrap_or(()),
        Report::Durable { .. } => {}
        Report::Failed { why } => println!("{why}"),
    };
    let (store, _) =
        Store::open(DataFolder::lock(&dir).unwrap(), network(), NETWORK, make_room).unwrap();
    for n in 1..=16 {
        store.persist(ChangeId(n), large(n)).unwrap();
    }
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
