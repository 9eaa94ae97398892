//! The crates of the tree as their files see one another: what each file defines and imports, and
//! which file a path leads to.
//!
//! It reads tokens and knows no types: a method that is called on a value leads nowhere. A module
//! that stands inside a file is read as part of it.

use std::collections::BTreeMap;

use super::{
    File, Tree,
    tokens::{Token, end_of_group, tokens},
};

/// The files of one crate, tests left out.
#[derive(Debug)]
pub(super) struct Crate<'a> {
    /// Its folder's name.
    pub(super) name: String,
    /// Its files.
    pub(super) sources: Vec<Source<'a>>,
    /// The files, by the paths of their modules.
    modules: BTreeMap<Vec<&'a str>, usize>,
}

/// A file as a module.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// The file.
    pub(super) file: &'a File,
    /// Its path below `src/`.
    pub(super) below: &'a str,
    /// Its code.
    pub(super) tokens: Vec<Token<'a>>,
    /// What it defines outside of functions and `impl`s.
    pub(super) items: Vec<Item<'a>>,
    module: Vec<&'a str>,
    imports: Vec<Import<'a>>,
    /// The tokens that are in an import: from, to.
    imported: Vec<(usize, usize)>,
}

/// Something with a name that stands in a file.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    /// Its keyword.
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    /// Where, from 1.
    pub(super) line: usize,
    /// Whether other files may name it.
    pub(super) is_public: bool,
}

#[derive(Debug)]
struct Import<'a> {
    path: Vec<&'a str>,
    /// What it is called here; `None` for `*`.
    name: Option<&'a str>,
    line: usize,
    is_public: bool,
}

/// A name that a file takes from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use<'a> {
    /// The other file, in the crate's `sources`.
    pub(super) source: usize,
    /// What is taken.
    pub(super) name: &'a str,
    /// Where, from 1.
    pub(super) line: usize,
}

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target<'a> {
    Item(usize, &'a str),
    Module(usize),
}

/// How many imports a name is followed through; more is a circle of imports.
const HOPS: usize = 16;

impl<'a> Crate<'a> {
    /// Every crate of the tree.
    pub(super) fn all(tree: &'a Tree) -> Vec<Self> {
        let mut folders: BTreeMap<&str, Vec<Source<'_>>> = BTreeMap::new();
        for file in tree.rust().filter(|file| !file.is_test.iter().all(|&is_test| is_test)) {
            let Some((folder, below)) = file.path.split_once("/src/") else { continue };
            folders.entry(folder).or_default().push(Source::new(file, below));
        }
        let named = folders.into_iter().map(|(folder, sources)| {
            let name = folder.rsplit('/').next().unwrap_or(folder).to_owned();
            let modules =
                sources.iter().enumerate().map(|(at, source)| (source.module.clone(), at));
            Self { name, modules: modules.collect(), sources }
        });
        named.collect()
    }

