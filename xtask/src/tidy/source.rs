//! The files of the tree: their text, what of it is code and what is comment, and which lines are
//! tests.

use std::{fs, path::Path, process::Command};

use super::Finding;

/// All files that are checked.
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the repository, with slashes.
    pub(crate) path: String,
    /// Everything.
    pub(crate) text: String,
    /// Line by line, with blanks for comments and the insides of strings; empty unless it is Rust.
    pub(crate) code: Vec<String>,
    /// Line by line, with blanks for all that is no comment.
    pub(crate) comments: Vec<String>,
    /// Whether the line belongs to a test.
    pub(crate) is_test: Vec<bool>,
}

impl Tree {
    /// The tree that this program was built from.
    pub(crate) fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        Self::of_folder(root.expect("xtask is in a workspace"))
    }

    /// The tree below `root`.
    pub(crate) fn of_folder(root: &Path) -> Self {
        let mut found = known_to_git(root).unwrap_or_default();
        if found.is_empty() {
            walk(root, "", &mut found);
        }
        found.sort();
        let files: Vec<(&str, &str)> =
            found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        Self::of(&files)
    }

    /// A tree of these paths and texts.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
        let test_modules: Vec<String> = files.iter().flat_map(File::modules_of_tests).collect();
        for file in &mut files {
            let stem = file.path.trim_end_matches(".rs");
            let below = |module: &String| stem == module || stem.starts_with(&format!("{module}/"));
            if test_modules.iter().any(below) {
                file.is_test.fill(true);
            }
        }
        Self { files }
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Every file of Rust.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// Whether the source exempts what was found.
    pub(crate) fn allows(&self, finding: &Finding) -> bool {
        self.files.iter().any(|file| file.path == finding.path && file.allows(finding))
    }
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let (mut code, mut comments) = (Vec::new(), Vec::new());
        if path.ends_with(".rs") {
            let split = split(text);
            code = split.0.split('\n').map(str::to_owned).collect();
            comments = split.1.split('\n').map(str::to_owned).collect();
        }
        let in_tests = path.starts_with("tests/") || path.contains("/tests/");
        let mut file = Self {
            is_test: vec![in_tests; code.len()],
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            comments,
        };
        file.mark_tests();
        file
    }

    /// Whether it is a file of Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Lines of code, from 1, with whether they belong to a test.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let lines = self.code.iter().zip(&self.is_test).enumerate();
        lines.map(|(at, (line, &is_test))| (at + 1, line.as_str(), is_test))
    }

    /// The line on which the brace that opens on or after line `from` is closed again; both count
    /// from 0. `None` if a semicolon comes first.
    pub(crate) fn end_of_block(&self, from: usize) -> Option<usize> {
        let mut depth = 0_usize;
        let mut brackets = 0_usize;
        for (at, line) in self.code.iter().enumerate().skip(from) {
            for c in line.chars() {
                match c {
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets = brackets.saturating_sub(1),
                    ';' if depth == 0 && brackets == 0 => return None,
                    '{' => depth += 1,
                    '}' if depth <= 1 => return Some(at),
                    '}' => depth -= 1,
                    _ => {}
                }
            }
        }
        None
    }

    fn mark_tests(&mut self) {
        for at in 0..self.code.len() {
            let line = self.code[at].trim();
            let attribute = line.starts_with("#[cfg(test)]")
                || line.starts_with("#[cfg(all(test")
                || line.starts_with("#[test]")
                || line.starts_with("#[tokio::test");
            if attribute && let Some(end) = self.end_of_block(at) {
                self.is_test[at..=end].fill(true);
            }
        }
    }

    /// Modules in files of their own that only tests have: their paths without `.rs`.
    fn modules_of_tests(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let mut modules = Vec::new();
        for (at, line) in self.code.iter().enumerate() {
            let rest = match line.trim() {
                "#[cfg(test)]" => self.code.get(at + 1).map_or("", String::as_str).trim(),
                line => line.strip_prefix("#[cfg(test)]").unwrap_or("").trim(),
            };
            let words: Vec<&str> = rest.trim_end_matches(';').split(' ').collect();
            if let [.., "mod", name] = words[..]
                && rest.ends_with(';')
            {
                modules.push(format!("{folder}/{name}"));
            }
        }
        modules
    }

    fn allows(&self, finding: &Finding) -> bool {
        let marker = format!("tidy: allow({})", finding.rule);
        let exempt = |line: &String| {
            line.split_once(&marker).is_some_and(|(_, reason)| reason.trim().len() >= 10)
        };
        if finding.rule == "file-size" {
            return self.comments.iter().any(exempt);
        }
        let at = finding.line - 1;
        self.comments.iter().take(at + 1).skip(at.saturating_sub(1)).any(exempt)
    }
}

/// A folder of inputs that are bytes, even where they happen to be text.
const BYTES: &str = "fuzz/corpus/";

