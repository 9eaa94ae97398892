//! Known offenders: what stood when a rule came, written down in a list that only shrinks.
//!
//! A line of the list is `rule subject size`. Who offends and is not in it, or by more than is in
//! it, is wrong; a line that is larger than what offends is wrong too. An empty list is no file.

use std::collections::BTreeMap;

use super::{Finding, Tree};

/// Where the list is.
pub(crate) const LIST: &str = "xtask/tidy.ratchet";

/// A finding that the list may excuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offender {
    /// By what the list knows it; no line numbers, which change.
    pub(super) subject: String,
    /// How much it offends.
    pub(super) size: usize,
    /// What is said if the list does not excuse it.
    pub(super) finding: Finding,
}

/// Rule and subject.
type Key = (String, String);

/// Adds to `findings` what the list does not excuse, and what is wrong with the list itself.
pub(super) fn apply(tree: &Tree, offenders: Vec<Offender>, findings: &mut Vec<Finding>) {
    let mut listed = listed(tree);
    let sizes = sizes(&offenders);
    for Offender { subject, mut finding, .. } in offenders {
        let key = (finding.rule.to_owned(), subject);
        let (size, excused) = (sizes[&key], listed.get(&key).map_or(0, |(size, _)| *size));
        if size > excused {
            if excused > 0 {
                finding.what.push_str(&format!("; {size}, and {excused} are listed"));
            }
            findings.push(finding);
        }
    }
    listed.retain(|key, (excused, _)| *excused > sizes.get(key).copied().unwrap_or(0));
    for ((rule, subject), (excused, line)) in listed {
        findings.push(Finding {
            path: LIST.to_owned(),
            line,
            rule: "ratchet",
            what: format!("`{rule} {subject}` offends by less than {excused}, or no more"),
            advice: "The list only shrinks, so that what was mended stays so. Write it anew: \
                     cargo xtask ratchet",
        });
    }
}

/// The list as it should be for these offenders.
///
/// # Errors
///
/// A rule has more to excuse than before. Files may be renamed, but nothing new comes in.
pub(super) fn rewritten(tree: &Tree, offenders: &[Offender]) -> Result<String, String> {
    let sizes = sizes(offenders);
    let (mut before, mut now) = (BTreeMap::new(), BTreeMap::new());
    for ((rule, _), (size, _)) in listed(tree) {
        *before.entry(rule).or_insert(0) += size;
    }
    for ((rule, _), size) in &sizes {
        *now.entry(rule.clone()).or_insert(0) += *size;
    }
    for (rule, now) in now {
        let before = before.get(&rule).copied().unwrap_or(0);
        if now > before {
            return Err(format!("{rule}: {now} to excuse, and {before} are listed; mend the rest"));
        }
    }
    let lines = sizes.iter().map(|((rule, subject), size)| format!("{rule} {subject} {size}\n"));
    Ok(lines.collect())
}

fn sizes(offenders: &[Offender]) -> BTreeMap<Key, usize> {
    let mut sizes = BTreeMap::new();
    for Offender { subject, size, finding } in offenders {
        *sizes.entry((finding.rule.to_owned(), subject.clone())).or_insert(0) += size;
    }
    sizes
}

/// The list: how much it excuses, and on which line.
fn listed(tree: &Tree) -> BTreeMap<Key, (usize, usize)> {
    let text = tree.files().find(|file| file.path == LIST).map_or("", |file| &file.text);
    let read = |line: &str| {
        let (rule, rest) = line.split_once(' ')?;
        let (subject, size) = rest.rsplit_once(' ')?;
        Some(((rule.to_owned(), subject.to_owned()), size.parse().ok()?))
    };
    let lines = text.lines().enumerate().map(|(at, line)| {
        // Nonsense excuses nobody.
        let (key, size) = read(line).unwrap_or_else(|| ((line.to_owned(), String::new()), 1));
        (key, (size, at + 1))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offender(subject: &str, size: usize) -> Offender {
        let (path, what) = ("a.rs".to_owned(), "it offends".to_owned());
        let finding = Finding { path, line: 7, rule: "circle", what, advice: "Mend it." };
        Offender { subject: subject.to_owned(), size, finding }
    }

    /// Where something is wrong if the list is `list` and these offend.
    fn wrong(list: &str, offenders: Vec<Offender>) -> Vec<(String, usize)> {
        let mut findings = Vec::new();
        apply(&Tree::of(&[(LIST, list)]), offenders, &mut findings);
        findings.into_iter().map(|finding| (finding.path, finding.line)).collect()
    }

    #[test]
    fn who_is_listed_is_excused_and_nobody_else() {
        let list = "circle c a.rs 3\ncircle c b.rs 2\n";
        let listed = || vec![offender("c a.rs", 3), offender("c b.rs", 2)];
        assert_eq!(wrong(list, listed()), []);
        let more = [listed(), vec![offender("c c.rs", 1)]].concat();
        assert_eq!(wrong(list, more), [("a.rs".to_owned(), 7)]);
        assert_eq!(wrong("", vec![offender("c a.rs", 3)]), [("a.rs".to_owned(), 7)]);
    }

    #[test]
    fn who_is_listed_does_not_offend_more() {
        assert_eq!(
            wrong("circle c a.rs 3\n", vec![offender("c a.rs", 4)]),
            [("a.rs".to_owned(), 7)]
        );
    }

    #[test]
    fn what_is_mended_leaves_the_list() {
        let list = "circle c a.rs 3\ncircle c b.rs 2\n";
        let gone = wrong(list, vec![offender("c a.rs", 3)]);
        assert_eq!(gone, [(LIST.to_owned(), 2)]);
        let smaller = wrong("circle c a.rs 3\n", vec![offender("c a.rs", 2)]);
        assert_eq!(smaller, [(LIST.to_owned(), 1)]);
        assert_eq!(wrong("nonsense\n", vec![]), [(LIST.to_owned(), 1)]);
    }

    #[test]
    fn the_list_is_written_anew_unless_it_would_grow() {
        let tree = Tree::of(&[(LIST, "circle c a.rs 3\n")]);
        let renamed = rewritten(&tree, &[offender("c new.rs", 2), offender("c b.rs", 1)]);
        assert_eq!(renamed.unwrap(), "circle c b.rs 1\ncircle c new.rs 2\n");
        assert_eq!(rewritten(&tree, &[]).unwrap(), "");
        assert!(rewritten(&tree, &[offender("c a.rs", 4)]).is_err());
    }
}
