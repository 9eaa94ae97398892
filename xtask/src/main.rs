//! Checks of the tree that no compiler makes: `cargo xtask tidy`.

use std::{path::Path, process::ExitCode};

mod tidy;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tree = match arguments[..] {
        ["tidy"] => tidy::Tree::of_this_repository(),
        ["tidy", folder] => tidy::Tree::of_folder(Path::new(folder)),
        _ => {
            eprintln!("usage: cargo xtask tidy [FOLDER]");
            return ExitCode::from(2);
        }
    };
    report(&tidy::check(&tree))
}

fn report(findings: &[tidy::Finding]) -> ExitCode {
    for finding in findings {
        println!("{finding}");
    }
    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    println!("tidy: {wrong} wrong, {} to think about", findings.len() - wrong);
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
