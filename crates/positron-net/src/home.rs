//! The home folder in paths.

use std::{
    env,
    path::{Component, Path, PathBuf},
};

use crate::failure::{Exit, Failure};

/// `path` with the home folder in place of a `~` that it begins with. `key` says in errors where it
/// was written.
pub(crate) fn expanded(key: &str, path: PathBuf) -> Result<PathBuf, Failure> {
    in_home(key, path, env::var_os("HOME").map(PathBuf::from))
}

fn in_home(key: &str, path: PathBuf, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let Some(Component::Normal(first)) = path.components().next() else { return Ok(path) };
    if !first.as_encoded_bytes().starts_with(b"~") {
        return Ok(path);
    }
    let wrong = |why: &str| {
        let what = format!("`{key}` is {}", path.display());
        Failure::new(Exit::Configuration, what).because(why).try_this("write the whole path")
    };
    if first != "~" {
        return Err(wrong("`~` stands for the home folder of this user only (./~x is a name)"));
    }
    let home = home.filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| wrong("no home folder is known: HOME is not set"))?;
    Ok(home.join(path.strip_prefix("~").unwrap_or(Path::new(""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_in_front_is_the_home_folder_and_elsewhere_a_name() {
        let home = || Some(PathBuf::from("/home/a"));
        for (written, meant) in [
            ("~", "/home/a"),
            ("~/", "/home/a"),
            ("~/x/y", "/home/a/x/y"),
            ("./~/x", "./~/x"),
            ("x/~", "x/~"),
            ("/~/x", "/~/x"),
            ("node_data", "node_data"),
        ] {
            let found = in_home("data_dir", written.into(), home()).unwrap();
            assert_eq!(found, Path::new(meant), "{written}");
        }
        for (written, home) in [("~b/x", home()), ("~/x", None), ("~", Some("".into()))] {
            let failure = in_home("data_dir", written.into(), home).unwrap_err();
            assert_eq!(failure.exit(), Exit::Configuration);
            assert!(failure.to_string().contains(written), "{failure}");
        }
    }
}
