//! A folder of its own for each test, and the command run in it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// For everything that should not take long, on a machine that does other things, too.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// A folder that is working directory, home and everything else of the command.
pub(crate) struct Fixture {
    root: TempDir,
}

/// What a run of the command came to.
pub(crate) struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("positron-test-").tempdir().unwrap();
        Self { root }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The command, in this folder and with nothing of the caller's environment that it reads.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        self.in_environment(Command::new(env!("CARGO_BIN_EXE_positron-net")), args)
    }

    pub(crate) fn in_environment<A: AsRef<OsStr>>(
        &self,
        mut command: Command,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("POSITRON_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("TMPDIR", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        finish(self.command(args))
    }

    /// Everything on the disk: paths, and what is in the files.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut contents = BTreeMap::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path.clone());
                    contents.insert(path, Vec::new());
                } else {
                    let content = fs::read(&path).unwrap_or_default();
                    contents.insert(path, content);
                }
            }
        }
        contents
    }

    /// Runs what must fail: with this exit code, with these words, and without a trace.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], code: i32, words: &[&str]) {
        self.refuses_run(self.command(args), code, words);
    }

    /// See [`refuses`](Self::refuses).
    #[track_caller]
    pub(crate) fn refuses_run(&self, command: Command, code: i32, words: &[&str]) {
        let before = self.contents();
        let shown = format!("{command:?}");
        complains(command, code, words);
        let changed = changes(&before, &self.contents());
        assert!(changed.is_empty(), "{shown} left a trace: {changed:?}");
    }
}

/// It fails with this code, one message, and these words in it; where a node runs, files change
/// meanwhile.
#[track_caller]
pub(crate) fn complains(command: Command, code: i32, words: &[&str]) {
    let shown = format!("{command:?}");
    let outcome = finish(command);
    assert_eq!(outcome.code, Some(code), "{shown}: {}", outcome.stderr);
    assert_eq!(outcome.stdout, "", "{shown}: an error is no data");
    for word in words {
        assert!(outcome.stderr.contains(word), "{shown}: no '{word}' in {}", outcome.stderr);
    }
    let errors = outcome.stderr.lines().filter(|line| line.starts_with("error:")).count();
    assert_eq!(errors, 1, "{shown}: one message in {}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{shown}: {}", outcome.stderr);
}

/// Paths that are not in both, or not the same.
pub(crate) fn changes(
    before: &BTreeMap<PathBuf, Vec<u8>>,
    after: &BTreeMap<PathBuf, Vec<u8>>,
) -> Vec<PathBuf> {
    let all = before.keys().chain(after.keys());
    let mut changed: Vec<PathBuf> =
        all.filter(|path| before.get(*path) != after.get(*path)).cloned().collect();
    changed.dedup();
    changed
}

impl Outcome {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

/// Runs a command to its end, but not forever.
#[track_caller]
pub(crate) fn finish(mut command: Command) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let mut child = Reaped(child);
    let status = until("the command ends", 2 * SOON, || child.0.try_wait().unwrap());
    Outcome {
        code: status.code(),
        stdout: stdout.join().unwrap().unwrap(),
        stderr: stderr.join().unwrap().unwrap(),
    }
}

/// A child that does not outlive its test.
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node in a process of its own.
pub(crate) struct Process {
    child: Reaped,
    data: PathBuf,
    said: Arc<Mutex<String>>,
    is_deaf: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a node with `start`, or whatever `args` begin with, and its own data folder.
    pub(crate) fn start(fixture: &Fixture, data: &str, args: &[&str]) -> Self {
        Self::start_as(fixture, fixture.command(args), data)
    }

    /// The same with a command that is made already.
    pub(crate) fn start_as(fixture: &Fixture, mut command: Command, data: &str) -> Self {
        let data = fixture.path().join(data);
        command.arg("--data-dir").arg(&data).arg("--json").stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let said: Arc<Mutex<String>> = Arc::default();
        let is_deaf: Arc<AtomicBool> = Arc::default();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (ear, deaf) = (Arc::clone(&said), Arc::clone(&is_deaf));
        let reader = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let mut said = ear.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&line);
                said.push('\n');
                if deaf.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        Self { child: Reaped(child), data, said, is_deaf, reader: Some(reader) }
    }

    /// Runs a node that says what it says elsewhere, and has its data folder there.
    pub(crate) fn spawn(mut command: Command, data: PathBuf) -> Self {
        let child = Reaped(command.spawn().unwrap());
        Self { child, data, said: Arc::default(), is_deaf: Arc::default(), reader: None }
    }

    /// Closes the pipe after the next line.
    pub(crate) fn stop_listening(&self) {
        self.is_deaf.store(true, Ordering::Relaxed);
    }

    /// What it said on stdout, one event a line.
    pub(crate) fn events(&self) -> Vec<Value> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What it said when it was up.
    #[track_caller]
    pub(crate) fn started(&self) -> Value {
        until("the node is up", SOON, || {
            self.events().into_iter().find(|event| event["event"] == "started")
        })
    }

    /// Where it listens.
    #[track_caller]
    pub(crate) fn address(&self) -> String {
        self.started()["listen"][0].as_str().unwrap().to_owned()
    }

    /// What `status --json` says, once `wanted` holds.
    #[track_caller]
    pub(crate) fn status_when(
        &self,
        fixture: &Fixture,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            let args = ["status", "--json", "--data-dir"].map(OsStr::new);
            let outcome = finish(fixture.command(args.into_iter().chain([self.data.as_os_str()])));
            if outcome.code == Some(0) {
                last = outcome.json();
                if wanted(&last) {
                    return last;
                }
            }
            thread::park_timeout(LOOK);
        }
        panic!("{what} not within {SOON:?}: {last:#}");
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.0.id().to_string();
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let status = until("the node ends", limit, || self.child.0.try_wait().unwrap());
        self.reader.take().into_iter().for_each(|reader| reader.join().unwrap());
        status
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }
}

/// Looks at a condition until it holds.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::park_timeout(LOOK);
    }
}

/// A port of loopback on which nobody listens, most likely.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
