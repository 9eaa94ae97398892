//! What the documents promise and other files must agree with.

use super::{Finding, Tree};

/// What the first screen of the README tells a stranger to run; `.ci/sections.sh` holds it.
const COMMANDS: [(&str, &str); 2] = [
    ("cargo run --release -- simulate", "simulate --count"),
    ("cargo test --workspace", "cargo test --workspace"),
];

/// Where every dependency comes from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files() {
        let mut add = |line: usize, rule: &'static str, what: String, advice: &'static str| {
            let path = file.path.clone();
            findings.push(Finding { path, line, rule, what, advice });
        };
        let lines = || file.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        match file.path.as_str() {
            "README.md" => {
                for (command, _) in COMMANDS {
                    if !lines().any(|(_, line)| line.starts_with(command)) {
                        let advice = "It is the first thing that a stranger does. Keep it exact.";
                        add(1, "readme", format!("`{command}` is not in the README"), advice);
                    }
                }
                for line in indented_code(&file.text) {
                    let advice = "The README is run as documentation, where indented code is Rust. \
                                  Put it between ``` and name its language.";
                    add(line, "readme", "indented code".into(), advice);
                }
            }
            ".ci/sections.sh" => {
                for (_, command) in COMMANDS {
                    if !file.text.contains(command) {
                        let advice = "What the README promises is checked before a change goes in.";
                        add(1, "ci", format!("`{command}` is not run"), advice);
                    }
                }
            }
            "Cargo.lock" => {
                for (at, line) in lines() {
                    let source = line.strip_prefix("source = ").map(|text| text.trim_matches('"'));
                    if let Some(source) = source.filter(|source| *source != SOURCE) {
                        let advice = "Everybody must be able to build this: crates.io only.";
                        add(at, "sources", format!("{source} is no public source"), advice);
                    }
                }
            }
            ".cargo/config.toml" => {
                let named = ["registry", "registries", "source.", "http"];
                for (at, line) in lines() {
                    if named.iter().any(|word| line.contains(word)) {
                        let advice = "Where a machine gets its packages is its own business: put \
                                      it into the configuration of its user.";
                        add(at, "sources", "a source of packages is configured".into(), advice);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Lines of Markdown that are code because they are indented: after an empty line, outside of
/// fences.
fn indented_code(markdown: &str) -> Vec<usize> {
    let (mut fenced, mut after_empty) = (false, true);
    let mut found = Vec::new();
    for (at, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && after_empty && line.starts_with("    ") {
            found.push(at + 1);
        }
        after_empty = line.trim().is_empty();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    #[test]
    fn the_two_commands_of_the_readme_stay_exact() {
        let readme =
            "```sh\ncargo run --release -- simulate  # five\ncargo test --workspace\n```\n";
        assert_eq!(lines(super::check, "README.md", readme), []);
        let other = readme.replace("--release ", "");
        assert_eq!(lines(super::check, "README.md", &other), [(1, "readme")]);
    }

    #[test]
    fn indented_code_in_the_readme_is_found() {
        let readme = "cargo run --release -- simulate\ncargo test --workspace\n\n    ls\n";
        assert_eq!(lines(super::check, "README.md", readme), [(4, "readme")]);
    }

    #[test]
    fn ci_runs_what_the_readme_promises() {
        let script = "cargo test --workspace\n$net simulate --count 5\n";
        assert_eq!(lines(super::check, ".ci/sections.sh", script), []);
        assert_eq!(lines(super::check, ".ci/sections.sh", "cargo test\n"), [(1, "ci"), (1, "ci")]);
    }

    #[test]
    fn packages_come_from_the_public_registry_only() {
        let lock = format!("source = \"{}\"\nsource = \"git+https://x\"\n", super::SOURCE);
        assert_eq!(lines(super::check, "Cargo.lock", &lock), [(2, "sources")]);
        let config = "[alias]\nxtask = \"run\"\n[source.crates-io]\n";
        assert_eq!(lines(super::check, ".cargo/config.toml", config), [(3, "sources")]);
    }
}
