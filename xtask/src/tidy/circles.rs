//! No circle of files: within a crate, what a file takes it takes from files that take nothing from
//! it, by any detour. Its own `mod.rs` is a file like any other; that it hands names on is no step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Finding, Tree,
    modules::{Crate, Use},
    ratchet::Offender,
};

pub(super) fn check(tree: &Tree, offenders: &mut Vec<Offender>) {
    for room in Crate::all(tree) {
        let uses: Vec<Vec<Use<'_>>> = (0..room.sources.len()).map(|at| room.uses(at)).collect();
        let reached: Vec<BTreeSet<usize>> =
            (0..uses.len()).map(|from| reached(&uses, from)).collect();
        let mut seen = BTreeSet::new();
        for first in 0..uses.len() {
            if !reached[first].contains(&first) || !seen.insert(first) {
                continue;
            }
            let members: BTreeSet<usize> =
                reached[first].iter().copied().filter(|&at| reached[at].contains(&first)).collect();
            offenders.push(offender(&room, &uses, first, members.len()));
            seen.extend(members);
        }
    }
}

/// All files that the one at `from` uses, themselves or by others.
fn reached(uses: &[Vec<Use<'_>>], from: usize) -> BTreeSet<usize> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        next.extend(uses[at].iter().map(|used| used.source).filter(|&to| reached.insert(to)));
    }
    reached
}

/// The shortest way from a file on a circle back to itself.
fn way_round<'a>(uses: &[Vec<Use<'a>>], first: usize) -> Vec<(usize, Use<'a>)> {
    let mut came: BTreeMap<usize, (usize, Use<'_>)> = BTreeMap::new();
    let mut next = VecDeque::from([first]);
    while let Some(at) = next.pop_front() {
        for used in &uses[at] {
            came.entry(used.source).or_insert_with(|| {
                next.push_back(used.source);
                (at, *used)
            });
        }
    }
    let mut way = Vec::new();
    let mut at = first;
    while let Some(&(from, used)) = came.get(&at) {
        way.push((from, used));
        at = from;
        if at == first {
            break;
        }
    }
    way.reverse();
    way
}

fn offender(room: &Crate<'_>, uses: &[Vec<Use<'_>>], first: usize, members: usize) -> Offender {
    let way = way_round(uses, first);
    let name = |at: usize| room.sources[at].below;
    let steps: Vec<String> = way
        .iter()
        .map(|(from, used)| {
            format!("{} takes {} from {}", name(*from), used.name, name(used.source))
        })
        .collect();
    let line = way.first().map_or(1, |(_, used)| used.line);
    let finding = Finding {
        path: room.sources[first].file.path.clone(),
        line,
        rule: "circle",
        what: format!("a circle of {members} files; the shortest way round: {}", steps.join(", ")),
        advice: "Files that need one another are one file in pieces. Give what both name a file \
                 below them, pass it as an argument, or move an `impl` to its type.",
    };
    Offender { subject: format!("{} {}", room.name, name(first)), size: members, finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(String, usize, String)> {
        let mut offenders = Vec::new();
        check(&Tree::of(files), &mut offenders);
        let told = |found: Offender| (found.subject, found.size, found.finding.what);
        offenders.into_iter().map(told).collect()
    }

    #[test]
    fn files_that_use_one_another_are_found_with_the_way_round() {
        let circle = found(&[
            ("crates/c/src/a.rs", "use crate::b::B;\npub struct A;\n"),
            ("crates/c/src/b.rs", "use crate::c::C;\npub struct B;\n"),
            ("crates/c/src/c.rs", "pub struct C(super::a::A);\n"),
            ("crates/c/src/d.rs", "use crate::a::A;\n"),
            ("crates/c/src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
        ]);
        let way = "a.rs takes B from b.rs, b.rs takes C from c.rs, c.rs takes A from a.rs";
        let what = format!("a circle of 3 files; the shortest way round: {way}");
        assert_eq!(circle, [("c a.rs".to_owned(), 3, what)]);
    }

    #[test]
    fn two_circles_are_two() {
        let pair = |a: &str, b: &str| format!("use crate::{b}::Y;\npub struct {a};\n");
        let (a, c) = (pair("Y", "b"), pair("Y", "d"));
        let (b, d) = (pair("Y", "a"), pair("Y", "c"));
        let circles = found(&[
            ("crates/c/src/a.rs", &a),
            ("crates/c/src/b.rs", &b),
            ("crates/c/src/c.rs", &c),
            ("crates/c/src/d.rs", &d),
            ("crates/c/src/lib.rs", "use a::Y;\nuse d::Y as Z;\n"),
        ]);
        let subjects: Vec<&str> = circles.iter().map(|(subject, ..)| subject.as_str()).collect();
        assert_eq!(subjects, ["c a.rs", "c c.rs"]);
    }

    #[test]
    fn a_door_and_what_stands_behind_it_are_no_circle() {
        let circles = found(&[
            ("crates/c/src/x/mod.rs", "mod a;\npub use a::A;\npub struct Error;\n"),
            ("crates/c/src/x/a.rs", "use super::Error;\npub struct A;\n"),
            ("crates/c/src/lib.rs", "pub mod x;\n"),
        ]);
        assert_eq!(circles, []);
    }
}
