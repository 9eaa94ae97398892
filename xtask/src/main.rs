//! Checks of the tree that no compiler makes: `cargo xtask tidy`, and of its simulator:
//! `cargo xtask mutants`.

use std::{path::Path, process::ExitCode};

mod mutants;
mod tidy;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tree = match arguments[..] {
        ["tidy"] => tidy::Tree::of_this_repository(),
        ["tidy", folder] => tidy::Tree::of_folder(Path::new(folder)),
        ["mutants", "--seeds", seeds, ref names @ ..] if seeds.parse::<u64>().is_ok() => {
            return mutants::run(root(), names, seeds.parse().ok());
        }
        ["mutants", ref names @ ..] => return mutants::run(root(), names, None),
        _ => {
            eprintln!("usage: cargo xtask tidy [FOLDER] | mutants [--seeds N] [NAME...]");
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
    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    println!("tidy: {wrong} wrong, {} to think about", findings.len() - wrong);
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
