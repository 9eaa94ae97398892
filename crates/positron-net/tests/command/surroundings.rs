//! What the world around a node does to it: service managers, terminals, disks and pipes.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::fixture::{Fixture, Process, SOON, until};

const START: [&str; 5] = ["start", "--host", "127.0.0.1", "--port", "0"];

/// Runs until it is up, and after that until SIGTERM.
fn goes_on_and_stops(fixture: &Fixture, mut node: Process) {
    node.status_when(fixture, "an answer", |status| status["pid"].is_u64());
    node.signal("TERM");
    assert_eq!(node.wait(SOON).code(), Some(143));
}

#[test]
fn a_full_disk_behind_stdout_and_log_stops_no_node() {
    let fixture = Fixture::new();
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    fixture.file("c.json", "{\"log_file\": \"/dev/full\"}");
    for json in [&[][..], &["--json"]] {
        let mut command =
            fixture.command([&START[..], &["-c", "c.json", "-d", "data"], json].concat());
        command.stdout(full()).stderr(full());
        goes_on_and_stops(&fixture, Process::spawn(command, fixture.path().join("data")));
    }
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_neither_the_node_nor_its_end() {
    let fixture = Fixture::new();
    let (_reader, mut pipe) = std::io::pipe().unwrap();
    pipe.write_all(&[b'\n'; 65_536]).unwrap(); // it is full now (pipe(7))
    let full = || Stdio::from(OwnedFd::from(pipe.try_clone().unwrap()));
    for (stdout, stderr) in [(full(), Stdio::null()), (Stdio::null(), full()), (full(), full())] {
        let mut command = fixture.command([&START[..], &["--json", "-d", "data"]].concat());
        command.args(["--log-level", "DEBUG"]).stdout(stdout).stderr(stderr);
        goes_on_and_stops(&fixture, Process::spawn(command, fixture.path().join("data")));
    }
}

#[test]
fn a_hangup_without_a_terminal_opens_the_log_anew_and_stops_nothing() {
    let fixture = Fixture::new();
    fixture.file("c.json", "{\"log_file\": \"log\"}");
    let node = Process::start(&fixture, "data", &[&START[..], &["-c", "c.json"]].concat());
    node.started();
    let (log, moved) = (fixture.path().join("log"), fixture.path().join("log.old"));
    until("the log begins", SOON, || log.exists().then_some(()));
    fs::rename(&log, &moved).unwrap();
    node.signal("HUP");
    until("the log is there again", SOON, || log.exists().then_some(()));
    goes_on_and_stops(&fixture, node);
    assert!(fs::read_to_string(log).unwrap().contains("stopping"));
}

#[test]
fn a_terminal_that_closes_stops_a_node_gracefully() {
    let fixture = Fixture::new();
    if Command::new("script").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: script(1) is not installed");
        return;
    }
    // Whoever runs the tests may have told them to outlive a terminal.
    for (nohup, launcher) in [("", "env --default-signal=HUP "), ("nohup ", "nohup ")] {
        let data = format!("data{}", nohup.len());
        let log = fixture.path().join(format!("{data}.log"));
        let file = fixture.file(&format!("{data}.json"), &format!("{{\"log_file\": {log:?}}}"));
        let run = format!(
            "exec {launcher}'{}' {} -c '{}' -d {data}",
            env!("CARGO_BIN_EXE_positron-net"),
            START.join(" "),
            file.display()
        );
        let mut command =
            fixture.in_environment(Command::new("script"), ["-qfc", &run, "/dev/null"]);
        command.stdout(Stdio::null());
        let terminal = Process::spawn(command, fixture.path().join(&data));
        let status = terminal.status_when(&fixture, "an answer", |status| status["pid"].is_u64());
        let pid = status["pid"].as_u64().unwrap();
        // The other end of the node's terminal is gone.
        terminal.kill();
        let log = || fs::read_to_string(&log).unwrap_or_default();
        if nohup.is_empty() {
            until("the node says that it stops", SOON, || log().contains("stopping").then_some(()));
        }
        let signal = |name: &str| {
            Command::new("kill").args([name, pid.to_string().as_str()]).output().unwrap()
        };
        if !nohup.is_empty() {
            assert!(signal("-HUP").status.success(), "it outlives its terminal");
            let args = ["status", "--json", "-d", &data];
            assert_eq!(fixture.run(&args).expect(0).json()["pid"], pid);
            signal("-TERM");
        }
        let folder = fixture.path().join(&data);
        until("it is stopped", SOON, || (!folder.join("control.sock").exists()).then_some(()));
        assert!(log().contains("stopping"));
    }
}

