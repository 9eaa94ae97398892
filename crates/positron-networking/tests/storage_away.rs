//! Whatever takes the disk away for a while is told, waited for, and heals by itself.

use std::{path::Path, process::Command, time::Duration};

use positron_networking::{Check, Events, NetworkConfig, Node, NodeEvent};
use positron_proto::reason::End;
use tokio::time::timeout;

/// The variable that tells a child process its small disk.
const DISK: &str = "POSITRON_NETWORKING_TEST_DISK";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn start(folder: &Path) -> Node {
    let data_dir = Some(folder.to_owned());
    Node::start(NetworkConfig { data_dir, ..NetworkConfig::loopback() }).await.unwrap()
}

async fn next_of_storage(events: &mut Events) -> NodeEvent {
    let next = async {
        loop {
            match events.recv().await.expect("the node runs") {
                NodeEvent::ExternalAddresses { .. } => {}
                event => return event,
            }
        }
    };
    timeout(PATIENCE, next).await.unwrap()
}

/// Broadcasts wait while the disk is away and say for what, and complete when it is back.
async fn outlives(node: &Node, says: &str, take: impl FnOnce(), give_back: impl FnOnce()) {
    let mut events = node.events();
    node.broadcast("before").await.unwrap();
    take();
    let waiting = node.broadcast("meanwhile");
    tokio::pin!(waiting);
    let told = tokio::select! {
        sent = &mut waiting => panic!("the disk is away, and this is durable: {sent:?}"),
        event = next_of_storage(&mut events) => event,
    };
    let NodeEvent::StorageWaits { reason, detail } = told else { panic!("{told:?}") };
    assert!(detail.contains(says), "{detail}");
    assert!(reason.ends().contains(&End::Store), "{reason}");
    let storage = node.stats_now().await.storage;
    assert_eq!((storage.waits_for, storage.failed), (Some(detail), None));
    assert_eq!(storage.waiting_broadcasts, 1);
    let store = |node: &Node| {
        let checks = node.readiness().checks;
        checks.into_iter().find(|check| check.check == Check::Store).unwrap()
    };
    assert!(store(node).reason.is_some_and(|why| why.contains(says)), "{:?}", store(node));

    give_back();
    timeout(PATIENCE, waiting).await.unwrap().unwrap();
    node.broadcast("after").await.unwrap();
    let storage = node.stats_now().await.storage;
    assert_eq!((storage.waits_for, storage.waiting_broadcasts), (None, 0));
    assert!(store(node).ok, "{:?}", store(node));
    assert_eq!(next_of_storage(&mut events).await, NodeEvent::StorageBack);
}

#[cfg(unix)]
#[tokio::test]
async fn a_data_folder_that_was_moved_away_is_waited_for() {
    let above = tempfile::tempdir().unwrap();
    let (here, there) = (above.path().join("data"), above.path().join("elsewhere"));
    let node = start(&here).await;
    outlives(
        &node,
        "put it back",
        || std::fs::rename(&here, &there).unwrap(),
        || std::fs::rename(&there, &here).unwrap(),
    )
    .await;
    node.shutdown().await.unwrap();
    let node = start(&here).await;
    assert_eq!(node.stats_now().await.gossip.retained_messages, 3, "none was lost");
    node.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "runs in a process of its own, on a small disk"]
async fn on_a_small_disk() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    let (folder, ballast) = (disk.join("data"), disk.join("ballast"));
    let node = start(&folder).await;
    let fill = || drop(std::fs::write(&ballast, vec![1; 3 << 20]));
    fill();
    let mut events = node.events();
    {
        // Pages that are there already take a little more.
        let flood = node.broadcast_bytes(vec![7; 500_000].into());
        tokio::pin!(flood);
        tokio::select! {
            _ = &mut flood => panic!("there was room"),
            event = next_of_storage(&mut events) => {
                assert!(event.to_string().contains("make room on the disk"), "{event}");
            }
        }
        std::fs::remove_file(&ballast).unwrap();
        timeout(PATIENCE, flood).await.unwrap().unwrap();
    }
    node.broadcast("after").await.unwrap();
    node.shutdown().await.unwrap();
    println!("the full disk was outlived");
}

#[test]
fn a_disk_that_was_full_for_a_while_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut can = Command::new("unshare");
    can.args(["--mount", "mount", "-t", "tmpfs", "tmpfs"]).arg(dir.path());
    if !can.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: this user cannot mount a small disk");
        return;
    }
    // A mount namespace of its own: the small disk ends with the process that uses it.
    let mount = format!(r#"mount -t tmpfs -o size=3m tmpfs "${DISK}" && exec "$0" "$@""#);
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &mount])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "on_a_small_disk", "--ignored", "--nocapture"])
        .env(DISK, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("was outlived"), "{output:?}");
}