    /// What the file at `source` takes from other files. That a front door hands something on is
    /// no use of it, nor is the name of a module; what is taken through them is.
    pub(super) fn uses(&self, source: usize) -> Vec<Use<'a>> {
        let here = &self.sources[source];
        let mut uses = Vec::new();
        let mut add = |target: Option<Target<'a>>, line: usize| {
            if let Some(Target::Item(other, name)) = target
                && other != source
            {
                uses.push(Use { source: other, name, line });
            }
        };
        for import in &here.imports {
            let target = self.resolve(source, &import.path, HOPS);
            match (import.name, target) {
                (None, Some(Target::Module(module))) if !import.is_public => {
                    add(Some(Target::Item(module, "*")), import.line);
                }
                (Some(name), _) if import.is_public && !here.says(name) => {}
                _ => add(target, import.line),
            }
        }
        for (path, line) in here.paths() {
            add(self.resolve(source, &path, HOPS), line);
        }
        uses.sort_by_key(|found| (found.source, found.line));
        uses
    }

    /// The file that defines the type to which `path` leads from the file at `source`, and its
    /// name there.
    pub(super) fn definition(&self, source: usize, path: &[&'a str]) -> Option<(usize, &'a str)> {
        match self.resolve(source, path, HOPS)? {
            Target::Item(source, name) => Some((source, name)),
            Target::Module(_) => None,
        }
    }

    fn resolve(&self, source: usize, path: &[&'a str], hops: usize) -> Option<Target<'a>> {
        let here = &self.sources[source];
        let mut module = here.module.clone();
        let mut rest = path;
        match path.first()? {
            &"crate" => module.clear(),
            &"self" => {}
            &"super" => {
                module.pop()?;
            }
            name => return self.resolve_in(source, path, hops, here.knows(name)),
        }
        rest = &rest[1..];
        while rest.first() == Some(&"super") {
            module.pop()?;
            rest = &rest[1..];
        }
        let source = *self.modules.get(&module)?;
        // What a macro made is in the file, although no token says so.
        let made = !module.is_empty() || self.sources[source].knows(rest.first().unwrap_or(&""));
        self.resolve_in(source, rest, hops, made)
    }

    /// Follows `path` from inside the module at `source`. Its first name leads nowhere if nothing
    /// says where it comes from, unless it is `made` there.
    fn resolve_in(
        &self,
        source: usize,
        path: &[&'a str],
        hops: usize,
        made: bool,
    ) -> Option<Target<'a>> {
        let here = &self.sources[source];
        let [name, rest @ ..] = path else { return Some(Target::Module(source)) };
        let hops = hops.checked_sub(1)?;
        let defined = here.items.iter().any(|item| item.name == *name && item.kind != "mod");
        let mut child = here.module.clone();
        child.push(name);
        if let Some(&child) = self.modules.get(&child)
            && !(defined && rest.is_empty())
        {
            return self.resolve_in(child, rest, hops, true);
        }
        if defined {
            return Some(Target::Item(source, name));
        }
        if let Some(import) = here.imports.iter().find(|import| import.name == Some(name)) {
            let path = [&import.path, rest].concat();
            return self.resolve(source, &path, hops);
        }
        for import in here.imports.iter().filter(|import| import.name.is_none()) {
            if let Some(Target::Module(module)) = self.resolve(source, &import.path, hops)
                && module != source
                && self.sources[module].knows(name)
            {
                return self.resolve_in(module, path, hops, false);
            }
        }
        made.then_some(Target::Item(source, name))
    }
}

impl<'a> Source<'a> {
    fn new(file: &'a File, below: &'a str) -> Self {
        let stem = below.trim_end_matches(".rs");
        let module = stem.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main"));
        let module = module.collect();
        let tokens = tokens(file);
        let items = items(&tokens);
        let (mut imports, mut imported) = (Vec::new(), Vec::new());
        for (at, token) in tokens.iter().enumerate() {
            if token.text == "use" && tokens.get(at + 1).is_some_and(|next| next.text != "<") {
                let is_public = is_public(&tokens, at);
                let end = read_imports(&tokens, at + 1, &mut Vec::new(), is_public, &mut imports);
                imported.push((at, end));
            }
        }
        Self { file, below, tokens, items, module, imports, imported }
    }

    /// Whether a definition or an import of this file has this name.
    fn knows(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.name == name)
            || self.imports.iter().any(|import| import.name == Some(name))
    }

    /// Whether its own code, beyond imports, says `name`.
    fn says(&self, name: &str) -> bool {
        let outside = |at: usize| !self.imported.iter().any(|&(from, to)| (from..to).contains(&at));
        self.tokens.iter().enumerate().any(|(at, token)| token.text == name && outside(at))
    }

    /// The paths of two names and more in its code beyond imports, with their lines.
    fn paths(&self) -> Vec<(Vec<&'a str>, usize)> {
        let (mut paths, mut at) = (Vec::new(), 0);
        let text = |at: usize| self.tokens.get(at).map_or("", |token| token.text);
        while at < self.tokens.len() {
            if let Some(&(_, end)) = self.imported.iter().find(|(from, _)| *from == at) {
                at = end;
                continue;
            }
            let first = self.tokens[at];
            at += 1;
            if !first.is_word() {
                // The names behind `>::` or `]::` belong to a type that no path says.
                while text(at) == "::" && matches!(first.text, ">" | "]") {
                    at += 2;
                }
                continue;
            }
            let mut path = vec![first.text];
            while text(at) == "::" && self.tokens.get(at + 1).is_some_and(Token::is_word) {
                path.push(text(at + 1));
                at += 2;
            }
            if path.len() > 1 {
                paths.push((path, first.line));
            }
        }
        paths
    }
}

/// What stands outside of all brackets with a name.
fn items<'a>(tokens: &[Token<'a>]) -> Vec<Item<'a>> {
    const KINDS: [&str; 10] =
        ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "mod", "macro_rules"];
    let (mut items, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let kind = tokens[at].text;
        if matches!(kind, "(" | "[" | "{") {
            at = end_of_group(tokens, at) + 1;
            continue;
        }
        let name = if kind == "macro_rules" { at + 2 } else { at + 1 };
        if KINDS.contains(&kind)
            && let Some(name) = tokens.get(name).filter(|name| name.is_word())
            && !KINDS.contains(&name.text)
        {
            let is_public = is_public(tokens, at);
            items.push(Item { kind, name: name.text, line: tokens[at].line, is_public });
        }
        at += 1;
    }
    items
}

