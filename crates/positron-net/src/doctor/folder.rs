//! Whether the data folder is one that a node starts with.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use positron_store::{DATABASE, LOCK, StoreError, refuse_others};

use super::finding::Finding;

const ABOUT: &str = "data folder";
const ANOTHER: &str = "name another with --data-dir or `data_dir`";

/// Whether the data folder can be written to, or made, and by nobody else.
pub(super) fn data_folder(folder: &Path) -> Finding {
    let is_there = folder.exists();
    let nearest = folder.ancestors().find(|it| it.exists()).unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        let says = format!("{}: it is a file, not a folder", nearest.display());
        return Finding::wrong(ABOUT, says).advise(ANOTHER);
    }
    for path in [folder.to_owned(), folder.join(LOCK), folder.join(DATABASE)] {
        if path != folder && path.is_symlink() {
            return refused(&StoreError::Link { path });
        }
        if let Err(error) = refuse_others_at(&path) {
            return refused(&error);
        }
    }
    let shown = folder.display();
    // A file without a name is gone with its handle.
    match tempfile::tempfile_in(nearest) {
        Ok(_) if is_there => Finding::right(ABOUT, format!("{shown} can be written to")),
        Ok(_) => Finding::right(ABOUT, format!("{shown} is not there and can be made")),
        Err(error) => {
            let verb = if is_there { "written to" } else { "made" };
            let says = format!("{shown} cannot be {verb}: {}", error.kind());
            Finding::wrong(ABOUT, says).advise(format!("{}{ANOTHER}", remedy(error.kind())))
        }
    }
}

/// As a node does that starts: the folder may be a link, if others cannot change it.
fn refuse_others_at(path: &Path) -> Result<(), StoreError> {
    let links = [fs::symlink_metadata(path), fs::metadata(path)];
    // What cannot be looked at is not there, or is told when it is written to.
    links.into_iter().filter_map(io::Result::ok).try_for_each(|found| {
        refuse_others(&found).map_err(|why| StoreError::NotOurs { path: path.to_owned(), why })
    })
}

/// In the words of the node, whose last part says what to do.
fn refused(error: &StoreError) -> Finding {
    let words = error.to_string();
    match words.rsplit_once("; ") {
        Some((says, advice)) => Finding::wrong(ABOUT, says).advise(advice),
        None => Finding::wrong(ABOUT, words),
    }
}

const fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => "give it to the user who runs the node, or ",
        ErrorKind::ReadOnlyFilesystem => "mount its file system so that it can be written to, or ",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the disk, or ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::doctor::finding::Verdict;

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_change_is_as_wrong_as_it_is_to_a_node_that_starts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(data_folder(folder.path()).verdict, Verdict::Right);
        with_mode(folder.path(), 0o777);
        let found = data_folder(folder.path());
        assert_eq!(found.verdict, Verdict::Wrong);
        assert!(found.says.contains("can be changed by others (mode 0777)"), "{}", found.says);
        assert!(found.advice.unwrap().contains("chmod go-w"));
        with_mode(folder.path(), 0o700);
        fs::write(folder.path().join(DATABASE), "").unwrap();
        with_mode(&folder.path().join(DATABASE), 0o666);
        assert!(data_folder(folder.path()).says.contains("mode 0666"));
    }

    #[test]
    fn a_file_where_a_folder_is_to_be_is_called_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        fs::write(&file, "").unwrap();
        for wanted in [file.clone(), file.join("below")] {
            let found = data_folder(&wanted);
            assert_eq!(found.verdict, Verdict::Wrong);
            assert!(found.says.ends_with("it is a file, not a folder"), "{}", found.says);
            assert_eq!(found.advice.as_deref(), Some(ANOTHER));
        }
        assert_eq!(data_folder(&folder.path().join("new")).verdict, Verdict::Right);
    }

    #[test]
    fn advice_is_about_what_is_in_the_way() {
        assert!(remedy(ErrorKind::ReadOnlyFilesystem).starts_with("mount"));
        assert!(remedy(ErrorKind::PermissionDenied).contains("user"));
    }
}
