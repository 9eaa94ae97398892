//! How a node is, in words.

use positron_networking::{Direction, Stats};

/// What is wrong with the disk, if anything is.
pub fn storage_trouble(stats: &Stats) -> Option<String> {
    let storage = &stats.storage;
    match (&storage.failed, &storage.waits_for) {
        (Some(why), _) => Some(format!("failed: {why}")),
        (None, Some(why)) => {
            let waiting = storage.waiting_broadcasts;
            let noun = if waiting == 1 { "broadcast" } else { "broadcasts" };
            Some(format!("waits with {waiting} {noun} of ours: {why}"))
        }
        (None, None) => None,
    }
}

/// How the disk is.
pub fn storage_state(stats: &Stats) -> String {
    storage_trouble(stats).unwrap_or_else(|| match &stats.storage.folder {
        Some(folder) => format!("in {}", folder.to_string_lossy()),
        None => "in memory: nothing is kept".into(),
    })
}

/// Whether others can reach the node, and how one knows.
pub fn reachability(stats: &Stats) -> String {
    let guests = stats.peers.iter().filter(|peer| peer.direction == Direction::Inbound);
    let inbound = guests.filter(|peer| peer.address.is_some()).count();
    let is_behind = stats.nat.is_behind_nat() == Some(true);
    if stats.listen.iter().all(|address| address.ip().is_loopback()) {
        return "from this machine only: it listens on loopback".into();
    }
    match (inbound, stats.external_addresses.as_slice()) {
        // A relay may have brought them together first, and strangers have none.
        (1.., _) if is_behind => {
            format!("perhaps: it is behind a NAT, and {inbound} of its peers dialled it")
        }
        (1, _) => "yes: 1 peer has dialled it".into(),
        (2.., _) => format!("yes: {inbound} peers have dialled it"),
        (0, []) => "not known yet: nobody has dialled it so far".into(),
        (0, seen) => {
            let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
            format!("perhaps: as {}, but nobody has dialled it so far", seen.join(" or "))
        }
    }
}
