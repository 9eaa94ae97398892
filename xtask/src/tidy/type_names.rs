//! One name, one thing: a crate exports a type name once.

use std::collections::BTreeMap;

use super::{Finding, Tree, modules::Crate, ratchet::Offender};

/// What stands behind the names of `crypto/native.rs` where that one is not: they are one name
/// each, because no program has both.
const OTHER_BACK_END: &str = "crypto/pure.rs";

pub(super) fn check(tree: &Tree, offenders: &mut Vec<Offender>) {
    for room in Crate::all(tree) {
        let mut places: BTreeMap<&str, Vec<(&str, usize, &str)>> = BTreeMap::new();
        for source in room.sources.iter().filter(|source| source.below != OTHER_BACK_END) {
            let types = source.items.iter().filter(|item| {
                item.is_public
                    && matches!(item.kind, "struct" | "enum" | "union" | "trait" | "type")
            });
            for item in types {
                let place = (source.file.path.as_str(), item.line, source.below);
                places.entry(item.name).or_default().push(place);
            }
        }
        for (name, places) in places.into_iter().filter(|(_, places)| places.len() > 1) {
            let (path, line, _) = places[0];
            let files: Vec<&str> = places.iter().map(|(.., below)| *below).collect();
            let finding = Finding {
                path: path.to_owned(),
                line,
                rule: "type-name",
                what: format!("`{name}` is {} types: in {}", places.len(), files.join(", ")),
                advice: "One name, one thing: whoever searches for it should find it, and an \
                         import should need no `as`. Say in each name what kind it is of, or keep \
                         the type private to its file.",
            };
            let subject = format!("{} {name}", room.name);
            offenders.push(Offender { subject, size: places.len(), finding });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(a: &str, b: &str) -> Vec<(String, usize)> {
        let files = [("crates/c/src/a.rs", a), ("crates/c/src/b.rs", b)];
        let other = [("crates/d/src/b.rs", "pub struct A;\n")];
        let mut offenders = Vec::new();
        check(&Tree::of(&[&files[..], &other[..]].concat()), &mut offenders);
        offenders.into_iter().map(|found| (found.subject, found.size)).collect()
    }

    #[test]
    fn a_name_that_stands_for_two_types_is_found() {
        let two = [("c A".to_owned(), 2)];
        assert_eq!(found("pub struct A;\n", "pub(crate) enum A {}\n"), two);
        assert_eq!(found("pub trait A {}\n", "pub(in crate::x) type A<T> = B<T>;\n"), two);
    }

    #[test]
    fn private_types_variants_members_re_exports_and_tests_do_not_count() {
        for other in [
            "struct A;\n",
            "pub enum B {\n    A,\n}\n",
            "pub trait B {\n    type A;\n}\n",
            "pub use crate::a::A;\n",
            "pub fn f() {\n    pub struct A;\n}\n",
            "#[cfg(test)]\nmod tests {\n    pub struct A;\n}\n",
            "pub const A: u8 = 0;\n",
        ] {
            assert_eq!(found("pub struct A;\n", other), [], "{other}");
        }
    }
}
