//! Who may use whom inside the pure crate: the reading order of its `lib.rs`, as a check.

use super::{File, Finding, Tree};

/// The front page of the pure crate, where the reading order is written down: a line a floor, its
/// modules, two spaces, what they are. A line that ends with a dot goes on in the next.
const FRONT_PAGE: &str = include_str!("../../../crates/positron-proto/src/lib.rs");

/// The floors in reading order, each with its modules: a module uses only those before it.
fn floors() -> Vec<Vec<&'static str>> {
    let lines = FRONT_PAGE.lines().skip_while(|line| *line != "//! ```text").skip(1);
    let (mut floors, mut begun) = (Vec::new(), Vec::new());
    for line in lines.take_while(|line| *line != "//! ```") {
        let line = line.trim_start_matches("//! ");
        if let Some(names) = line.strip_suffix(" ·") {
            begun.extend(names.split(" · "));
        } else if let Some((names, _)) = line.split_once("  ") {
            begun.extend(names.split(" · "));
            floors.push(core::mem::take(&mut begun));
        }
    }
    floors
}

/// The floor below the last one, `node`, is that of the siblings. They never use one another: what
/// two of them share is data, wired in `node`.
fn siblings() -> Vec<&'static str> {
    floors().into_iter().rev().nth(1).unwrap_or_default()
}

/// Exceptions from the order, each tighter than it: the path begins so, and may not use this.
const NOT: [(&str, &str, &str); 5] = [
    ("gossip", "session", "gossip sends by its `Out`, whatever the link"),
    ("trust", "session", "trust hears observations, whatever the link"),
    ("wire/codec.rs", "identity", "numbers and lengths know no keys"),
    ("wire/frame.rs", "identity", "frames carry bytes, whoever signed them"),
    ("wire/holdings.rs", "identity", "holdings are numbers per id"),
];

const ROOT: &str = "crates/positron-proto/src/";

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.rust() {
        let Some(below) = file.path.strip_prefix(ROOT) else { continue };
        let module = below.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" || file.is_test.first() == Some(&true) {
            continue;
        }
        if rank(module).is_none() {
            findings.push(wrong(file, 1, format!("`{module}` has no place in the reading order")));
        }
        for (line, used) in uses(file, below) {
            if let Some(why) = forbidden(module, below, &used) {
                findings.push(wrong(file, line, format!("`{module}` uses `{used}`: {why}")));
            }
        }
    }
}

fn rank(module: &str) -> Option<usize> {
    floors().into_iter().flatten().position(|name| name == module)
}

/// Why `module` may not use `used`.
fn forbidden(module: &str, below: &str, used: &str) -> Option<&'static str> {
    if used == module {
        return None;
    }
    let siblings = siblings();
    if siblings.contains(&module) && siblings.contains(&used) {
        return Some("siblings never use one another");
    }
    if let Some((_, _, why)) =
        NOT.iter().find(|(from, to, _)| below.starts_with(from) && *to == used)
    {
        return Some(why);
    }
    (rank(used)? > rank(module)?).then_some("it stands below it in the reading order")
}

/// The top-level modules that code outside of tests names, by `crate::` or by enough `super::`.
fn uses(file: &File, below: &str) -> Vec<(usize, String)> {
    // One string, so that a path that is broken over lines is found all the same.
    let mut code = String::new();
    for (_, line, is_test) in file.code_lines() {
        code.push_str(if is_test { "" } else { line });
        code.push('\n');
    }
    let depth = below.trim_end_matches("/mod.rs").split('/').count();
    let mut uses = Vec::new();
    for prefix in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&prefix) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || matches!(before, '_' | ':' | '$') {
                continue;
            }
            for (offset, name) in first_names(&code[at + prefix.len()..]) {
                let line = code[..at + prefix.len() + offset].matches('\n').count() + 1;
                uses.push((line, name));
            }
        }
    }
    uses.retain(|(_, name)| rank(name).is_some());
    uses
}

/// The first name of a path, or the first names of a group `{a::b, c::{d, e}}`.
fn first_names(path: &str) -> Vec<(usize, String)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if !path.starts_with('{') {
        return vec![(0, path.chars().take_while(|&c| is_word(c)).collect())];
    }
    let mut names = Vec::new();
    let (mut depth, mut fresh) = (0_usize, true);
    for (at, c) in path.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if depth == 1 && fresh && is_word(c) => {
                names.push((at, path[at..].chars().take_while(|&c| is_word(c)).collect()));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn wrong(file: &File, line: usize, what: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "layers",
        what,
        advice: "Arrows point up the reading order only, so that each room is understood alone. \
                 Pass data as an argument, wire it in node/, or move the shared noun up.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    fn found(path: &str, text: &str) -> Vec<usize> {
        let path = format!("crates/positron-proto/src/{path}");
        lines(super::check, &path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn the_reading_order_is_the_one_of_the_front_page() {
        let floors = super::floors();
        assert_eq!(
            floors.first(),
            Some(&vec!["time", "deadlines", "lru", "allowance", "fair_queue"])
        );
        assert_eq!(floors.last(), Some(&vec!["node"]));
        assert!(super::siblings().starts_with(&["peers", "gossip", "direct", "request"]));
        assert!(super::rank("wire") < super::rank("storage"));
        assert!(super::rank("storage") < super::rank("peers"));
        assert_eq!(super::rank("what"), None);
    }

    #[test]
    fn siblings_never_use_one_another() {
        assert_eq!(found("gossip/mod.rs", "use crate::peers::Config;\n"), [1]);
        assert_eq!(found("gossip/mod.rs", "use crate::{\n    id,\n    trust::Trust,\n};\n"), [3]);
        assert_eq!(found("gossip/mod.rs", "fn f() { super::direct::g() }\n"), [1]);
        assert_eq!(found("gossip/store.rs", "use super::super::direct;\n"), [1]);
        assert_eq!(found("gossip/store.rs", "use super::direct;\nuse crate::gossip::Out;\n"), []);
    }

    #[test]
    fn nobody_uses_what_stands_below() {
        assert_eq!(found("identity/pem.rs", "use crate::wire::Reader;\n"), [1]);
        assert_eq!(found("time.rs", "\nfn f() -> crate::id::NodeId {}\n"), [2]);
        assert_eq!(found("session/mod.rs", "use crate::node::Input;\n"), [1]);
        assert_eq!(found("wire/frame.rs", "use crate::identity::Job;\n"), [1]);
        assert_eq!(found("wire/record.rs", "use crate::identity::Job;\n"), []);
        assert_eq!(found("trust/mod.rs", "use crate::session::Sessions;\n"), [1]);
        assert_eq!(found("peers/mod.rs", "use crate::session::Sessions;\n"), []);
        assert_eq!(found("node/core.rs", "use crate::{gossip, peers, trust, direct};\n"), []);
    }

    #[test]
    fn tests_comments_and_strings_are_free() {
        let text = "//! crate::peers\nfn f() { \"crate::peers\"; }\n\
                    #[cfg(test)]\nmod tests {\n    use crate::peers;\n}\n";
        assert_eq!(found("gossip/mod.rs", text), []);
    }

    #[test]
    fn a_new_module_must_be_given_a_place() {
        assert_eq!(found("surprise.rs", "fn f() {}\n"), [1]);
    }
}
