//! The process in which a contender's nodes are, and the network that it has for itself.

use std::{env, process::Stdio, time::Duration};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{
    network::LONGEST_START,
    options::Protocol,
    plan::{Outcome, Plan},
    tally::LONGEST,
};
use crate::conversation::Conversation;

/// A process that is gone when this is.
struct Process(Child);

/// Carries out a plan in a process of its own. Where nodes are to keep something, they have a
/// folder for as long as it runs.
///
/// # Errors
/// The process does not start, or what it measures does not work.
pub(crate) async fn carry_out(protocol: Protocol, mut plan: Plan) -> Result<Outcome, String> {
    // Removed after the end of the process that writes into it: what is made first is dropped last.
    let folder = (protocol == Protocol::PositronDisk).then(TempDir::new).transpose();
    let folder = folder.map_err(|error| format!("a folder for the nodes: {error}"))?;
    plan.folder = folder.as_ref().map(|folder| folder.path().to_owned());
    let mut process = Process::start(protocol, plan.is_alone)?;
    let outcome = process.carry_out(&plan).await;
    drop(process);
    outcome
}

/// Whether a process can have a network for itself.
///
/// # Errors
/// Why not.
pub(crate) async fn can_be_alone() -> Result<(), String> {
    let mut command = alone();
    command.arg("true").stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| format!("unshare: {error}"))?;
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(why) }
}

impl Process {
    fn start(protocol: Protocol, is_alone: bool) -> Result<Self, String> {
        let exe = env::current_exe().map_err(|error| error.to_string())?;
        let mut command = if is_alone {
            let mut command = alone();
            command.arg(exe);
            command
        } else {
            Command::new(exe)
        };
        let child = command
            .args(["worker", "gossip", protocol.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        child.map(Self).map_err(|error| error.to_string())
    }

    async fn carry_out(&mut self, plan: &Plan) -> Result<Outcome, String> {
        Conversation::new(&mut self.0).ask::<Result<_, _>>(plan, longest(plan)).await?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        // One that is gone is what is wanted, and one that was killed goes. Its number is not given
        // to another process before the child that has it is dropped, too.
        let _ = self.0.start_kill();
        if let Some(pid) = pid {
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}

/// A command that becomes the one that its arguments say, with a loopback interface that nobody
/// else uses. It stays the same process.
fn alone() -> Command {
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c", r#"ip link set lo up && exec "$0" "$@""#]);
    command
}

/// The longest that a plan may take.
fn longest(plan: &Plan) -> Duration {
    let published = Duration::from_secs(2 * plan.seconds + plan.pause);
    LONGEST_START + published + 2 * LONGEST + BESIDE
}

/// What starting nodes, idling and counting take at most, beside what has a bound of its own.
const BESIDE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_may_take_grows_with_what_it_is_told() {
        let mut plan = Plan::small();
        let before = longest(&plan);
        plan.seconds += 10;
        plan.pause += 5;
        assert_eq!(longest(&plan) - before, Duration::from_secs(25));
    }
}
