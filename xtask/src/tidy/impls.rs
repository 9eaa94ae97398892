//! A type's own functions stand in its file, or in one more.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Finding, Tree,
    modules::{Crate, Source},
    ratchet::Offender,
    tokens::{Token, end_of_generics, end_of_group},
};

/// In how many files the `impl`s of one type may stand.
const FILES: usize = 2;

/// An `impl` of a type's own functions.
#[derive(Debug)]
pub(super) struct Impl<'a> {
    /// The type, as it is called here.
    pub(super) path: Vec<&'a str>,
    /// Its arguments, where the `impl` is for these and no others: `A<B>` is another type than
    /// `A<T>` for all T, and may belong to the file of B.
    arguments: String,
    /// The tokens between its braces.
    pub(super) body: Range<usize>,
}

pub(super) fn check(tree: &Tree, offenders: &mut Vec<Offender>) {
    for room in Crate::all(tree) {
        let mut files: BTreeMap<(usize, &str, String), BTreeSet<usize>> = BTreeMap::new();
        for (at, source) in room.sources.iter().enumerate() {
            for found in own_impls(source) {
                if let Some((home, name)) = room.definition(at, &found.path) {
                    files.entry((home, name, found.arguments)).or_default().insert(at);
                }
            }
        }
        files.retain(|_, files| files.len() > FILES);
        for ((home, name, arguments), files) in files {
            let source = &room.sources[home];
            let item = source.items.iter().find(|item| item.name == name);
            let below: Vec<&str> = files.iter().map(|&at| room.sources[at].below).collect();
            let finding = Finding {
                path: source.file.path.clone(),
                line: item.map_or(1, |item| item.line),
                rule: "impl-files",
                what: format!("`{name}{arguments}` is implemented in {}", below.join(", ")),
                advice: "A type that fills many files is many machines with all fields in common. \
                         Find the noun of each, and give it its fields, its file and its contract.",
            };
            let subject = format!("{} {name}{arguments}", room.name);
            offenders.push(Offender { subject, size: files.len(), finding });
        }
    }
}

/// The `impl`s that types have of their own in this file. What a trait asks for is none.
pub(super) fn own_impls<'a>(source: &Source<'a>) -> Vec<Impl<'a>> {
    let begin = |at: usize| {
        // Elsewhere `impl` stands in a type: `-> impl Iterator`.
        let before = at.checked_sub(1).map_or("", |before| source.tokens[before].text);
        source.tokens[at].text == "impl"
            && matches!(before, "" | ";" | "}" | "{" | "]" | "unsafe" | "default")
    };
    let heads = (0..source.tokens.len()).filter(|&at| begin(at));
    heads.filter_map(|at| own_impl(&source.tokens, at)).collect()
}

/// Reads the `impl` at `at`. `None` if it is that of a trait.
fn own_impl<'a>(tokens: &[Token<'a>], at: usize) -> Option<Impl<'a>> {
    let begin = at + 1;
    let mut at = end_of_generics(tokens, begin);
    let is_for_all = at > begin;
    let (mut path, mut arguments) = (Vec::new(), String::new());
    loop {
        match tokens.get(at)?.text {
            "::" => at += 1,
            "<" => {
                let end = end_of_generics(tokens, at);
                if !is_for_all && tokens[at + 1].is_word() {
                    arguments = tokens[at..end].iter().map(|token| token.text).collect();
                }
                at = end;
            }
            "{" | "where" => break,
            "for" | "!" | "&" | "(" | "[" => return None,
            name => {
                path.push(name);
                at += 1;
            }
        }
    }
    let open = at + tokens[at..].iter().position(|token| token.text == "{")?;
    Some(Impl { path, arguments, body: open + 1..end_of_group(tokens, open) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(third: &str) -> Vec<(String, usize)> {
        let mut offenders = Vec::new();
        let files = [
            ("crates/c/src/lib.rs", "mod x;\nmod y;\n"),
            ("crates/c/src/x/mod.rs", "mod a;\nmod b;\nmod c;\nuse a::A;\n"),
            ("crates/c/src/x/a.rs", "pub struct A<T>(T);\nimpl<T: Into<u8>> A<T> {}\n"),
            ("crates/c/src/x/b.rs", "use super::A;\nimpl<T> A<T>\nwhere\n    T: B\n{\n}\n"),
            ("crates/c/src/x/c.rs", third),
            ("crates/c/src/y.rs", "pub struct A;\nimpl A {}\n"),
        ];
        check(&Tree::of(&files), &mut offenders);
        offenders.into_iter().map(|found| (found.subject, found.size)).collect()
    }

    #[test]
    fn a_type_that_is_implemented_in_a_third_file_is_found() {
        let three = [("c A".to_owned(), 3)];
        assert_eq!(found("impl<T> super::A<T> {}\n"), three);
        assert_eq!(found("use super::A as Z;\nimpl<F: Fn() -> u8> Z<F> {}\n"), three);
    }

    #[test]
    fn traits_other_types_of_the_name_and_tests_do_not_count() {
        for third in [
            "use super::A;\nimpl<T> Drop for A<T> {}\n",
            "use crate::y::A;\nimpl A {}\n",
            "struct B;\nimpl super::A<B> {}\n",
            "use super::A;\nfn f() -> impl A {}\n",
            "use super::A;\n#[cfg(test)]\nimpl<T> A<T> {}\n",
        ] {
            assert_eq!(found(third), [], "{third}");
        }
    }
}