/// Whether a `pub` of any kind stands before the keyword at `at`.
pub(super) fn is_public(tokens: &[Token<'_>], at: usize) -> bool {
    let mut before = tokens[..at].iter().rev().map(|token| token.text).skip_while(|text| {
        matches!(*text, "const" | "async" | "unsafe" | "extern" | "default" | "auto")
    });
    match before.next() {
        Some("pub") => true,
        Some(")") => before.find(|text| *text == "(").is_some() && before.next() == Some("pub"),
        _ => false,
    }
}

/// Reads the tree of imports that begins at `at` behind the names of `path`; returns where it ends.
fn read_imports<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    path: &mut Vec<&'a str>,
    is_public: bool,
    imports: &mut Vec<Import<'a>>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or(";", |token| token.text);
    let depth = path.len();
    loop {
        let line = tokens.get(at).map_or(0, |token| token.line);
        match text(at) {
            "::" => at += 1,
            "{" => {
                while !matches!(text(at), "}" | ";") {
                    at = read_imports(tokens, at + 1, path, is_public, imports);
                }
                at += 1;
                break;
            }
            "}" | "," | ";" => break,
            "*" => {
                imports.push(Import { path: path.clone(), name: None, line, is_public });
                at += 1;
            }
            name => {
                if name != "self" || path.is_empty() {
                    path.push(name);
                }
                at += 1;
                if text(at) == "::" {
                    continue;
                }
                let mut name = path.last().copied();
                if text(at) == "as" {
                    name = tokens.get(at + 1).map(|token| token.text);
                    at += 2;
                }
                imports.push(Import { path: path.clone(), name, line, is_public });
            }
        }
    }
    path.truncate(depth);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first of these files takes from the others: the file, the name and the line.
    fn uses(files: &[(&str, &str)]) -> Vec<(String, String, usize)> {
        let paths: Vec<(String, &str)> =
            files.iter().map(|(path, text)| (format!("crates/c/src/{path}"), *text)).collect();
        let paths: Vec<(&str, &str)> =
            paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let tree = Tree::of(&paths);
        let crates = Crate::all(&tree);
        let found = crates[0].uses(0).into_iter().map(|found| {
            let below = crates[0].sources[found.source].below;
            (below.to_owned(), found.name.to_owned(), found.line)
        });
        found.collect()
    }

    fn of(below: &str, name: &str, line: usize) -> (String, String, usize) {
        (below.to_owned(), name.to_owned(), line)
    }

    #[test]
    fn every_way_to_say_a_path_leads_to_the_file_that_defines_the_name() {
        let b = "pub(crate) struct B;\npub(crate) fn f() {}\n";
        for text in [
            "use crate::x::b::B;\n",
            "use super::b::B;\n",
            "use super::b::{B as C};\n",
            "use crate::{x::{b::{self, B}}, y};\n",
            "use super::b;\n type A = b::B;\n",
            "use super::super::x::b::*;\n",
            "fn f() { super::b::B; }\n",
            "fn f() { use crate::x; x::b::B::new() }\n",
        ] {
            let found = uses(&[("x/a.rs", text), ("x/b.rs", b), ("x/mod.rs", ""), ("lib.rs", "")]);
            assert_eq!(found.len(), 1, "{text} {found:?}");
            assert_eq!(found[0].0, "x/b.rs", "{text}");
        }
    }

    #[test]
    fn a_front_door_is_no_stop_on_the_way() {
        let door = "mod a;\nmod b;\npub use b::B;\npub use b::deep::*;\npub use bytes::Bytes;\n";
        let text = "use super::{B, D, Bytes};\n";
        let files = [
            ("x/a.rs", text),
            ("x/b.rs", "mod deep;\npub struct B;\n"),
            ("x/b/deep.rs", "pub struct D;\n"),
            ("x/mod.rs", door),
        ];
        assert_eq!(uses(&files), [of("x/b.rs", "B", 1), of("x/b/deep.rs", "D", 1)]);
    }

    #[test]
    fn to_hand_a_name_on_is_no_use_of_it_unless_the_door_says_it_itself() {
        let b = ("x/b.rs", "pub struct B;\n");
        assert_eq!(uses(&[("x/mod.rs", "mod b;\npub use b::B;\n"), b]), []);
        let door = "mod b;\npub(crate) use b::B;\nfn f() -> B {}\n";
        assert_eq!(uses(&[("x/mod.rs", door), b]), [of("x/b.rs", "B", 2)]);
    }

    #[test]
    fn other_crates_tests_and_the_file_itself_are_no_arrows() {
        let text = "use bytes::b;\nuse self::A;\nuse super::b;\nstruct A;\nfn f() { A::g() }\n\
                    #[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}\n";
        assert_eq!(uses(&[("x/a.rs", text), ("x/b.rs", "pub struct B;\n"), ("x/mod.rs", "")]), []);
    }
}
