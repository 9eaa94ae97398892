//! Are the seeds any good? `cargo xtask mutants` plants bugs in a copy of the tree, wakes one at a
//! time, and expects that simulated connections find each of them.
//!
//! The copy is below `target/mutants`, and built once with all of them asleep: the environment of
//! the program says which one wakes. What a build of the tree itself shares with it is not built
//! again.

mod mutation;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mutation::Mutation;

/// Where the bugs are described.
const FOLDER: &str = "crates/positron-sim/mutations";
/// What the copy holds of the tree: all that says which features the dependencies have, so that
/// those are built once for the copy and for the tests.
const COPIED: [&str; 4] = ["Cargo.toml", "Cargo.lock", "crates", "xtask"];
/// The manifest of the simulator.
const SIMULATOR: &str = "crates/positron-sim/Cargo.toml";
/// The example under a name of its own, so that a build with bugs in it never lies where somebody
/// looks for one without.
const EXAMPLE: &str = "\n[[example]]\nname = \"mutant\"\npath = \"examples/packets.rs\"\n";
/// Seeds that each bug is looked for with, unless told otherwise.
const SEEDS: u64 = 1_000;
/// How long a bug may keep the seeds busy. One that makes them hang has been found too.
const LIMIT: Duration = Duration::from_secs(120);

/// How a bug was found, or not.
enum Verdict {
    /// A promise was broken: the first line that says so.
    Found(String),
    /// Every promise was kept.
    Survived,
    /// It cannot be told.
    Unclear(String),
}

/// Plants those bugs whose names contain one of `names`, or all; plays `seeds` seeds for each.
pub(crate) fn run(root: &Path, names: &[&str], seeds: Option<u64>) -> ExitCode {
    match plant_all(root, names, seeds.unwrap_or(SEEDS)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("mutants: {why}");
            ExitCode::FAILURE
        }
    }
}

/// How many were not found.
fn plant_all(root: &Path, names: &[&str], seeds: u64) -> Result<usize, String> {
    let all = Mutation::all(&root.join(FOLDER))?;
    let asked = |one: &&Mutation| names.is_empty() || names.iter().any(|n| one.name.contains(n));
    let asked: Vec<&Mutation> = all.iter().filter(asked).collect();
    if asked.is_empty() {
        return Err(format!("no bug in {FOLDER} is called {}", names.join(" or ")));
    }
    let began = Instant::now();
    let example = build(root, &Mutation::plant_all(&all, root)?)?;
    println!("built with {} bugs ({:.1?})", all.len(), began.elapsed());
    let began = Instant::now();
    match judge(&example, None, seeds) {
        Verdict::Survived => println!("while they sleep: {seeds} seeds, {:.1?}", began.elapsed()),
        Verdict::Found(what) => return Err(format!("no bug is awake, but: {what}")),
        Verdict::Unclear(why) => return Err(why),
    }
    let mut missed = 0;
    for Mutation { name, breaks, .. } in &asked {
        let began = Instant::now();
        let verdict = judge(&example, Some(name), seeds);
        let took = began.elapsed();
        match verdict {
            Verdict::Found(what) => println!("found    {name} ({took:.1?}): {what}"),
            Verdict::Survived => {
                missed += 1;
                println!("SURVIVED {name} ({took:.1?}), {seeds} seeds: {breaks}");
            }
            Verdict::Unclear(why) => {
                missed += 1;
                println!("UNCLEAR  {name} ({took:.1?}): {why}");
            }
        }
    }
    println!("mutants: {} of {} found", asked.len() - missed, asked.len());
    Ok(missed)
}

/// Builds a copy of the tree with `texts` in place of files of it. The program that plays seeds.
fn build(root: &Path, texts: &BTreeMap<PathBuf, String>) -> Result<PathBuf, String> {
    let copy = root.join("target/mutants");
    copy_tree(root, &copy, texts).map_err(|error| format!("{}: {error}", copy.display()))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--workspace", "--example", "mutant"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned());
    }
    Ok(target.join("debug/examples/mutant"))
}

/// Plays seeds with one bug awake, or none, until one fails.
fn judge(example: &Path, awake: Option<&str>, seeds: u64) -> Verdict {
    let child = Command::new(example)
        .args(["--failures", "1", "--seeds", &seeds.to_string()])
        .env_remove("PLANTED")
        .envs(awake.map(|name| ("PLANTED", name)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    match child {
        Ok(child) => watch(child),
        Err(error) => Verdict::Unclear(format!("the example: {error}")),
    }
}

/// Waits for the end of the example, but not for ever.
fn watch(mut child: Child) -> Verdict {
    let (tell, told) = mpsc::channel();
    let mut stderr = child.stderr.take();
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(stderr) = &mut stderr {
            // What is no text is no line that says what was broken.
            let _ = stderr.read_to_string(&mut text);
        }
        let _ = tell.send(text);
    });
    let Ok(text) = told.recv_timeout(LIMIT) else {
        let _ = child.kill();
        let _ = child.wait();
        return Verdict::Found(format!("it hangs for {LIMIT:?}"));
    };
    match child.wait() {
        Ok(status) if status.success() => Verdict::Survived,
        Ok(status) => Verdict::Found(first_finding(&text).unwrap_or_else(|| status.to_string())),
        Err(error) => Verdict::Unclear(error.to_string()),
    }
}

/// The line that says which promise was broken, or where the panic was, with its seed.
fn first_finding(text: &str) -> Option<String> {
    let panicked = text.lines().position(|line| line.contains("panicked at"));
    if let Some(at) = panicked {
        return Some(text.lines().skip(at).take(2).collect::<Vec<_>>().join(" "));
    }
    let line = text.lines().find(|line| line.starts_with("seed "))?;
    Some(line.chars().take(160).collect())
}

fn copy_tree(root: &Path, copy: &Path, texts: &BTreeMap<PathBuf, String>) -> io::Result<()> {
    fs::create_dir_all(copy)?;
    let simulator = fs::read_to_string(root.join(SIMULATOR))? + EXAMPLE;
    let mut instead: BTreeMap<PathBuf, &str> =
        texts.iter().map(|(file, text)| (root.join(file), text.as_str())).collect();
    instead.insert(root.join(SIMULATOR), &simulator);
    COPIED.iter().try_for_each(|name| copy_into(&root.join(name), &copy.join(name), &instead))
}

/// Makes `to` a copy of `from`, a file or a folder, with what stands `instead` of files; what is
/// the same already keeps its time, so that it is not built again.
fn copy_into(from: &Path, to: &Path, instead: &BTreeMap<PathBuf, &str>) -> io::Result<()> {
    if let Some(text) = instead.get(from) {
        return write_if_other(to, text.as_bytes());
    }
    if !from.is_dir() {
        return write_if_other(to, &fs::read(from)?);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_into(&entry.path(), &to.join(entry.file_name()), instead)?;
    }
    Ok(())
}

fn write_if_other(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mutations_fit_the_tree_together() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let all = Mutation::all(&root.join(FOLDER)).unwrap();
        Mutation::plant_all(&all, &root).unwrap();
    }

    #[test]
    fn a_finding_is_told_with_its_seed() {
        let text = "1.0s: 1000 seeds\nseed 7: 3.5 s, end 1, Exact: twice\nmore\n";
        assert_eq!(first_finding(text).unwrap(), "seed 7: 3.5 s, end 1, Exact: twice");
        let text = "thread 'x' panicked at a.rs:1:2:\nwhy\n";
        assert_eq!(first_finding(text).unwrap(), "thread 'x' panicked at a.rs:1:2: why");
        assert_eq!(first_finding(""), None);
    }
}
