//! Machines of their own on this one: network namespaces, made with the commands of iproute2.

use std::process::{Command, Stdio};

/// A machine of its own, with its loopback up. Dropping it removes it.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Makes that of `end` in a test. Names have the id of this process in them; where a dead one
    /// of that id left its namespace behind, that one goes.
    pub(crate) fn new(test: &str, end: &str) -> Result<Self, String> {
        let made = Self { name: format!("pn-{test}-{}-{end}", std::process::id()) };
        let name = &made.name;
        if run(&format!("ip netns add {name}")).is_err() {
            let _ = run(&format!("ip netns delete {name}"));
            run(&format!("ip netns add {name}"))?;
        }
        run(&format!("ip -n {name} link set lo up"))?;
        Ok(made)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(&format!("ip netns delete {}", self.name));
    }
}

/// Namespaces named after their test and this process. Dropping it removes them.
pub(crate) struct Namespaces<const N: usize> {
    pub(crate) names: [String; N],
    _made: Vec<Namespace>,
}

impl<const N: usize> Namespaces<N> {
    /// Makes them and has `furnish` do the rest. `None`, and why on stderr, where that cannot be.
    pub(crate) fn new(
        test: &str,
        ends: [&str; N],
        furnish: impl FnOnce(&[String; N]) -> Result<(), String>,
    ) -> Option<Self> {
        or_skipped(Self::make(test, ends, furnish))
    }

    fn make(
        test: &str,
        ends: [&str; N],
        furnish: impl FnOnce(&[String; N]) -> Result<(), String>,
    ) -> Result<Self, String> {
        can_be()?;
        let made =
            ends.iter().map(|end| Namespace::new(test, end)).collect::<Result<Vec<_>, _>>()?;
        let names = std::array::from_fn(|at| made[at].name.clone());
        furnish(&names)?;
        Ok(Self { names, _made: made })
    }
}

/// Why this process cannot make any.
pub(crate) fn can_be() -> Result<(), String> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err("namespaces take root".into()) }
}

/// What could be made; or `None`, and why on stderr.
pub(crate) fn or_skipped<T>(made: Result<T, String>) -> Option<T> {
    made.inspect_err(|why| eprintln!("skipped: {why}")).ok()
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
