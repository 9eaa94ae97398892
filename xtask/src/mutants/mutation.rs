//! A bug as data: which text of which file is replaced by which.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A bug that can be planted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mutation {
    /// The name of its file, without the ending.
    pub(super) name: String,
    /// What it breaks.
    pub(super) breaks: String,
    changes: Vec<Change>,
}

/// A piece of text that is replaced.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    file: PathBuf,
    old: String,
    new: String,
}

impl Mutation {
    /// All of a folder, in order of their names.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>, String> {
        let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut all = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "mutation") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            all.push(Self::parse(&name, &text)?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Reads `breaks: ...`, then for each change `file: ...`, `--- old`, lines, `--- new`, lines.
    fn parse(name: &str, text: &str) -> Result<Self, String> {
        enum At {
            Head,
            Old,
            New,
        }
        let mut breaks = None;
        let mut changes: Vec<Change> = Vec::new();
        let mut at = At::Head;
        for line in text.lines() {
            if let Some(file) = line.strip_prefix("file: ") {
                let (old, new) = (String::new(), String::new());
                changes.push(Change { file: file.into(), old, new });
                at = At::Head;
                continue;
            }
            match (line, &at, changes.last_mut()) {
                ("--- old", At::Head, Some(_)) => at = At::Old,
                ("--- new", At::Old, Some(_)) => at = At::New,
                (line, At::Old, Some(change)) => change.old += &format!("{line}\n"),
                (line, At::New, Some(change)) => change.new += &format!("{line}\n"),
                (line, At::Head, None) if line.starts_with("breaks: ") => {
                    breaks = line.strip_prefix("breaks: ").map(str::to_owned);
                }
                ("", ..) => {}
                (line, ..) => return Err(format!("{name}: what is {line:?}?")),
            }
        }
        let breaks = breaks.ok_or(format!("{name} does not say what it breaks"))?;
        if changes.is_empty() || changes.iter().any(|change| change.old.trim().is_empty()) {
            return Err(format!("{name} changes nothing"));
        }
        Ok(Self { name: name.to_owned(), breaks, changes })
    }

    /// Whether the tree holds each old text exactly once.
    pub(super) fn check(&self, root: &Path) -> Result<(), String> {
        self.changes.iter().try_for_each(|change| change.applied(root, &self.name).map(|_| ()))
    }

    /// Plants the bug.
    pub(super) fn apply(&self, root: &Path) -> Result<(), String> {
        for change in &self.changes {
            let text = change.applied(root, &self.name)?;
            fs::write(root.join(&change.file), text).map_err(|e| format!("{}: {e}", self.name))?;
        }
        Ok(())
    }

    /// Takes it out again.
    pub(super) fn undo(&self, root: &Path, copy: &Path) -> io::Result<()> {
        for change in &self.changes {
            fs::write(copy.join(&change.file), fs::read(root.join(&change.file))?)?;
        }
        Ok(())
    }
}

impl Change {
    /// The text of the file with the change.
    fn applied(&self, root: &Path, name: &str) -> Result<String, String> {
        let path = root.join(&self.file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{name}: {}: {error}", self.file.display()))?;
        match text.matches(&self.old).count() {
            1 => Ok(text.replacen(&self.old, &self.new, 1)),
            count => Err(format!(
                "{name}: its old text stands {count} times in {}; it must fit the code once",
                self.file.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "breaks: everything\n\nfile: a.rs\n--- old\n    x\n\n    y\n--- new\n    z\n";

    #[test]
    fn a_mutation_is_what_it_breaks_and_what_it_changes() {
        let mutation = Mutation::parse("m", TEXT).unwrap();
        let change =
            Change { file: "a.rs".into(), old: "    x\n\n    y\n".into(), new: "    z\n".into() };
        assert_eq!(mutation.breaks, "everything");
        assert_eq!(mutation.changes, [change]);
        let two = format!("{TEXT}{}", &TEXT["breaks: everything\n".len()..]);
        assert_eq!(Mutation::parse("m", &two).unwrap().changes.len(), 2);
    }

    #[test]
    fn what_changes_nothing_or_does_not_say_what_it_breaks_is_refused() {
        for text in ["", "breaks: x\n", "file: a\n--- old\nx\n--- new\n", "breaks: x\nnonsense\n"] {
            assert!(Mutation::parse("m", text).is_err(), "{text:?}");
        }
        assert!(Mutation::parse("m", "breaks: x\nfile: a\n--- old\nx\n--- new\n").is_ok());
    }
}
