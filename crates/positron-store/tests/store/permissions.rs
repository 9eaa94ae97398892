//! Who may look, and what the others are told.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use positron_proto::{peers, reason::Reason};
use positron_store::{StoreError, summary};
use tempfile::tempdir;

use crate::rig::{child, child_dir, open, peer, store};

#[test]
fn only_its_owner_may_look_into_a_new_folder() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("deep").join("data");
    let (_store, ..) = open(&data).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(data.parent().unwrap())), (0o700, 0o700));
    for file in ["node.lock", "node.db", "node.db-wal"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[test]
#[ignore = "runs in a process of its own, as a user who may not"]
fn tries_to_use_the_folder_of_another_user() {
    let Some(dir) = child_dir() else { return };
    for name in ["closed", "file closed", "read only"] {
        let error = open(&dir.join(name)).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Permission { .. }), "{name}: {error:?}");
        assert_eq!(Reason::from(&error), Reason::PermissionDenied);
        println!("{error}");
    }
    // One that we may write is not ours either: so may others.
    let error = open(&dir.join("for all")).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::NotOurs { .. }), "{error:?}");
    assert_eq!(Reason::from(&error), Reason::NotOurs);
    println!("{error}");
    for name in ["closed", "file closed"] {
        let error = summary(dir.join(name)).unwrap_err();
        assert!(matches!(error, StoreError::Permission { .. }), "{name}: {error:?}");
        println!("{error}");
    }
    assert_eq!(summary(dir.join("read only")).unwrap().peers, 1);
    println!("\nevery door was closed");
}

#[test]
fn a_folder_of_another_user_is_refused_with_a_reason() {
    let dir = tempdir().unwrap();
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(dir.path(), 0o755);
    for (name, folder, file) in [
        ("closed", 0o700, 0o600),
        ("file closed", 0o755, 0o600),
        ("read only", 0o755, 0o644),
        ("for all", 0o777, 0o666),
    ] {
        let data = dir.path().join(name);
        store(&data, [peers::change::keep(&peer(1))]);
        allow(&data, folder);
        allow(&data.join("node.db"), file);
    }
    let this = std::env::current_exe().unwrap();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut can = Command::new(nobody[0]);
    can.args(&nobody[1..]).arg(&this).arg("--list");
    if !can.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: needs root, setpriv, and a test binary that everybody may run");
        return;
    }
    let name = "permissions::tries_to_use_the_folder_of_another_user";
    let output = child(&nobody, name, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("every door was closed"), "{output:?}");
    println!("{said}");
}
