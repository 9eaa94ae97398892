//! Each bad input gets one clear message and its exit code, and changes nothing on the disk.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
    process::Command,
};

use crate::fixture::{Fixture, Process, SOON, changes};

const USAGE: i32 = 2;
const CONFIGURATION: i32 = 3;
const STORAGE: i32 = 4;
const NETWORK: i32 = 5;
const UNREACHABLE: i32 = 6;

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    let fixture = Fixture::new();
    fixture.file("c.json", "{\n  \"port\": 8889,\n  \"gosip_fanout\": 3\n}\n");
    let words = ["c.json:3:16", "`gosip_fanout`", "`gossip_fanout`"];
    fixture.refuses(&["start", "--config", "c.json"], CONFIGURATION, &words);
}

#[test]
fn a_configuration_that_is_no_json_or_has_a_wrong_value_is_refused_with_its_place() {
    let fixture = Fixture::new();
    fixture.file("broken.json", "{\n  \"port\": \n}\n");
    fixture.refuses(&["start", "-c", "broken.json"], CONFIGURATION, &["broken.json:3:1"]);
    fixture.file("port.json", "{ \"port\": 99999 }");
    fixture.refuses(&["start", "-c", "port.json"], CONFIGURATION, &["port.json:1:", "99999"]);
    fixture.file("transport.json", "{ \"transport\": \"upd\" }");
    let words = ["transport.json:1:", "`upd`", "did you mean `udp`?"];
    fixture.refuses(&["start", "-c", "transport.json"], CONFIGURATION, &words);
    fixture.file("range.json", "{ \"gossip_interval\": -1 }");
    fixture.refuses(&["start", "-c", "range.json"], CONFIGURATION, &["`gossip_interval` is -1"]);
    fs::write(fixture.path().join("binary.json"), [0xFF, 0xFE, 0]).unwrap();
    fixture.refuses(&["start", "-c", "binary.json"], CONFIGURATION, &["UTF-8"]);
    fixture.file("positron.json", "{ \"port\": \"8888\" }");
    fixture.refuses(&["stats"], CONFIGURATION, &["positron.json:1:"]);
}

#[test]
fn an_argument_that_is_not_utf8_is_no_bug_of_ours() {
    let fixture = Fixture::new();
    let folder = OsStr::from_bytes(b"a\xffb");
    fixture.refuses_run(
        fixture.command([OsStr::new("stats"), "-d".as_ref(), folder]),
        STORAGE,
        &[],
    );
    let args = [OsStr::new("generate-config"), "-d".as_ref(), folder];
    fixture.refuses_run(fixture.command(args), USAGE, &["UTF-8"]);
}

#[test]
fn a_file_that_cannot_be_written_is_named_as_it_was_given() {
    let fixture = Fixture::new();
    fixture.refuses(&["simulate", "--report", "no/r.json"], STORAGE, &["cannot write no/r.json"]);
    fixture.refuses(&["generate-config", "no/c.json"], STORAGE, &["cannot write no/c.json"]);
    let message = fixture.run(&["generate-config", "no/c.json"]).stderr;
    assert!(!message.contains(".positron-net-"), "{message}");
}

#[test]
fn a_named_configuration_that_is_missing_is_an_error() {
    let fixture = Fixture::new();
    let words = ["nowhere.json", "generate-config"];
    fixture.refuses(&["start", "--config", "nowhere.json"], CONFIGURATION, &words);
    let mut command = fixture.command(["status"]);
    command.env("POSITRON_CONFIG", "nowhere.json");
    fixture.refuses_run(command, CONFIGURATION, &words);
    fixture.refuses(&["start", "--config", "."], CONFIGURATION, &["cannot read"]);
}

#[test]
fn a_wrong_variable_of_the_environment_is_named() {
    let fixture = Fixture::new();
    for (name, value) in [
        ("POSITRON_PORT", "99999"),
        ("POSITRON_MAX_PEERS", "many"),
        ("POSITRON_GOSSIP_INTERVAL", "-1"),
        ("POSITRON_BOOTSTRAP", "nonsense"),
    ] {
        let mut command = fixture.command(["start"]);
        command.env(name, value);
        fixture.refuses_run(command, CONFIGURATION, &[name, value]);
    }
    let mut command = fixture.command(["status", "-d", "nowhere"]);
    command.env("POSITRON_PROT", "8889").env("POSITRON_PORT", "tcp://10.0.0.1:8888");
    let words = ["POSITRON_PROT", "did you mean POSITRON_PORT?", "address of a service"];
    fixture.refuses_run(command, UNREACHABLE, &words);
}

