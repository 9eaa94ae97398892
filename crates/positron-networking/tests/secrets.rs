//! Where the secrets of a running node lie in its memory.
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
};

use common::{child::Process, config, start, until};
use positron_networking::{NetworkConfig, TransportPolicy, keys};

/// Bytes that are read at once, of one region.
const STEP: usize = 4 << 20;

#[test]
fn node_of_another_process() {
    common::child::be_the_node(config());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_has_one_place_in_the_memory_of_a_node_and_the_library_that_signs_has_another() {
    let folder = tempfile::tempdir().unwrap();
    // A node that made its key, and one that read it.
    for life in ["new", "again"] {
        let node = Process::start_in(folder.path());
        let mut peers = Vec::new();
        for transport in [TransportPolicy::Udp, TransportPolicy::Tcp] {
            let bootstrap_nodes = vec![node.address.to_string()];
            let peer = start(NetworkConfig { transport, bootstrap_nodes, ..config() }).await;
            until("a link", || peer.stats().active_peers > 0).await;
            peers.push(peer);
        }
        let key = folder.path().join("keys/private_key.pem");
        let text = fs::read_to_string(&key).unwrap();
        let identity = keys::load(&key, None).unwrap().unwrap();
        // The end of the key file's line: 30 of the 32 bytes.
        let base64 = &text.lines().nth(1).unwrap().as_bytes()[24..];
        let needles = [identity.seed().as_slice(), identity.link_secret(), base64];
        match count(node.pid(), needles) {
            Ok([seed, _, file]) => assert_eq!((seed, file), (2, 0), "{life}"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!("skipped: the memory of another process cannot be read: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
        // Each handshake has the secret of links, too, as long as it is under way.
        let what = format!("{life}: one place for the secret of links");
        until(&what, || count(node.pid(), needles).unwrap() == [2, 1, 0]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_and_what_it_opens_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("keys/private_key.pem");
    let word = "a passphrase that is nowhere else";
    let passphrase = keys::Passphrase::new(word.to_owned()).unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    fs::write(folder.path().join("passphrase"), word).unwrap();
    let own = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    own(&folder.path().join("passphrase"));
    fs::write(&key, "").unwrap();
    own(&key);
    let made = keys::Identity::from_seed([0x3B; 32]);
    let seed: [u8; 32] = std::array::from_fn(|at| made.public_key().as_bytes()[at] ^ 0x77);
    let identity = keys::Identity::from_seed(seed);
    keys::replace(&key, &identity, Some(&passphrase)).unwrap();
    let node = Process::start_in(folder.path());
    assert_eq!(node.id, identity.node_id());
    let needles = [identity.seed().as_slice(), identity.link_secret(), word.as_bytes()];
    match count(node.pid(), needles) {
        Ok(found) => assert_eq!(found, [2, 1, 0]),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: the memory of another process cannot be read: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_given_in_memory_is_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start_with_key_in(folder.path());
    let identity = common::child::given();
    assert_eq!(node.id, identity.node_id());
    assert!(!folder.path().join("keys").exists(), "no file of the key was made");
    let needles = [identity.seed().as_slice(), identity.link_secret(), &[0xA5; 30]];
    match count(node.pid(), needles) {
        Ok([seed, link, _]) => assert_eq!((seed, link), (2, 1)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: the memory of another process cannot be read: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

/// How often each of these lies in the memory of a process that it can write to.
fn count(pid: u32, needles: [&[u8]; 3]) -> io::Result<[usize; 3]> {
    let of_process = |name: &str| Path::new("/proc").join(pid.to_string()).join(name);
    let memory = File::open(of_process("mem"))?;
    let mut found = [0; 3];
    let mut read = 0;
    for line in fs::read_to_string(of_process("maps"))?.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap()).into();
        let mut bytes = vec![0; STEP + 64];
        for at in (from..to).step_by(STEP) {
            let size = usize::try_from(to - at).unwrap().min(bytes.len());
            // A region that is gone meanwhile holds nothing.
            let Ok(size) = memory.read_at(&mut bytes[..size], at) else { continue };
            read += size;
            for (needle, found) in needles.iter().zip(&mut found) {
                // What begins in the overlap is counted with the next step.
                let starts = bytes[..size].windows(needle.len()).take(STEP);
                *found += starts.filter(|bytes| bytes == needle).count();
            }
        }
    }
    assert!(read > 1 << 20, "only {read} bytes of a node's memory were read");
    Ok(found)
}
