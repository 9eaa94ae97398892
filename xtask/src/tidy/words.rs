//! Words that do not say why, unfinished work, and white space.

use super::{Finding, Tree};

/// Names of files that name nothing.
const EMPTY_NAMES: [&str; 6] = ["manager", "helper", "helpers", "util", "utils", "misc"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files() {
        let mut add = |line: usize, rule: &'static str, what: String, advice: &'static str| {
            let path = file.path.clone();
            findings.push(Finding { path, line, rule, what, advice });
        };
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let mut words = name.split(|c: char| !c.is_alphanumeric());
        if let Some(word) = words.find(|word| EMPTY_NAMES.contains(word)) {
            let advice = "A name like this draws unrelated things together. Name the noun that the \
                          file is about; if there are two, make two files.";
            add(1, "file-name", format!("{word} says nothing"), advice);
        }
        for (at, line) in file.text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                let advice = "It shows up in every later change of the line. Remove it.";
                add(at + 1, "white-space", "white space at the end of the line".into(), advice);
            }
        }
        for (at, (code, comment)) in file.code.iter().zip(&file.comments).enumerate() {
            let macros = ["todo!", "unimplemented!", "dbg!"];
            let marks = ["TODO", "FIXME", "XXX", "HACK"];
            let found = macros.iter().find(|word| code.contains(*word));
            let found = found.or_else(|| marks.iter().find(|word| comment.contains(*word)));
            if let Some(word) = found {
                let advice = "What is in the tree is finished. Do it, or take it out and say in \
                              the documentation what is not there.";
                add(at + 1, "unfinished", format!("{word} is here"), advice);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    #[test]
    fn a_file_whose_name_says_nothing_is_found() {
        assert_eq!(lines(super::check, "src/peer_manager.rs", ""), [(1, "file-name")]);
        assert_eq!(lines(super::check, "tests/utils.py", ""), [(1, "file-name")]);
        assert_eq!(lines(super::check, "src/utility.rs", ""), []);
    }

    #[test]
    fn unfinished_work_is_found() {
        let text = "fn f() {\n    todo!()\n}\n// FIXME: later\n\"TODO in a string\";\n";
        assert_eq!(lines(super::check, "src/a.rs", text), [(2, "unfinished"), (4, "unfinished")]);
    }

    #[test]
    fn white_space_at_the_end_of_a_line_is_found() {
        assert_eq!(lines(super::check, "README.md", "a\nb \n"), [(2, "white-space")]);
    }
}