#[test]
fn a_flag_that_would_do_nothing_is_refused_whatever_stands_beside_it() {
    let fixture = Fixture::new();
    for (args, words) in [
        (&["simulate", "--api", "127.0.0.1:0"][..], &["--dashboard"][..]),
        (&["simulate", "--api", "127.0.0.1:0", "--duration", "1"], &["--api", "--duration"]),
        (&["simulate", "--api", "127.0.0.1:0", "--messages", "1"], &["--api", "--messages"]),
        (&["simulate", "--api", "127.0.0.1:0", "--report", "r"], &["--api", "--report"]),
        (&["simulate", "--scenario", "churn", "--base-port", "9000"], &["--scenario"]),
        (&["simulate", "--scenario", "churn", "--transport", "udp"], &["--scenario"]),
        (&["simulate", "--virtual", "--transport", "udp"], &["--transport"]),
        (&["simulate", "--dashboard", "--report", "r"], &["--report"]),
        (&["soak", "--real", "--seeds", "3"], &["--seeds"]),
        (&["generate-config", "--force"], &["FILE"]),
        (&["start", "--api-in-clear-text"], &["--api-in-clear-text", "add --api"]),
        (&["join", "127.0.0.1:9", "--api-in-clear-text"], &["add --api"]),
    ] {
        fixture.refuses(args, USAGE, words);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let fixture = Fixture::new();
    let id = "07".repeat(32);
    let invite = format!("positron:{id}@127.0.0.1:9?network=other");
    for (args, words) in [
        (&["start", "--port", "99999"][..], &["99999", "0..=65535"][..]),
        (&["start", "--log-level", "loud"], &["loud", "DEBUG, INFO"]),
        (&["start", "--nonsense"], &["--nonsense"]),
        (&["strat"], &["start"]),
        (&["join", "nonsense"], &["no port"]),
        (&["join", "positron:nonsense"], &["`@`"]),
        (&["join", &invite, "--network", "mine"], &["other", "mine"]),
        (&["simulate", "--count", "0"], &["0 nodes", "1 to"]),
        (&["simulate", "--count", "3", "--base-port", "65534"], &["enough ports"]),
        (&["simulate", "--rate", "0"], &["above 0"]),
        (&["simulate", "--transport", "TCP"], &["did you mean `tcp`?"]),
        (&["start", "--transport", "quic"], &["auto, udp or tcp"]),
        (&["simulate", "--scenario", "split"], &["--virtual"]),
        (&["simulate", "--virtual", "--scenario", "nonsense"], &["default", "churn"]),
    ] {
        fixture.refuses(args, USAGE, words);
    }
    for (args, words) in [
        (&["start", "--host", "nonsense"][..], &["`host`", "nonsense"][..]),
        (&["start", "--bootstrap", "nonsense"], &["bootstrap_nodes", "host:port"]),
        (&["start", "--network", ""], &["`network`"]),
    ] {
        fixture.refuses(args, CONFIGURATION, words);
    }
}

#[test]
fn a_port_in_use_leaves_no_data_folder_behind() {
    let fixture = Fixture::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let args = ["start", "--host", "127.0.0.1", "--port", &port];
    fixture.refuses(&args, NETWORK, &["in use", &port, "another port"]);
    let args = ["start", "--host", "192.0.2.77", "--port", "0"];
    fixture.refuses(&args, NETWORK, &["192.0.2.77", "no such address"]);
    for more in [&["start"][..], &["join", "127.0.0.1:9"]] {
        let at = format!("127.0.0.1:{port}");
        let args = [more, &["--host", "127.0.0.1", "--port", "0", "--api", &at]].concat();
        fixture.refuses(&args, NETWORK, &["the API cannot listen", "in use", "another port"]);
    }
    let args = ["simulate", "--base-port", &port, "--duration", "1"];
    fixture.refuses(&args, NETWORK, &["in use", "another --base-port"]);
}

#[test]
fn a_damaged_key_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new();
    let mut node =
        Process::start(&fixture, "data", &["start", "--host", "127.0.0.1", "--port", "0"]);
    node.started();
    node.signal("TERM");
    node.wait(SOON);
    let key = fixture.path().join("data/keys/private_key.pem");
    let whole = fs::read(&key).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", b"\xFF\xFE"] {
        fs::write(&key, damaged).unwrap();
        let start = ["start", "--host", "127.0.0.1", "--port", "0", "--data-dir", "data"];
        fixture.refuses_run_but_lock(&start, STORAGE, &["private_key.pem", "backup"]);
        fixture.refuses(&["id", "--data-dir", "data"], STORAGE, &["private_key.pem", "backup"]);
    }
    fs::write(&key, &whole).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let start = ["start", "--host", "127.0.0.1", "--port", "0", "--data-dir", "data"];
    fixture.refuses_run_but_lock(&start, STORAGE, &["private_key.pem", "chmod 600"]);
    fixture.refuses(&["id", "--data-dir", "data"], STORAGE, &["private_key.pem", "chmod 600"]);
}

