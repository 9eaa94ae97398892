//! `kill -9`: everything that was acknowledged is there afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    time::Instant,
};

use positron_proto::{
    gossip::change::{forget_message, keep_floor, keep_message},
    node::{ChangeId, SequenceKind, change::reserve},
    peers,
    storage::Change,
    trust,
};
use positron_store::{DataFolder, Report, Store, StoreError, summary};
use tempfile::tempdir;

use crate::{
    glance::contents,
    rig::{
        NETWORK, child, child_dir, identity, message, network, node, open, peer, snapshot,
        standing, trust_event,
    },
};

/// Acknowledged changes after which the child is killed.
const ENOUGH: u64 = 20_000;

/// The `n`th change of the child: mostly messages, and every other kind now and then.
fn change(n: u64) -> Change {
    let small = u16::try_from(n / 16 % 1000).unwrap();
    match n % 16 {
        0 => reserve(SequenceKind::Broadcast, n),
        1 => keep_floor(&node(1), n),
        2 => peers::change::keep(&peer(small)),
        3 => standing(small, 0.75, None),
        4 => trust::change::record(&trust_event(n)),
        // The tenth of the sixteen before.
        5 => forget_message(&node(2), n.saturating_sub(11)),
        _ => keep_message(&message(&identity(2), n, 64)),
    }
}

#[test]
#[ignore = "runs in a process of its own, until it is killed"]
fn persists_until_it_is_killed() {
    let Some(dir) = child_dir() else { return };
    let acknowledge = |report| {
        let Report::Durable { up_to } = report else { panic!("{report:?}") };
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {}", up_to.0).and_then(|()| out.flush()).unwrap();
    };
    let folder = DataFolder::lock(dir).unwrap();
    let (store, _) = Store::open(folder, network(), NETWORK, acknowledge).unwrap();
    for n in 1.. {
        store.persist(ChangeId(n), change(n)).unwrap();
    }
}

/// Runs the child on `dir`, kills it, and says up to where it had acknowledged.
fn kill_in_mid_write(dir: &std::path::Path) -> u64 {
    let mut process = child(&[], "crash::persists_until_it_is_killed", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let acknowledged = BufReader::new(process.stdout.take().unwrap())
        .lines()
        .filter_map(|line| line.unwrap().strip_prefix("acknowledged ")?.parse::<u64>().ok())
        .inspect(|n| {
            if *n >= ENOUGH {
                process.kill().unwrap();
            }
        })
        .last();
    process.wait().unwrap();
    acknowledged.unwrap()
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let dir = tempdir().unwrap();
    let acknowledged = kill_in_mid_write(dir.path());
    let start = Instant::now();
    let (store, back, _) = open(dir.path()).unwrap();
    println!("{acknowledged} acknowledged, killed, reopened in {:?}", start.elapsed());
    assert_eq!(store.skipped_rows(), 0);

    let messages: BTreeSet<_> =
        back.gossip.messages.iter().map(|message| message.content().sequence).collect();
    let peers: BTreeSet<_> =
        back.peers.iter().map(|peer| peer.record.content().node_id()).collect();
    let standings: BTreeSet<_> = back.standings.iter().map(|known| known.peer).collect();
    let mut nodes = BTreeMap::new();
    let mut events = 0;
    for n in 1..=acknowledged {
        let small = u16::try_from(n / 16 % 1000).unwrap();
        let node_of = || node(small);
        match n % 16 {
            0 => assert!(back.numbers.next_broadcast >= n),
            1 => assert!(back.gossip.floors[0].1 >= n),
            2 => assert!(peers.contains(nodes.entry(small).or_insert_with(node_of))),
            3 => assert!(standings.contains(nodes.entry(small).or_insert_with(node_of))),
            4 => events += 1,
            5 => assert!(!messages.contains(&n.saturating_sub(11)), "{n} of {acknowledged}"),
            10 => {} // Kept, or forgotten again.
            _ => assert!(messages.contains(&n), "message {n} of {acknowledged}"),
        }
    }
    assert!(summary(dir.path()).unwrap().trust_events >= events);
}

#[test]
fn after_a_kill_a_summary_reads_the_log_and_leaves_it() {
    let dir = tempdir().unwrap();
    let acknowledged = kill_in_mid_write(dir.path());
    let before = contents(dir.path());
    assert!(before.contains_key("node.db-wal"));
    let summary = summary(dir.path()).unwrap();
    assert!(summary.messages >= acknowledged / 16 * 9);
    assert!(contents(dir.path()) == before);
    assert_eq!(snapshot(dir.path()).gossip.messages.len() as u64, summary.messages);
}

#[test]
#[ignore = "runs in a process of its own"]
fn tries_to_lock_the_folder() {
    let Some(dir) = child_dir() else { return };
    match DataFolder::lock(dir) {
        Err(StoreError::AlreadyRunning { pid, .. }) => println!("\nheld by {pid:?}"),
        other => println!("\n{other:?}"),
    }
}

#[test]
fn another_process_is_told_whose_folder_it_is_until_the_holder_lets_go() {
    let dir = tempdir().unwrap();
    let try_elsewhere = || {
        let output = child(&[], "crash::tries_to_lock_the_folder", dir.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (store, _, _reports) = open(dir.path()).unwrap();
    let said = try_elsewhere();
    assert!(said.contains(&format!("held by Some({})", std::process::id())), "{said}");
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("in this very process"), "{error}");
    store.close().unwrap();
    let said = try_elsewhere();
    assert!(said.contains("Ok(DataFolder"), "{said}");
}
