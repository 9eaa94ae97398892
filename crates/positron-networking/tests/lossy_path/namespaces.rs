//! Two kernels, as far as their networks go, with a cable between them and a packet filter on each
//! side that drops. Needs root, `ip` and `nft`; says so where it has them not.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::story;

/// Tells a child process that it has a part to play.
const REEXECUTED: &str = "POSITRON_LOSSY_PATH";
const SENDER: &str = "10.177.0.1:0";
const RECEIVER: &str = "10.177.0.2:7777";

/// What is lost, in each direction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Filter {
    /// So many of a hundred packets.
    Drops {
        /// How many.
        percent: u8,
    },
    /// What segmentation offload left in one piece, as some devices and filters do.
    DropsBatches,
}

/// Plays the story from one namespace to another.
pub(crate) fn between(filter: Filter) {
    let net = match Net::new(filter) {
        Ok(net) => net,
        Err(why) => return println!("skipped, this machine cannot have two networks: {why}"),
    };
    let receiver = child(&net.receiver, "namespaces::receiver");
    let sender = child(&net.sender, "namespaces::sender");
    let told = outcome(sender);
    outcome(receiver);
    println!("namespaces, {filter:?}: {told}");
}

/// A test of this binary, in a process of its own within a namespace.
fn child(namespace: &str, name: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(this);
    command.args(["--exact", name, "--ignored", "--nocapture"]).env(REEXECUTED, "1");
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// What it told, once it is through.
fn outcome(child: Child) -> String {
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{text}");
    let told = text.lines().find_map(|line| line.strip_prefix("told: "));
    told.unwrap_or_default().to_owned()
}

/// Whether this is a child process, and not a test that was started by hand.
fn has_a_part() -> bool {
    std::env::var_os(REEXECUTED).is_some()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own, in a network of its own"]
async fn sender() {
    if !has_a_part() {
        return;
    }
    let to: SocketAddr = RECEIVER.parse().unwrap();
    let told = story::send(&story::start(SENDER).await, to).await;
    println!("\ntold: {told}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own, in a network of its own"]
async fn receiver() {
    if !has_a_part() {
        return;
    }
    story::receive(&story::start(RECEIVER).await).await;
}

/// Two namespaces, which go when this goes.
struct Net {
    sender: String,
    receiver: String,
}

impl Net {
    fn new(filter: Filter) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("lossy-{}-{n}-{end}", std::process::id());
        let net = Self { sender: name("a"), receiver: name("b") };
        let (a, b) = (net.sender.as_str(), net.receiver.as_str());
        for end in [a, b] {
            run(&format!("ip netns add {end}"))?;
        }
        run(&format!("ip -n {a} link add cable type veth peer name cable netns {b}"))?;
        for (end, address) in [(a, SENDER), (b, RECEIVER)] {
            let ip = address.parse::<SocketAddr>().map_err(|error| error.to_string())?.ip();
            run(&format!("ip -n {end} addr add {ip}/24 dev cable"))?;
            run(&format!("ip -n {end} link set cable up"))?;
            let dropped = match filter {
                Filter::Drops { percent } => {
                    // A batch is one packet to a filter, unless it is cut before.
                    run(&format!("ip -n {end} link set cable gso_max_segs 1"))?;
                    format!("numgen random mod 100 < {percent}")
                }
                // Of Ethernet, a single one has no more than 1,500 bytes.
                Filter::DropsBatches => "meta length > 1520".to_owned(),
            };
            let nft = format!("ip netns exec {end} nft");
            run(&format!("{nft} add table inet lossy"))?;
            let hook = "{ type filter hook input priority 0 ; }";
            run(&format!("{nft} add chain inet lossy input {hook}"))?;
            run(&format!("{nft} add rule inet lossy input meta l4proto udp {dropped} drop"))?;
        }
        Ok(net)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for end in [&self.sender, &self.receiver] {
            // There may be none; and there is nobody to tell.
            let _ = run(&format!("ip netns del {end}"));
        }
    }
}

fn run(line: &str) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let output =
        Command::new(program).args(words).output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("there is no {program}"),
            _ => format!("{line}: {error}"),
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
