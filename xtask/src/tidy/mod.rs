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

mod circles;
mod citations;
mod crates;
mod crypto;
mod finding;
mod impls;
mod inputs;
mod layers;
mod modules;
mod promises;
mod purity;
mod ratchet;
mod sizes;
mod source;
mod tokens;
mod type_names;
mod words;

pub(crate) use finding::Finding;
pub(crate) use ratchet::LIST;
use ratchet::Offender;
pub(crate) use source::{File, Tree};

/// Every finding, in order of files and lines.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    layers::check(tree, &mut findings);
    crates::check(tree, &mut findings);
    crypto::check(tree, &mut findings);
    sizes::check(tree, &mut findings);
    purity::check(tree, &mut findings);
    promises::check(tree, &mut findings);
    words::check(tree, &mut findings);
    citations::check(tree, &mut findings);
    findings.retain(|finding| !tree.allows(finding));
    ratchet::apply(tree, offenders(tree), &mut findings);
    findings.sort_by(|a, b| (&a.path, a.line, a.rule).cmp(&(&b.path, b.line, b.rule)));
    findings.dedup();
    findings
}

/// The list of known offenders as it should be.
///
/// # Errors
///
/// It would grow.
pub(crate) fn rewritten_list(tree: &Tree) -> Result<String, String> {
    ratchet::rewritten(tree, &offenders(tree))
}

/// What the rules find that came later than the tree and have a list of known offenders.
fn offenders(tree: &Tree) -> Vec<Offender> {
    let mut offenders = Vec::new();
    circles::check(tree, &mut offenders);
    type_names::check(tree, &mut offenders);
    impls::check(tree, &mut offenders);
    inputs::check(tree, &mut offenders);
    offenders.retain(|offender| !tree.allows(&offender.finding));
    offenders
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cargo test --workspace` holds: the tree that you are looking at is tidy.
    #[test]
    fn this_tree_is_tidy() {
        let findings = check(&Tree::of_this_repository());
        let wrong: Vec<String> = findings.iter().map(ToString::to_string).collect();
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
