//! Which crate may depend on which: a crate is an effect that its lines may have.

use super::{File, Finding, Tree, crypto};

/// The rooms of this workspace, and those that each may stand on.
const ROOMS: [(&str, &[&str]); 10] = [
    ("positron-internet", &[]),
    ("positron-proto", &[]),
    ("positron-store", &["positron-proto"]),
    ("positron-networking", &["positron-proto", "positron-store"]),
    ("positron-sim", &["positron-internet", "positron-proto"]),
    ("positron-admin", &["positron-proto", "positron-networking"]),
    (
        "positron-net",
        &[
            "positron-proto",
            "positron-store",
            "positron-networking",
            "positron-admin",
            "positron-sim",
        ],
    ),
    ("xtask", &[]),
    ("fuzz", &["positron-proto"]),
    ("bench", &["positron-proto", "positron-networking"]),
];

/// All that the pure crates and the simulator may be built from. No runtime, no database, no
/// entropy of the operating system.
const PURE: [(&str, &[&str]); 3] = [
    ("positron-internet", &["bytes"]),
    (
        "positron-proto",
        &[
            "aes-gcm",
            "aws-lc-rs",
            "bytes",
            "chacha20poly1305",
            "crc32fast",
            "curve25519-dalek",
            "ed25519-zebra",
            "hkdf",
            "hmac",
            "pkcs8",
            "rand_chacha",
            "rmp-serde",
            "serde",
            "sha2",
            "siphasher",
            "snow",
            "thiserror",
            "zeroize",
        ],
    ),
    ("positron-sim", &["bytes", "serde", "serde_json", "thiserror"]),
];

/// What brings an effect into a crate, and the crates that have that effect.
const EFFECTS: [(&str, &[&str]); 8] = [
    ("tokio", &["positron-networking", "positron-admin", "positron-net", "bench"]),
    ("rusqlite", &["positron-store"]),
    ("quinn-udp", &["positron-networking"]),
    ("clap", &["positron-net", "bench"]),
    ("axum", &["positron-admin"]),
    ("hyper", &["positron-admin"]),
    ("getrandom", &["positron-networking", "positron-admin"]),
    ("tracing-subscriber", &["positron-net"]),
];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let folder = file.path.trim_end_matches("/Cargo.toml");
        let name = folder.rsplit('/').next().unwrap_or(folder);
        for (line, dependency) in dependencies(&file.text) {
            if let Some(why) = forbidden(name, &dependency) {
                findings.push(wrong(file, line, format!("{name} depends on {dependency}: {why}")));
            }
        }
        if !ROOMS.iter().any(|(room, _)| *room == name) {
            findings.push(wrong(file, 1, format!("{name} is no room of the house")));
        }
    }
}

fn forbidden(name: &str, dependency: &str) -> Option<&'static str> {
    if dependency.starts_with("positron-") {
        let below = listed(&ROOMS, name)?;
        return (!below.contains(&dependency)).then_some("that arrow is not in ARCHITECTURE.md");
    }
    if listed(&EFFECTS, dependency).is_some_and(|rooms| !rooms.contains(&name)) {
        return Some("that effect belongs to another room");
    }
    let has_its_own = [crypto::ROOM, crypto::BESIDE_OTHERS].contains(&name);
    if crypto::LIBRARIES.contains(&dependency) && !has_its_own {
        return Some("cryptography has one door, positron-proto's room `crypto`");
    }
    let pure = listed(&PURE, name)?;
    (!pure.contains(&dependency)).then_some("it is not in the list of what a pure crate may use")
}

fn listed<'a>(table: &[(&str, &'a [&'a str])], key: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(entry, _)| *entry == key).map(|(_, list)| *list)
}

/// Names of what a `Cargo.toml` depends on, except for its tests, with their lines.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (at, line) in manifest.lines().enumerate() {
        if let Some(section) = line.trim().strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let (table, name) = section.rsplit_once("dependencies").unwrap_or(("other", ""));
            let counts = table.is_empty() || table == "build-" || table.ends_with('.');
            inside = counts && name.is_empty() && !table.starts_with("workspace");
            if counts && let Some(name) = name.strip_prefix('.') {
                found.push((at + 1, name.to_owned()));
            }
        } else if inside && let Some((name, _)) = line.split_once('=') {
            let name = name.trim().split('.').next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('#') {
                found.push((at + 1, name.to_owned()));
            }
        }
    }
    found
}

fn wrong(file: &File, line: usize, what: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "crates",
        what,
        advice: "A crate is an effect that its lines may have; the table is in ARCHITECTURE.md and \
                 in xtask/src/tidy/crates.rs. Move the line to the crate that has the effect, or \
                 change both with the reason.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    fn found(name: &str, manifest: &str) -> Vec<usize> {
        let path = format!("crates/{name}/Cargo.toml");
        lines(super::check, &path, manifest).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn arrows_between_rooms_are_those_of_the_table() {
        let manifest = "[dependencies]\npositron-networking.workspace = true\n";
        assert_eq!(found("positron-store", manifest), [2]);
        assert_eq!(found("positron-net", manifest), []);
        assert_eq!(found("positron-attic", "[package]\n"), [1]);
    }

    #[test]
    fn a_runtime_or_a_database_stays_in_its_room() {
        let manifest =
            "[package]\nname = \"x\"\n\n[dependencies]\ntokio = \"1\"\nrusqlite = \"0\"\n";
        assert_eq!(found("positron-proto", manifest), [5, 6]);
        assert_eq!(found("positron-networking", manifest), [6]);
        assert_eq!(found("positron-store", "[dependencies.tokio]\nversion = \"1\"\n"), [1]);
        let unix = "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n";
        assert_eq!(found("positron-store", unix), [2]);
    }

    #[test]
    fn a_cryptographic_library_stays_behind_its_door() {
        let manifest = "[dependencies]\nsnow.workspace = true\n";
        assert_eq!(found("positron-networking", manifest), [2]);
        assert_eq!(found("positron-proto", manifest), []);
        let wasm = "[target.'cfg(target_family = \"wasm\")'.dependencies]\nsha2 = \"0.11\"\n";
        assert_eq!(found("positron-sim", wasm), [2]);
        assert_eq!(found("positron-proto", wasm), []);
    }

    #[test]
    fn the_pure_crates_are_built_from_a_list() {
        let manifest = "[dependencies]\nrand = \"0.10\"\nbytes.workspace = true\n";
        assert_eq!(found("positron-proto", manifest), [2]);
        assert_eq!(found("positron-sim", manifest), [2]);
        let tests = "[dev-dependencies]\nproptest = \"1\"\n";
        assert_eq!(found("positron-proto", tests), []);
    }
}
