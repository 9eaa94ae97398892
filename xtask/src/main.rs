//! Checks of the tree that no compiler makes: `cargo xtask tidy` with its list of known
//! offenders, `cargo xtask ratchet`, and of its simulator: `cargo xtask mutants`.

use std::{fs, path::Path, process::ExitCode};

mod mutants;
mod tidy;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tree = match arguments[..] {
        ["tidy"] => tidy::Tree::of_this_repository(),
        ["tidy", folder] => tidy::Tree::of_folder(Path::new(folder)),
        ["ratchet"] => return rewrite_list(),
        ["mutants", "--seeds", seeds, ref names @ ..] if seeds.parse::<u64>().is_ok() => {
            return mutants::run(root(), names, seeds.parse().ok());
        }
        ["mutants", ref names @ ..] => return mutants::run(root(), names, None),
        _ => {
            eprintln!("usage: cargo xtask tidy [FOLDER] | ratchet | mutants [--seeds N] [NAME...]");
            return ExitCode::from(2);
        }
    };
    report(&tidy::check(&tree))
}

/// The root of this repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn report(findings: &[tidy::Finding]) -> ExitCode {
    for finding in findings {
        println!("{finding}");
    }
    println!("tidy: {} wrong", findings.len());
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the list of known offenders anew, shorter; an empty one is no file.
fn rewrite_list() -> ExitCode {
    let path = root().join(tidy::LIST);
    let done = tidy::rewritten_list(&tidy::Tree::of_this_repository()).and_then(|list| {
        let written = match list.is_empty() {
            true if path.exists() => fs::remove_file(&path),
            true => Ok(()),
            false => fs::write(&path, list),
        };
        written.map_err(|error| format!("{}: {error}", path.display()))
    });
    let Err(why) = done else { return ExitCode::SUCCESS };
    eprintln!("ratchet: {why}");
    ExitCode::FAILURE
}
