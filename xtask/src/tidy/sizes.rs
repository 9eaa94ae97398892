//! How long a file, a function and a line may be.

use super::{File, Finding, Tree};

const FILE: usize = 600;
const FUNCTION: usize = 80;
const COLUMNS: usize = 100;

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.rust() {
        check_file(file, findings);
        check_functions(file, findings);
        check_columns(file, findings);
    }
}

fn check_file(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    if lines <= FILE {
        return;
    }
    findings.push(Finding {
        path: file.path.clone(),
        line: 1,
        rule: "file-size",
        what: format!("{lines} lines of {FILE}"),
        advice: "A long file lacks a noun. Find it and give it a file; tests go to a tests.rs.",
    });
}

fn check_functions(file: &File, findings: &mut Vec<Finding>) {
    for at in 0..file.code.len() {
        let Some(name) = function_on(&file.code[at]) else { continue };
        let Some(end) = file.end_of_block(at) else { continue };
        let lines = end + 1 - at;
        if lines <= FUNCTION {
            continue;
        }
        findings.push(Finding {
            path: file.path.clone(),
            line: at + 1,
            rule: "function-size",
            what: format!("`{name}` has {lines} lines of {FUNCTION}"),
            advice: "A function fits a screen. Name its steps, or make its states a type.",
        });
    }
}

fn check_columns(file: &File, findings: &mut Vec<Finding>) {
    for (at, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        // An address cannot be broken, nor can a row of a table.
        let unbreakable = line.contains("://") || line.starts_with("//! |");
        if columns > COLUMNS && !unbreakable {
            findings.push(Finding {
                path: file.path.clone(),
                line: at + 1,
                rule: "columns",
                what: format!("{columns} columns of {COLUMNS}"),
                advice: "Two files side by side fit a screen. cargo fmt does not break strings and \
                         comments: break them, strings with a \\ at the end of the line.",
            });
        }
    }
}

/// The name of the function that begins on this line.
fn function_on(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    let begins = before.split_whitespace().all(|word| modifiers.contains(&word));
    let name = after.split(['(', '<']).next()?.trim();
    (begins && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    #[test]
    fn a_file_of_more_than_600_lines_is_wrong() {
        let found = |n: usize| lines(super::check, "src/a.rs", &"\n".repeat(n));
        assert_eq!(found(600), []);
        assert_eq!(found(601), [(1, "file-size")]);
    }

    #[test]
    fn a_function_that_does_not_fit_a_screen_is_found() {
        let function =
            |n: usize| format!("\npub(crate) const fn f(\n) {{\n{}}}\n", "x;\n".repeat(n));
        assert_eq!(lines(super::check, "src/a.rs", &function(77)), []);
        assert_eq!(lines(super::check, "src/a.rs", &function(78)), [(2, "function-size")]);
        let declared = format!("trait T {{ fn f(a: [u8; 2]);\n{}}}\n", "x;\n".repeat(90));
        assert_eq!(lines(super::check, "src/a.rs", &declared), []);
    }

    #[test]
    fn a_line_beyond_column_100_is_found_unless_it_cannot_be_broken() {
        let line = |n: usize| format!("//{}\n", "x".repeat(n - 2));
        assert_eq!(lines(super::check, "src/a.rs", &line(100)), []);
        assert_eq!(lines(super::check, "src/a.rs", &line(101)), [(1, "columns")]);
        for unbreakable in ["// https://", "//! | "] {
            let line = format!("{unbreakable}{}\n", "x".repeat(100));
            assert_eq!(lines(super::check, "src/a.rs", &line), []);
        }
    }
}
