//! A node in a process of its own, so that its memory and descriptors can be measured, and it can
//! be frozen. The process is this test binary again, with one "test" that is the node.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use positron_networking::{
    NetworkConfig, Node, NodeId,
    keys::{Identity, SecretBytes},
};

const MARK: &str = "POSITRON_TEST_NODE";
const FOLDER: &str = "POSITRON_TEST_FOLDER";
const GIVEN: &str = "POSITRON_TEST_GIVEN";

/// A node in another process; it ends when this value does.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) id: NodeId,
    _stdin: ChildStdin,
}

impl Process {
    /// Starts one that begins with `bootstrap`. The test binary must have a test called
    /// `node_of_another_process` that calls [`be_the_node`].
    pub(crate) fn start(bootstrap: &[SocketAddr]) -> Self {
        Self::run(&mut Command::new(std::env::current_exe().unwrap()), bootstrap)
    }

    /// As [`start`](Self::start), with at most `limit` open files and sockets.
    pub(crate) fn start_with_descriptors(limit: u32) -> Self {
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        let this = std::env::current_exe().unwrap();
        Self::run(Command::new("sh").args(["-c", &script]).arg(this), &[])
    }

    /// As [`start`](Self::start), alone, with a data folder.
    pub(crate) fn start_in(folder: &Path) -> Self {
        let this = std::env::current_exe().unwrap();
        Self::run(Command::new(this).env(FOLDER, folder), &[])
    }

    /// As [`start_in`](Self::start_in), with [`given`] for its key.
    pub(crate) fn start_with_key_in(folder: &Path) -> Self {
        let this = std::env::current_exe().unwrap();
        Self::run(Command::new(this).env(FOLDER, folder).env(GIVEN, "1"), &[])
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn run(command: &mut Command, bootstrap: &[SocketAddr]) -> Self {
        let bootstrap: Vec<_> = bootstrap.iter().map(ToString::to_string).collect();
        let mut child = command
            .args(["node_of_another_process", "--exact", "--nocapture", "--test-threads=1"])
            .env(MARK, bootstrap.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .find_map(|line| line.unwrap().strip_prefix("NODE ").map(str::to_owned))
            .expect("the node of the other process starts");
        let (address, id) = line.split_once(' ').unwrap();
        let (address, id) = (address.parse().unwrap(), id.parse().unwrap());
        Self { child, address, id, _stdin: stdin }
    }

    /// Its resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
    }

    /// Its open files and sockets.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Processor time that it took, in clock ticks of 10 ms.
    pub(crate) fn ticks(&self) -> u64 {
        // proc_pid_stat(5): fields 14 and 15, counted after the name in parentheses.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// It does nothing any more, and the kernel keeps its connections.
    pub(crate) fn freeze(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key that is in no file: its bytes are computed.
pub(crate) fn given() -> Identity {
    Identity::from_secret(SecretBytes::made(|place| {
        for (at, byte) in (0..).zip(place) {
            *byte = 37_u8.wrapping_mul(at) ^ 0x5A;
        }
    }))
}

/// In the other process: runs a node until the process that started it lets go. Otherwise nothing.
pub(crate) fn be_the_node(config: NetworkConfig) {
    let Ok(bootstrap) = std::env::var(MARK) else { return };
    let bootstrap_nodes = bootstrap.split(',').filter(|a| !a.is_empty()).map(Into::into).collect();
    let data_dir: Option<PathBuf> = std::env::var_os(FOLDER).map(Into::into);
    let passphrase = data_dir.as_ref().map(|folder| folder.join("passphrase"));
    let key_passphrase_file = passphrase.filter(|file| file.exists());
    let config = NetworkConfig { bootstrap_nodes, data_dir, key_passphrase_file, ..config };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut builder = Node::builder(config);
        if std::env::var_os(GIVEN).is_some() {
            builder = builder.identity(given());
        }
        let node = builder.start().await.unwrap();
        println!("\nNODE {} {}", node.listen_addresses()[0], node.id());
        let until_let_go = || std::io::stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(until_let_go).await.unwrap().unwrap();
    });
}