#[test]
fn a_command_that_only_reads_creates_nothing() {
    let fixture = Fixture::new();
    let there = ["--data-dir", "nowhere"];
    for (command, code, words) in [
        ("stats", STORAGE, &["nowhere", "does not exist", "--data-dir"][..]),
        ("id", STORAGE, &["nowhere", "start"]),
        ("invite", STORAGE, &["nowhere", "start"]),
        ("status", UNREACHABLE, &["no node is running", "nowhere", "start"]),
    ] {
        fixture.refuses(&[command, there[0], there[1]], code, words);
        fixture.refuses(&[command, "--json", there[0], there[1]], code, words);
    }
    fs::create_dir(fixture.path().join("empty")).unwrap();
    fixture.refuses(&["stats", "-d", "empty"], STORAGE, &["no node has been started"]);
    fixture.file("file", "");
    for folder in ["file", "file/below"] {
        fixture.refuses(&["status", "-d", folder], UNREACHABLE, &["no node is running"]);
        let words = ["is a file, or below one", "name another"];
        fixture.refuses(&["start", "--port", "0", "-d", folder], STORAGE, &words);
        fixture.refuses(&["stats", "-d", folder], STORAGE, &words);
    }
    fixture.refuses(&["status", "-d", "file"], UNREACHABLE, &["it is a file, not a folder"]);
    let nowhere = ["start", "--port", "0", "-d", "/proc/x"];
    fixture.refuses(&nowhere, STORAGE, &["could not create the data folder /proc/x"]);
}

#[test]
fn a_damaged_database_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path().join("data")).unwrap();
    fixture.file("data/node.db", &"no database at all ".repeat(100));
    fixture.refuses(&["stats", "-d", "data"], STORAGE, &["damaged", "copy"]);
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let fixture = Fixture::new();
    fixture.file("there.json", "precious");
    fixture.refuses(&["generate-config", "there.json"], STORAGE, &["there already", "--force"]);
    fixture.refuses(&["generate-config", "nowhere/c.json"], STORAGE, &["nowhere/c.json"]);
    fixture.refuses(&["generate-config", "."], STORAGE, &["is there already"]);
    fixture.refuses(&["generate-config", "new.json", "--host", "x"], USAGE, &["`host`"]);
    let report = ["simulate", "--report", "nowhere/r.json", "--duration", "1"];
    fixture.refuses(&report, STORAGE, &["nowhere/r.json"]);
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let fixture = Fixture::new();
    let Some(stranger) = Stranger::new(&fixture) else { return };
    let closed = fixture.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    stranger.is_refused(&["start", "--port", "0", "-d", "closed"], &["closed", "ermission"]);
    stranger.is_refused(&["stats", "-d", "closed"], &["closed", "ermission"]);
    stranger.is_refused(&["status", "-d", "closed"], &["closed", "ermission"]);
    stranger.is_refused(&["id", "-d", "closed"], &["closed", "ermission"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let fixture = Fixture::new();
    let Some(stranger) = Stranger::new(&fixture) else { return };
    let read_only = fixture.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    fs::set_permissions(&read_only, Permissions::from_mode(0o555)).unwrap();
    stranger.is_refused(&["start", "--port", "0", "-d", "read-only"], &["read-only", "ermission"]);
    stranger.is_refused(&["start", "--port", "0", "-d", "read-only/new"], &["ermission"]);
    stranger.is_refused(&["generate-config", "read-only/c.json"], &["read-only", "ermission"]);
}

/// A user who owns nothing here. `None`, with the reason printed, where we cannot become one.
struct Stranger<'a> {
    fixture: &'a Fixture,
    binary: std::path::PathBuf,
}

impl<'a> Stranger<'a> {
    fn new(fixture: &'a Fixture) -> Option<Self> {
        if fs::metadata("/proc/self").map_or(1, |me| me.uid()) != 0 {
            eprintln!("skipped: only root can run the command as another user");
            return None;
        }
        let known = Command::new("setpriv").arg("--version").output().is_ok();
        if !known {
            eprintln!("skipped: there is no setpriv to run the command as another user");
            return None;
        }
        // The build folder may be closed to others.
        let binary = fixture.path().join("positron-net");
        fs::copy(env!("CARGO_BIN_EXE_positron-net"), &binary).unwrap();
        fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(fixture.path(), Permissions::from_mode(0o755)).unwrap();
        Some(Self { fixture, binary })
    }

    #[track_caller]
    fn is_refused(&self, args: &[&str], words: &[&str]) {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut command = Command::new("setpriv");
        command.args(nobody).arg(Path::new(&self.binary));
        self.fixture.refuses_run(self.fixture.in_environment(command, args), STORAGE, words);
    }
}

impl Fixture {
    /// As [`refuses`](Self::refuses), for a command that takes the lock of the folder first, and
    /// writes its pid there.
    #[track_caller]
    fn refuses_run_but_lock(&self, args: &[&str], code: i32, words: &[&str]) {
        let lock = self.path().join("data/node.lock");
        fs::remove_file(&lock).ok();
        let before = self.contents();
        let outcome = self.run(args);
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        for word in words {
            assert!(outcome.stderr.contains(word), "no '{word}' in {}", outcome.stderr);
        }
        fs::remove_file(&lock).ok();
        assert_eq!(changes(&before, &self.contents()), Vec::<std::path::PathBuf>::new());
    }
}
