//! A bug as data: which text of which file is replaced by which.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What new texts ask: whether this bug is the one that is awake.
const ASKED: &str = "PLANTED";
/// The file that gets the answer, and what it gets: `is` is what new texts call.
const ANSWERED_IN: &str = "crates/positron-proto/src/lib.rs";
const ANSWER: &str = r#"
mod planted {
    static AWAKE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    pub(crate) fn is(name: &str) -> bool {
        AWAKE.get_or_init(|| std::env::var("PLANTED").ok()).as_deref() == Some(name)
    }
}
"#;

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
        if changes.iter().any(|change| !change.new.contains(ASKED)) {
            return Err(format!("{name} would never sleep: a new text does not ask {ASKED}"));
        }
        Ok(Self { name: name.to_owned(), breaks, changes })
    }

    /// The files of the tree that change, by their paths from its root, with every bug in them
    /// asleep: each old text must stand there once, whatever the others change.
    pub(super) fn plant_all(
        all: &[Self],
        root: &Path,
    ) -> Result<BTreeMap<PathBuf, String>, String> {
        let mut texts = BTreeMap::new();
        read(root, Path::new(ANSWERED_IN), &mut texts)?.push_str(ANSWER);
        for Self { name, changes, .. } in all {
            for change in changes {
                let text =
                    read(root, &change.file, &mut texts).map_err(|why| format!("{name}: {why}"))?;
                *text = change.applied(text, name)?;
            }
        }
        Ok(texts)
    }
}

/// The text of a file as it is by now.
fn read<'t>(
    root: &Path,
    file: &Path,
    texts: &'t mut BTreeMap<PathBuf, String>,
) -> Result<&'t mut String, String> {
    if !texts.contains_key(file) {
        let text = fs::read_to_string(root.join(file))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        texts.insert(file.to_owned(), text);
    }
    Ok(texts.entry(file.to_owned()).or_default())
}

impl Change {
    /// The text of the file with the change.
    fn applied(&self, text: &str, name: &str) -> Result<String, String> {
        let new = self.new.replace(ASKED, &format!("crate::planted::is({name:?})"));
        match text.matches(&self.old).count() {
            1 => Ok(text.replacen(&self.old, &new, 1)),
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
        "breaks: everything\n\nfile: a.rs\n--- old\n    x\n\n    y\n--- new\n    PLANTED z\n";

    #[test]
    fn a_mutation_is_what_it_breaks_and_what_it_changes() {
        let mutation = Mutation::parse("m", TEXT).unwrap();
        let change = Change {
            file: "a.rs".into(),
            old: "    x\n\n    y\n".into(),
            new: "    PLANTED z\n".into(),
        };
        assert_eq!(mutation.breaks, "everything");
        assert_eq!(mutation.changes, [change]);
        let applied = mutation.changes[0].applied("a\n    x\n\n    y\nb\n", "m");
        assert_eq!(applied.as_deref(), Ok("a\n    crate::planted::is(\"m\") z\nb\n"));
        assert!(mutation.changes[0].applied("    x\n", "m").is_err());
        let two = format!("{TEXT}{}", &TEXT["breaks: everything\n".len()..]);
        assert_eq!(Mutation::parse("m", &two).unwrap().changes.len(), 2);
    }

    #[test]
    fn what_changes_nothing_or_cannot_sleep_or_does_not_say_what_it_breaks_is_refused() {
        for text in [
            "",
            "breaks: x\n",
            "file: a\n--- old\nx\n--- new\nPLANTED\n",
            "breaks: x\nnonsense\n",
            "breaks: x\nfile: a\n--- old\nx\n--- new\ny\n",
        ] {
            assert!(Mutation::parse("m", text).is_err(), "{text:?}");
        }
        assert!(Mutation::parse("m", "breaks: x\nfile: a\n--- old\nx\n--- new\nPLANTED\n").is_ok());
    }
}
