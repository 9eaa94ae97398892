//! One door to cryptography: its libraries are named in one room of the pure crate, and nowhere
//! else. Who wants a hash or a cipher asks that room, so that both of its back ends have it and the
//! same vectors hold for both.

use super::{File, Finding, Tree};

/// The crate that has the door.
pub(super) const ROOM: &str = "positron-proto";
/// The crate that measures us beside others, which bring their own.
pub(super) const BESIDE_OTHERS: &str = "bench";

/// Cryptographic libraries, by the names of their crates: those behind the door, and those that
/// somebody might reach for instead. Not `zeroize`, which wipes memory; not `pkcs8`, which reads
/// and writes a format; not `rand_chacha`, which is the dice.
pub(super) const LIBRARIES: [&str; 33] = [
    "aes",
    "aes-gcm",
    "aws-lc-rs",
    "aws-lc-sys",
    "blake2",
    "blake3",
    "cbc",
    "chacha20",
    "chacha20poly1305",
    "curve25519-dalek",
    "ed25519",
    "ed25519-consensus",
    "ed25519-dalek",
    "ed25519-zebra",
    "ghash",
    "hkdf",
    "hmac",
    "openssl",
    "pbkdf2",
    "pkcs5",
    "poly1305",
    "ring",
    "rustls",
    "scrypt",
    "sha1",
    "sha2",
    "sha3",
    "siphasher",
    "snow",
    "sodiumoxide",
    "subtle",
    "universal-hash",
    "x25519-dalek",
];

const DOOR: &str = "crates/positron-proto/src/crypto/";
const OTHERS: &str = "bench/";

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let is_ours = |file: &&File| !file.path.starts_with(DOOR) && !file.path.starts_with(OTHERS);
    for file in tree.rust().filter(is_ours) {
        for (line, code, is_test) in file.code_lines() {
            // Tests compare with implementations that are not behind the door.
            let named = LIBRARIES.iter().find(|library| !is_test && names_it(code, library));
            if let Some(library) = named {
                findings.push(wrong(file, line, library));
            }
        }
    }
}

/// Whether the line has a path that begins with this crate.
fn names_it(code: &str, library: &str) -> bool {
    let library = library.replace('-', "_");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(&library).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + library.len()..]);
        let begins = !before.ends_with(is_word) && !before.ends_with(['.', '"']);
        let is_root = !before.ends_with("::") || !before.trim_end_matches("::").ends_with(is_word);
        let imported = before.trim_end().ends_with("use") || before.trim_end().ends_with("crate");
        let ends = after.trim_start();
        begins && is_root && (after.starts_with("::") || imported && !ends.starts_with(is_word))
    })
}

fn wrong(file: &File, line: usize, library: &str) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "crypto",
        what: format!("{library} is named outside of the door"),
        advice: "One room names cryptographic libraries, so that machines and browsers compute the \
                 same and one page says what is constant in time. Use what \
                 crates/positron-proto/src/crypto offers, or add it there, to both back ends, with \
                 the published vectors.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    fn found(path: &str, text: &str) -> Vec<usize> {
        lines(super::check, path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_cryptographic_library_is_named_behind_the_door_only() {
        let text = "use aws_lc_rs::digest;\nuse crate::x;\n\nfn f() { ::sha2::Sha256::new() }\n\
                    use {hmac::Mac, snow};\nextern crate ring;\nuse snow;\n";
        assert_eq!(found("crates/positron-proto/src/identity/keypair.rs", text), [1, 4, 5, 6, 7]);
        assert_eq!(found("crates/positron-net/src/main.rs", text), [1, 4, 5, 6, 7]);
        assert_eq!(found("crates/positron-proto/src/crypto/native.rs", text), []);
    }

    #[test]
    fn our_own_names_comments_and_tests_are_free() {
        let text = "// aws_lc_rs::digest\nuse crate::crypto::digest::f;\nlet digest = digest(x);\n\
                    string::f();\nself.signature.hmac::<u8>();\n\"snow::\";\n\
                    #[cfg(test)]\nmod tests {\n    use sha2::Sha512;\n}\n";
        assert_eq!(found("crates/positron-proto/src/wire/record.rs", text), []);
        assert_eq!(found("crates/positron-proto/tests/keys.rs", "use sha2::Sha256;\n"), []);
    }
}
