//! One machine: a folder, a port, and a member that runs there or does not.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::Sender,
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

use super::member::{Order, Told};

/// Where members run and whom they know.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) network: String,
    pub(super) bootstrap: Vec<String>,
}

/// One machine.
#[derive(Debug)]
pub(super) struct MemberProcess {
    index: usize,
    folder: PathBuf,
    /// 0: any.
    pub(super) port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    orders: ChildStdin,
    reader: JoinHandle<()>,
}

impl MemberProcess {
    pub(super) fn new(index: usize, above: &Path) -> Self {
        let folder = above.join(format!("member-{index}"));
        Self { index, folder, port: 0, running: None }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts a member; what it tells arrives at `told` under the name of this machine.
    pub(super) fn start(&mut self, place: &Place, told: &Sender<(usize, Told)>) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("soak-member")
            .args(["--network", &place.network])
            .args(["--port", &self.port.to_string()])
            .arg("--data-dir")
            .arg(self.folder.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        for address in &place.bootstrap {
            command.args(["--bootstrap", address]);
        }
        let mut child = command.spawn()?;
        let (Some(orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a process without pipes"));
        };
        let (told, index) = (told.clone(), self.index);
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A line that a kill cut in two says nothing.
                if let Ok(heard) = serde_json::from_str(&line) {
                    let _ = told.send((index, heard));
                }
            }
        });
        self.running = Some(Running { child, orders, reader });
        Ok(())
    }

    /// Tells the member something.
    pub(super) fn order(&mut self, order: Order) {
        let Some(running) = &mut self.running else { return };
        let line = serde_json::to_string(&order).unwrap_or_default();
        // Whoever died meanwhile is found by `ended`.
        let _ = writeln!(running.orders, "{line}");
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let id = self.running.as_ref().map(|running| running.child.id());
        let pid = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may just have ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends the member without a word. All that it told stands in the channel when this returns.
    pub(super) fn kill(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.child.kill();
        }
        self.reap();
    }

    /// Whether the member ended by itself, and how.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.running.as_mut()?.child.try_wait();
        let how = match status {
            Ok(None) => return None,
            Ok(Some(status)) if status.success() => String::new(),
            Ok(Some(status)) => format!("{status}; {}", self.last_words()),
            Err(error) => error.to_string(),
        };
        self.reap();
        Some(how)
    }

    fn reap(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.wait();
            let _ = running.reader.join();
        }
    }

    /// Whether a member panicked here.
    pub(super) fn panicked(&self) -> bool {
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains("panicked"))
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().rev().take(3).collect::<Vec<_>>().join(" / ")
    }

    fn log(&self) -> PathBuf {
        self.folder.with_extension("log")
    }
}

impl Drop for MemberProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
