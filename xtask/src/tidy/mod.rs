//! The style of this tree, as far as a program can check it. Each rule is a file, each finding says
//! where, which rule, why the rule exists, and what to do.
//!
//! A line may be exempted, with a reason, by a comment on it or right above it:
//!
//! ```text
//! // tidy: allow(sleep) polls for the condition until the deadline
//! ```
//!
//! `allow(file-size)` may stand anywhere in the file.

mod citations;
mod crates;
mod layers;
mod promises;
mod purity;
mod sizes;
mod source;
mod words;

use std::fmt;

pub(crate) use source::{File, Tree};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where, from the root of the repository.
    pub(crate) path: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// The name of the rule.
    pub(crate) rule: &'static str,
    /// What is there.
    pub(crate) what: String,
    /// Why the rule exists, and what to do.
    pub(crate) advice: &'static str,
    /// Whether the check fails, or only says so.
    pub(crate) severity: Severity,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Somebody should think about it.
    Think,
    /// It must change.
    Wrong,
}

impl Finding {
    /// Whether the check fails because of it.
    pub(crate) fn is_wrong(&self) -> bool {
        self.severity == Severity::Wrong
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_wrong() { "wrong" } else { "think" };
        let Self { path, line, rule, what, advice, .. } = self;
        write!(f, "{path}:{line}: {word} [{rule}] {what}\n    {advice}")
    }
}

/// Every finding, in order of files and lines.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    layers::check(tree, &mut findings);
    crates::check(tree, &mut findings);
    sizes::check(tree, &mut findings);
    purity::check(tree, &mut findings);
    promises::check(tree, &mut findings);
    words::check(tree, &mut findings);
    citations::check(tree, &mut findings);
    findings.retain(|finding| !tree.allows(finding));
    findings.sort_by(|a, b| (&a.path, a.line, a.rule).cmp(&(&b.path, b.line, b.rule)));
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cargo test --workspace` holds: the tree that you are looking at is tidy.
    #[test]
    fn this_tree_is_tidy() {
        let findings = check(&Tree::of_this_repository());
        let wrong: Vec<String> =
            findings.iter().filter(|finding| finding.is_wrong()).map(ToString::to_string).collect();
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }

    #[test]
    fn a_finding_says_where_which_rule_why_and_what_to_do() {
        let tree = Tree::of(&[("crates/positron-proto/src/gossip/mod.rs", "use crate::peers;\n")]);
        let text = check(&tree)[0].to_string();
        assert!(text.starts_with("crates/positron-proto/src/gossip/mod.rs:1: wrong [layers]"));
        assert!(text.contains("\n    "));
    }

    #[test]
    fn an_exemption_needs_its_rule_and_a_reason() {
        let test = |comment: &str| {
            let text = format!("#[test]\nfn f() {{\n    {comment}\n    thread::sleep(a);\n}}\n");
            check(&Tree::of(&[("crates/positron-net/tests/cli.rs", &text)])).len()
        };
        assert_eq!(test("// tidy: allow(sleep) polls until the deadline"), 0);
        assert_eq!(test("// tidy: allow(sleep)"), 1);
        assert_eq!(test("// tidy: allow(unwrap) polls until the deadline"), 1);
        assert_eq!(test("// polls until the deadline"), 1);
    }
}

/// What the tests of the rules share.
#[cfg(test)]
mod rule {
    use super::{Finding, Tree};

    /// The lines that `check` finds in one file, with their rules.
    pub(crate) fn lines(
        check: impl Fn(&Tree, &mut Vec<Finding>),
        path: &str,
        text: &str,
    ) -> Vec<(usize, &'static str)> {
        let mut findings = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut findings);
        findings.iter().map(|finding| (finding.line, finding.rule)).collect()
    }
}
