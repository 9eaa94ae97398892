//! Are the seeds any good? `cargo xtask mutants` plants bugs, one at a time, in a copy of the
//! tree, and expects that simulated connections find each of them.
//!
//! The copy is below `target/mutants`; what it is built from in common with the tree itself is
//! shared, so that a bug costs the rebuilding of two crates.

mod mutation;

use std::{
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
/// What the copy holds of the tree.
const COPIED: [&str; 3] =
    ["crates/positron-internet", "crates/positron-proto", "crates/positron-sim"];
/// The example under a name of its own, so that a build with a bug in it never lies where somebody
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
    let mut mutations = Mutation::all(&root.join(FOLDER))?;
    mutations.retain(|one| names.is_empty() || names.iter().any(|name| one.name.contains(name)));
    if mutations.is_empty() {
        return Err(format!("no bug in {FOLDER} is called {}", names.join(" or ")));
    }
    mutations.iter().try_for_each(|mutation| mutation.check(root))?;
    let copy = root.join("target/mutants");
    copy_tree(root, &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    let began = Instant::now();
    match judge(root, &copy, seeds) {
        Verdict::Survived => println!("without a bug: {seeds} seeds, {:.1?}", began.elapsed()),
        Verdict::Found(what) => return Err(format!("no bug was planted, but: {what}")),
        Verdict::Unclear(why) => return Err(why),
    }
    let mut missed = 0;
    for mutation in &mutations {
        let began = Instant::now();
        mutation.apply(&copy)?;
        let verdict = judge(root, &copy, seeds);
        mutation.undo(root, &copy).map_err(|error| format!("{}: {error}", mutation.name))?;
        let took = began.elapsed();
        let Mutation { name, breaks, .. } = mutation;
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
    println!("mutants: {} of {} found", mutations.len() - missed, mutations.len());
    Ok(missed)
}

/// Builds the copy as it is, and plays seeds until one fails.
fn judge(root: &Path, copy: &Path, seeds: u64) -> Verdict {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "-p", "positron-sim", "--example", "mutant"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("RUSTFLAGS", "--cap-lints=allow")
        .stderr(Stdio::piped())
        .output();
    match built {
        Ok(built) if built.status.success() => {}
        Ok(built) => {
            return Verdict::Unclear(String::from_utf8_lossy(&built.stderr).into_owned());
        }
        Err(error) => return Verdict::Unclear(format!("cargo: {error}")),
    }
    let example = target.join("debug/examples/mutant");
    let child = Command::new(example)
        .args(["--failures", "1", "--seeds", &seeds.to_string()])
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

fn copy_tree(root: &Path, copy: &Path) -> io::Result<()> {
    fs::create_dir_all(copy)?;
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let members = |line: &&str| !line.starts_with("default-members");
    let manifest: Vec<&str> = manifest.lines().filter(members).collect();
    let manifest = manifest.join("\n").replace("[\"crates/*\", \"xtask\"]", "[\"crates/*\"]");
    write_if_other(&copy.join("Cargo.toml"), manifest.as_bytes())?;
    write_if_other(&copy.join("Cargo.lock"), &fs::read(root.join("Cargo.lock"))?)?;
    for folder in COPIED {
        copy_folder(&root.join(folder), &copy.join(folder))?;
    }
    let manifest = copy.join("crates/positron-sim/Cargo.toml");
    let text = fs::read_to_string(root.join("crates/positron-sim/Cargo.toml"))?;
    write_if_other(&manifest, (text + EXAMPLE).as_bytes())
}

/// Makes `to` a copy of `from`; what is the same already keeps its time, so that it is not built
/// again.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
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
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if entry.path().file_name() != Some("Cargo.toml".as_ref())
            || !from.ends_with("positron-sim")
        {
            write_if_other(&target, &fs::read(entry.path())?)?;
        }
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
    fn every_mutation_fits_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for mutation in Mutation::all(&root.join(FOLDER)).unwrap() {
            mutation.check(&root).unwrap();
        }
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
