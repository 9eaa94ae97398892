//! What the code and the documents point to exists: sections of PROTOCOL.md, and files.

use std::collections::BTreeSet;

use super::{File, Finding, Tree};

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let protocol = tree.files().find(|file| file.path == "PROTOCOL.md");
    let sections = protocol.map(|file| sections(&file.text)).unwrap_or_default();
    for file in tree.files().filter(|file| !file.path.starts_with("xtask/")) {
        let is_protocol = file.path == "PROTOCOL.md";
        let own = if is_protocol { cited_by_itself(&file.text) } else { Vec::new() };
        for (line, section) in cited(&file.text).into_iter().chain(own) {
            if !sections.contains(&section) {
                let what = format!("PROTOCOL.md has no section {section}");
                let advice = "A citation is how the next reader finds what the branch obeys. Cite \
                              the section that says it, or write that section first.";
                findings.push(wrong(file, line, "citation", what, advice));
            }
        }
        if file.path.ends_with(".md") {
            check_links(tree, file, findings);
        }
    }
}

fn check_links(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (at, line) in file.text.lines().enumerate() {
        for (_, link) in line.match_indices("](").map(|(at, _)| line.split_at(at + 2)) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains(':') {
                continue;
            }
            let path = resolved(folder, target);
            let exists = tree
                .files()
                .any(|file| file.path == path || file.path.starts_with(&format!("{path}/")));
            if !exists {
                let what = format!("{target} is not there");
                let advice = "A link to nothing costs every reader a search. Mend or remove it.";
                findings.push(wrong(file, at + 1, "link", what, advice));
            }
        }
    }
}

/// The path that a link in this folder means.
fn resolved(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty()) {
        match part {
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

/// The numbers of the headings: `## 3.` and `### 3.1`.
fn sections(protocol: &str) -> BTreeSet<String> {
    let headings = protocol.lines().filter_map(|line| line.strip_prefix("##"));
    let numbers = headings.filter_map(|line| line.trim_start_matches('#').trim().split(' ').next());
    numbers.map(|number| number.trim_end_matches('.').to_owned()).collect()
}

/// The sections that are cited as `PROTOCOL 4`, `[PROTOCOL 3, 4.1]`, `(PROTOCOL.md, 4)`, also over
/// two lines.
fn cited(text: &str) -> Vec<(usize, String)> {
    const OPEN: &str = "PROTOCOL";
    let mut found = Vec::new();
    for (at, _) in text.match_indices(OPEN) {
        let rest = &text[at + OPEN.len()..];
        let rest = rest.strip_prefix(".md").unwrap_or(rest);
        let line = text[..at].matches('\n').count() + 1;
        let parts = rest.split([' ', ',', '\n', '/', '!', '#']).filter(|part| !part.is_empty());
        for part in parts {
            let number = part.trim_end_matches([']', ')', '`', '.', ';', ':']);
            if !is_section(number) {
                break;
            }
            found.push((line, number.to_owned()));
            if number != part {
                break; // the citation is closed
            }
        }
    }
    found
}

/// What PROTOCOL.md cites of itself: sections in parentheses that hold nothing else, `(5.2)` or
/// `(5.2, 9.4)`. Those of an RFC stand behind its number.
fn cited_by_itself(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for inside in line.split('(').skip(1).filter_map(|rest| rest.split(')').next()) {
            let numbers: Vec<&str> = inside.split(", ").map(str::trim).collect();
            if numbers.iter().all(|number| is_section(number) && number.contains('.')) {
                found.extend(numbers.iter().map(|number| (at + 1, (*number).to_owned())));
            }
        }
    }
    found
}

/// Whether it reads as `4` or `4.1`.
fn is_section(text: &str) -> bool {
    let is_number =
        |part: &str| (1..=2).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit());
    match text.split_once('.') {
        Some((chapter, section)) => is_number(chapter) && is_number(section),
        None => is_number(text),
    }
}

fn wrong(
    file: &File,
    line: usize,
    rule: &'static str,
    what: String,
    advice: &'static str,
) -> Finding {
    Finding { path: file.path.clone(), line, rule, what, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(usize, &'static str)> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings.iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn a_citation_of_a_section_that_is_not_there_is_found() {
        let protocol = ("PROTOCOL.md", "# P\n\n## 3. Messages\n\n### 3.1 Records\n");
        let code = "// [PROTOCOL 3, 3.1]\n// `[PROTOCOL\n//! 3.1]`\n// [PROTOCOL 3.2]\n";
        assert_eq!(found(&[protocol, ("src/a.rs", code)]), [(4, "citation")]);
        assert_eq!(found(&[("src/a.rs", "\n// [PROTOCOL 1]\n")]), [(2, "citation")]);
    }

    #[test]
    fn a_citation_in_plain_words_is_looked_at_too() {
        let protocol =
            ("PROTOCOL.md", "## 3. Messages\n\n### 3.1 Records (3.1, 3.2)\nRFC (3.3 s)\n");
        let text =
            "So (PROTOCOL 3.1), PROTOCOL 3.2: and [PROTOCOL.md](PROTOCOL.md), 7.\nPROTOCOL.md 4.\n";
        let expected = [(3, "citation"), (1, "citation"), (2, "citation")];
        assert_eq!(found(&[protocol, ("ARCHITECTURE.md", text)]), expected);
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_is_found() {
        let files = [
            ("README.md", "[a](docs/a.md) [b](docs/) [c](https://example.org/x) [d](#d)\n"),
            ("docs/a.md", "[here](a.md#part)\n[gone](../b.md)\n"),
        ];
        assert_eq!(found(&files), [(2, "link")]);
    }
}
