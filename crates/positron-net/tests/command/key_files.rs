//! Key files under a passphrase: made, opened and taken back, here and by OpenSSL.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::fixture::{Fixture, Process, SOON, complains, finish};

const CONFIGURATION: i32 = 3;
const STORAGE: i32 = 4;
const START: [&str; 5] = ["start", "--host", "127.0.0.1", "--port", "0"];
const VARIABLE: &str = "POSITRON_KEY_PASSPHRASE";
const KEY: &str = "data/keys/private_key.pem";

/// A node that has lived, and its id.
fn lived(fixture: &Fixture) -> String {
    let mut node = Process::start(fixture, "data", &START);
    let id = node.started()["node_id"].as_str().unwrap().to_owned();
    node.signal("TERM");
    node.wait(SOON);
    id
}

fn id(fixture: &Fixture, change: &[&str], passphrase: Option<&str>) -> Command {
    let mut command = fixture.command(["id"].iter().chain(change).chain(&["--data-dir", "data"]));
    command.envs(passphrase.map(|text| (VARIABLE, text)));
    command
}

/// A file that only we can read.
fn secret(fixture: &Fixture, name: &str, content: &str) -> PathBuf {
    let path = fixture.file(name, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// What `openssl` with these arguments says, unless there is none.
fn openssl(fixture: &Fixture, args: &[&str]) -> Option<String> {
    let mut command = fixture.in_environment(Command::new("openssl"), args);
    let known = Command::new("openssl").arg("version").stdout(Stdio::null()).status();
    if known.is_err() {
        eprintln!("skipped: there is no openssl on this machine");
        return None;
    }
    command.env("TZ", "UTC");
    Some(finish(command).expect(0).stdout)
}

#[test]
fn a_key_is_encrypted_and_decrypted_and_the_node_keeps_its_id() {
    let fixture = Fixture::new();
    let node = lived(&fixture);
    let key = fixture.path().join(KEY);
    let plain = fs::read_to_string(&key).unwrap();

    fixture.refuses_run(id(&fixture, &["encrypt"], None), CONFIGURATION, &["key_passphrase_file"]);
    let said = finish(id(&fixture, &["encrypt"], Some("secret"))).expect(0);
    assert_eq!(said.stdout.trim(), node);
    assert!(fs::read_to_string(&key).unwrap().contains("ENCRYPTED"));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    fixture.refuses_run(id(&fixture, &[], None), STORAGE, &["encrypted", "key_passphrase_file"]);
    fixture.refuses_run(id(&fixture, &[], Some("other")), STORAGE, &["the passphrase is wrong"]);
    fixture.refuses_run(id(&fixture, &["decrypt"], Some("other")), STORAGE, &["is wrong"]);
    let said = finish(id(&fixture, &[], Some("secret"))).expect(0);
    assert_eq!(said.stdout.trim(), node);

    // A node runs on it, told by a file.
    let file = secret(&fixture, "passphrase", "secret\n");
    let mut command = fixture.command(START);
    command.env("POSITRON_KEY_PASSPHRASE_FILE", &file);
    let mut again = Process::start_as(&fixture, command, "data");
    assert_eq!(again.started()["node_id"], node.as_str());
    again.signal("TERM");
    again.wait(SOON);

    finish(id(&fixture, &["decrypt"], Some("secret"))).expect(0);
    assert_eq!(fs::read_to_string(&key).unwrap(), plain);
}

#[test]
fn a_node_takes_a_new_key_which_its_old_one_signs() {
    let fixture = Fixture::new();
    fixture.refuses_run(id(&fixture, &["rotate"], None), STORAGE, &["no node has lived"]);
    let mut running = Process::start(&fixture, "data", &START);
    let old = running.started()["node_id"].as_str().unwrap().to_owned();
    complains(id(&fixture, &["rotate"], None), STORAGE, &["keeps its key", "running"]);
    running.signal("TERM");
    running.wait(SOON);
    let key = fixture.path().join(KEY);
    let old_file = fs::read_to_string(&key).unwrap();

    finish(id(&fixture, &["encrypt"], Some("secret"))).expect(0);
    fixture.refuses_run(id(&fixture, &["rotate"], None), STORAGE, &["encrypted"]);
    let said = finish(id(&fixture, &["rotate", "--json"], Some("secret"))).expect(0);
    let said: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(said["former_node_id"], old.as_str());
    let new = said["node_id"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert!(fs::read_to_string(&key).unwrap().contains("ENCRYPTED"));
    let found = finish(id(&fixture, &[], Some("secret"))).expect(0);
    assert_eq!(found.stdout.trim(), new);

    let mut command = fixture.command(START);
    command.env(VARIABLE, "secret");
    let mut again = Process::start_as(&fixture, command, "data");
    assert_eq!(again.started()["node_id"], new.as_str());
    again.signal("TERM");
    again.wait(SOON);

    // An old copy of the key is no key any more.
    fs::write(&key, old_file).unwrap();
    let start = START.into_iter().chain(["--data-dir", "data"]);
    for refused in [fixture.command(start), id(&fixture, &["rotate"], None)] {
        let said = finish(refused).expect(STORAGE).stderr;
        assert!(said.contains("gave way") && said.contains(&new), "{said}");
    }
}

#[test]
fn openssl_reads_what_we_encrypt_and_we_read_what_it_encrypts() {
    let fixture = Fixture::new();
    let node = lived(&fixture);
    let plain = fs::read_to_string(fixture.path().join(KEY)).unwrap();
    finish(id(&fixture, &["encrypt"], Some("secret"))).expect(0);
    let read = ["pkey", "-in", KEY, "-passin", "pass:secret"];
    let Some(read) = openssl(&fixture, &read) else { return };
    assert_eq!(read, plain);
    for cost in [&["-scrypt"][..], &["-v2", "aes-256-cbc", "-iter", "600000"]] {
        fixture.file("plain.pem", &plain);
        let args = ["pkcs8", "-topk8", "-in", "plain.pem", "-out", KEY, "-passout", "pass:other"];
        openssl(&fixture, &[&args[..], cost].concat());
        let said = finish(id(&fixture, &[], Some("other"))).expect(0);
        assert_eq!(said.stdout.trim(), node);
    }
}

#[test]
fn a_passphrase_is_told_by_nothing_that_others_see() {
    let fixture = Fixture::new();
    let help = fixture.run(&["start", "--help"]).expect(0).stdout;
    assert!(!help.contains("--key-passphrase"), "{help}");
    let file = fixture.file("config.json", r#"{"key_passphrase": "secret"}"#);
    fixture.refuses(&["id", "--config", &file.to_string_lossy()], CONFIGURATION, &["unknown key"]);
    let open = fixture.file("passphrase", "secret\n");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    lived(&fixture);
    let mut command = id(&fixture, &["encrypt"], None);
    command.env("POSITRON_KEY_PASSPHRASE_FILE", open);
    fixture.refuses_run(command, STORAGE, &["can be read by others", "chmod 600"]);

    let mut command = fixture.command(["start", "--host", "127.0.0.1", "--port", "0", "-vv"]);
    command.args(["--log-level", "DEBUG"]).env(VARIABLE, "s3cr3t-w0rd");
    command.env("POSITRON_LOG_FILE", "node.log");
    let mut node = Process::start_as(&fixture, command, "data");
    node.started();
    node.signal("TERM");
    node.wait(SOON);
    for (path, content) in fixture.contents() {
        let shown = content.windows(11).any(|bytes| bytes == b"s3cr3t-w0rd");
        assert!(!shown, "{} has the passphrase", path.display());
    }
}
