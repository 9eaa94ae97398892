//! What runs for long ends by Ctrl-C as what it is: with its exit code, what came of it so far, and
//! nothing left behind.

use std::{
    fs,
    io::Read as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::fixture::{Fixture, Process, SOON, until};

/// How it ended, and what it wrote.
fn interrupted(mut command: Command) -> (Option<i32>, String, String) {
    let shown = format!("{command:?}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(&format!("{shown} hears signals"), 2 * SOON, || hears_interrupt(&child).then_some(()));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let status = until(&format!("{shown} ends"), 2 * SOON, || child.try_wait().unwrap());
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (status.code(), stdout, stderr)
}

/// Whether it handles SIGINT by now (proc_pid_status(5): bit 0 is signal 1).
fn hears_interrupt(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|m| m & 2 != 0)
}

#[test]
fn what_runs_for_long_ends_by_ctrl_c_with_what_came_of_it_and_leaves_nothing_behind() {
    let fixture = Fixture::new();
    if !PathBuf::from("/proc/self/status").exists() {
        eprintln!("skipped: there is no /proc");
        return;
    }
    let text = "{\"positron_recording\":1,\"seed\":1,\"nodes\":[],\"step_ms\":1}\n";
    fixture.file("old", text);
    let node = Process::start(&fixture, "node", &["start", "--host", "127.0.0.1", "--port", "0"]);
    node.status_when(&fixture, "it runs", |status| status["pid"].is_u64());
    let before: Vec<PathBuf> = fixture.contents().into_keys().collect();
    for (args, told) in [
        (
            "simulate --virtual -n 500 --record r --report rep",
            "stopped before its end: no promise was checked",
        ),
        ("simulate --virtual -n 500 --dashboard --record r", "recorded"),
        ("simulate -n 3 --duration 60 --report rep", "broadcasts"),
        ("simulate -n 3 --dashboard --record r", "recorded"),
        ("soak --nodes 50 --minutes 60 --seeds 9 --jobs 1", "played"),
        ("replay old", "http://"),
        ("bench -n 2 --duration 60", "signatures/s"),
        ("events -d node", ""),
    ] {
        let (code, stdout, stderr) = interrupted(fixture.command(args.split(' ')));
        assert_eq!(code, Some(130), "{args}: {stderr}");
        assert!(stdout.contains(told) || stderr.contains(told), "{args}: {stdout}\n{stderr}");
        for file in ["r", "rep"] {
            let _ = fs::remove_file(fixture.path().join(file));
        }
        let after: Vec<PathBuf> = fixture.contents().into_keys().collect();
        let is_new = |path: &&PathBuf| {
            !before.contains(path) && !path.starts_with(fixture.path().join("node"))
        };
        let left: Vec<_> = after.iter().filter(is_new).collect();
        assert!(left.is_empty(), "{args} left {left:?}");
    }
}