/// The files that git keeps or would keep. `None` where there is no git, or no repository.
fn known_to_git(root: &Path) -> Option<Vec<(String, String)>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let answer = Command::new("git").arg("-C").arg(root).args(list).output().ok()?;
    let paths = String::from_utf8(answer.status.success().then_some(answer.stdout)?).ok()?;
    let paths = paths.split_terminator('\0').filter(|path| !path.starts_with(BYTES));
    let with_text = |path: &str| Some((path.to_owned(), text_of(&root.join(path))?));
    Some(paths.filter_map(with_text).collect())
}

/// The text of a file; a picture is there, and has none.
fn text_of(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8(bytes).unwrap_or_default())
}

/// Every file below, but for hidden and made ones.
fn walk(folder: &Path, below: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str() else { continue };
        let hidden = name.starts_with('.') && !matches!(name, ".ci" | ".cargo" | ".github");
        if hidden || matches!(name, "target" | "node_modules") {
            continue;
        }
        let below = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        if BYTES.strip_suffix('/') == Some(&below) {
            continue;
        }
        if path.is_dir() {
            walk(&path, &below, found);
        } else if let Some(text) = text_of(&path) {
            found.push((below, text));
        }
    }
}

/// The text twice, with blanks in the first for comments and the insides of strings, in the second
/// for all that is no comment. Line breaks are kept in both.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let (end, kind) = token(&chars, at);
        for &c in &chars[at..end] {
            let blank = if c == '\n' { '\n' } else { ' ' };
            code.push(if kind == Kind::Code { c } else { blank });
            comments.push(if kind == Kind::Comment { c } else { blank });
        }
        at = end;
    }
    (code, comments)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// The end and the kind of what begins at `at`.
fn token(chars: &[char], at: usize) -> (usize, Kind) {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or('\0');
    let inside_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next(1) == '/' => {
            let end = chars[at..].iter().position(|&c| c == '\n');
            (end.map_or(chars.len(), |n| at + n), Kind::Comment)
        }
        '/' if next(1) == '*' => (end_of_block_comment(chars, at), Kind::Comment),
        '"' => (end_of_text(chars, at + 1), Kind::Text),
        'r' | 'b' | 'c' if !inside_word => match raw_text(chars, at) {
            Some(end) => (end, Kind::Text),
            None => (at + 1, Kind::Code),
        },
        // A character, unless it is a lifetime.
        '\'' if next(1) == '\\' => {
            let end = chars[at + 3..].iter().position(|&c| c == '\'');
            (end.map_or(chars.len(), |n| at + 4 + n), Kind::Text)
        }
        '\'' if next(2) == '\'' => (at + 3, Kind::Text),
        _ => (at + 1, Kind::Code),
    }
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') if depth == 1 => return at + 2,
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_text(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of a raw string whose prefix (`r`, `br`, `cr` and hashes) begins at `at`.
fn raw_text(chars: &[char], mut at: usize) -> Option<usize> {
    if matches!(chars[at], 'b' | 'c') {
        at += 1;
    }
    if chars.get(at) != Some(&'r') {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count();
    let end = (open + 1..chars.len()).find(|&at| chars[at] == '"' && closes(at) == hashes);
    Some(end.map_or(chars.len(), |end| end + 1 + hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file<'a>(tree: &'a Tree, path: &str) -> &'a File {
        tree.files().find(|file| file.path == path).unwrap()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let text =
            "a(\"b \\\" // c\"); // d \"e\nr#\"f\"#; 'g'; '\\''; x::<'h>(); /* i /* j */ */ k\n";
        let (code, comments) = split(text);
        let code: String = code.chars().filter(|c| c.is_alphanumeric()).collect();
        let comments: String = comments.chars().filter(|c| c.is_alphanumeric()).collect();
        assert_eq!(code, "axhk");
        assert_eq!(comments, "deij");
    }

    #[test]
    fn lines_of_tests_are_known_inside_a_file_and_in_files_of_their_own() {
        let tree = Tree::of(&[
            (
                "src/a/mod.rs",
                "fn a() {}\n#[cfg(test)]\nmod b;\n#[cfg(test)]\nmod c {\n}\nfn d() {}\n",
            ),
            ("src/a/b.rs", "fn b() {}"),
            ("src/a/b/c.rs", "fn b() {}"),
            ("src/a/bc.rs", "fn b() {}"),
            ("x/tests/e.rs", "fn e() {}"),
        ]);
        let tests = [false, false, false, true, true, true, false, false];
        assert_eq!(file(&tree, "src/a/mod.rs").is_test, tests);
        assert_eq!(file(&tree, "src/a/b.rs").is_test, [true]);
        assert_eq!(file(&tree, "src/a/b/c.rs").is_test, [true]);
        assert_eq!(file(&tree, "src/a/bc.rs").is_test, [false]);
        assert_eq!(file(&tree, "x/tests/e.rs").is_test, [true]);
    }
}