#[test]
fn a_tilde_is_the_home_folder_in_flags_files_and_the_environment() {
    let fixture = Fixture::new();
    fixture.file("c.json", "{\"data_dir\": \"~/from_file\", \"log_file\": \"~/file.log\"}");
    let node = |command: Command, folder: &str| {
        goes_on_and_stops(&fixture, Process::spawn(command, fixture.path().join(folder)));
        assert!(fixture.path().join(folder).join("node.db").exists());
    };
    let mut from_file = fixture.command([&START[..], &["-c", "~/c.json"]].concat());
    from_file.stdout(Stdio::null()).stderr(Stdio::null());
    node(from_file, "from_file");
    assert!(fixture.path().join("file.log").exists());
    let mut from_environment = fixture.command(START);
    from_environment.env("POSITRON_DATA_DIR", "~/from_environment");
    from_environment.stdout(Stdio::null()).stderr(Stdio::null());
    node(from_environment, "from_environment");
    let mut from_flag = fixture.command([&START[..], &["--data-dir=~/from_flag"]].concat());
    from_flag.stdout(Stdio::null()).stderr(Stdio::null());
    node(from_flag, "from_flag");
    assert!(!fixture.path().join("~").exists());
    fixture.refuses(&["start", "--data-dir=~nobody/x"], 3, &["~nobody/x", "whole path"]);
}

#[test]
fn strangers_that_come_and_go_make_no_flood_of_events() {
    let fixture = Fixture::new();
    let node = Process::start(&fixture, "data", &START);
    let address = node.address();
    let mut others = Vec::new();
    for n in 0..45 {
        let args = [&START[..], &["-b", &address]].concat();
        others.push(Process::start(&fixture, &format!("other{n}"), &args));
    }
    node.status_when(&fixture, "many peers", |status| status["active_peers"].as_u64() >= Some(40));
    // All of them leave in one moment, and say so: who is only gone is missed when it is asked.
    others.iter().for_each(|other| other.signal("TERM"));
    let dropped = |event: &Value| event["event"] == "dropped" && event["of"] == "peer_left";
    let told = until("what was left away is counted", SOON, || {
        node.events().iter().find(|event| dropped(event)).cloned()
    });
    assert!(told["count"].as_u64() > Some(0), "{told}");
    goes_on_and_stops(&fixture, node);
}

#[test]
fn the_unit_file_is_accepted_and_knows_our_exit_codes() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/positron-net.service");
    let text = fs::read_to_string(unit).unwrap();
    assert!(text.contains("SuccessExitStatus=129 130 143\n"), "as `--help` lists them");
    assert!(text.contains("RestartPreventExitStatus=2 3\n"), "as `--help` lists them");
    let fixture = Fixture::new();
    let here = text.replace("/usr/local/bin/positron-net", env!("CARGO_BIN_EXE_positron-net"));
    assert_ne!(here, text);
    let unit = fixture.file("positron-net.service", &here);
    let verify = Command::new("systemd-analyze").arg("verify").arg(unit).output();
    let Ok(verified) = verify else {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_us: Vec<&str> =
        said.lines().filter(|line| line.contains("positron-net.service")).collect();
    assert!(verified.status.success() && about_us.is_empty(), "{said}");
}
