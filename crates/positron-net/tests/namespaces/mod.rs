//! Machines of their own on this one: network namespaces, made with the commands of iproute2.

use std::process::{Command, Stdio};

/// Namespaces named after their test and this process, each with its loopback up. Dropping it
/// removes them.
pub(crate) struct Namespaces<const N: usize> {
    pub(crate) names: [String; N],
}

impl<const N: usize> Namespaces<N> {
    /// Makes them and has `furnish` do the rest. `None`, and why on stderr, where that cannot be.
    pub(crate) fn new(
        test: &str,
        ends: [&str; N],
        furnish: impl FnOnce(&[String; N]) -> Result<(), String>,
    ) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: namespaces take root");
            return None;
        }
        let names = ends.map(|end| format!("pn-{test}-{}-{end}", std::process::id()));
        let made = Self { names };
        match made.make().and_then(|()| furnish(&made.names)) {
            Ok(()) => Some(made),
            Err(why) => {
                eprintln!("skipped: {why}");
                None
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        for name in &self.names {
            run(&format!("ip netns add {name}"))?;
            run(&format!("ip -n {name} link set lo up"))?;
        }
        Ok(())
    }
}

impl<const N: usize> Drop for Namespaces<N> {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = run(&format!("ip netns delete {name}"));
        }
    }
}

/// Runs a command whose words have no spaces; otherwise what it says.
pub(crate) fn run(command: &str) -> Result<(), String> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{command}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{command}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
