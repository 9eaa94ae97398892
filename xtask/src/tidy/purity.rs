//! No hidden input: in the pure crate and the simulator, time, dice and everything else from
//! outside is an argument. clippy.toml says the same of the pure crate; this also sees what a
//! feature or a target leaves out of the compilation.

use super::{File, Finding, Tree};

/// What nobody in the pure crate and in the simulator may name, and what to take instead.
const HIDDEN: [(&str, &str); 15] = [
    ("Instant::now", "Time is an argument: take a `Now`."),
    ("SystemTime", "Time is an argument: take a `Now`."),
    ("std::time::Instant", "Time is an argument: take `positron_proto::time::Instant`."),
    ("thread_rng", "Dice are an argument: take an `Rng` of a named stream."),
    ("rand::rng", "Dice are an argument: take an `Rng` of a named stream."),
    ("OsRng", "Dice are an argument: take an `Rng` of a named stream."),
    ("SystemRandom", "Dice are an argument: take an `Rng` of a named stream."),
    ("getrandom", "Dice are an argument: take an `Rng` of a named stream."),
    ("RandomState", "It differs from run to run."),
    ("HashMap", "Its order differs from run to run: take a `BTreeMap`."),
    ("HashSet", "Its order differs from run to run: take a `BTreeSet`."),
    ("env::var", "Configuration is an argument."),
    ("std::fs", "No disk here: emit `Effect::Persist`, or take the text as an argument."),
    ("TcpStream", "No sockets here: emit `Effect::Dial`."),
    ("UdpSocket", "No sockets here."),
];

/// What only the pure crate must do without.
const SHARED: [(&str, &str); 5] = [
    ("thread::", "No threads here: emit an effect."),
    ("Mutex", "One state machine has one owner: a lock is a hidden input."),
    ("RwLock", "One state machine has one owner: a lock is a hidden input."),
    ("async fn", "No async here: a state machine is asked and told."),
    (".await", "No async here: a state machine is asked and told."),
];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.rust() {
        let proto = file.path.starts_with("crates/positron-proto/src/");
        let sim = ["crates/positron-sim/src/", "crates/positron-internet/src/"]
            .iter()
            .any(|made_up| file.path.starts_with(made_up));
        for (line, code, is_test) in file.code_lines() {
            let names = if proto || sim { &HIDDEN[..] } else { &[] };
            let shared = if proto { &SHARED[..] } else { &[] };
            for (name, advice) in names.iter().chain(shared) {
                if names_it(code, name) {
                    findings.push(wrong(file, line, "hidden-input", name, advice));
                }
            }
            // A test prints its seed.
            if (proto || sim) && !is_test && code.contains("println!") {
                let advice = "No output here: say it in an event, or return it.";
                findings.push(wrong(file, line, "hidden-input", "println!", advice));
            }
            if proto && !is_test && code.contains(".unwrap()") {
                let advice = "A peer's bytes must never panic: return an error. For our own logic \
                              write `expect` with the sentence that makes it true.";
                findings.push(wrong(file, line, "unwrap", ".unwrap()", advice));
            }
            if is_test && sleeps(code) {
                let advice = "A test that sleeps is slow when it passes and flaky when the machine \
                              is busy. Move virtual time, or poll for the condition until a \
                              generous deadline (and exempt that one line).";
                findings.push(wrong(file, line, "sleep", "a test sleeps", advice));
            }
        }
    }
}

/// Whether `code` has `name` as whole words.
fn names_it(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        let starts = name.starts_with(is_word);
        let ends = name.ends_with(is_word);
        !(starts && before.is_some_and(is_word) || ends && after.is_some_and(is_word))
    })
}

fn sleeps(code: &str) -> bool {
    names_it(code, "sleep") && code.contains("sleep(") || names_it(code, "sleep_until")
}

fn wrong(
    file: &File,
    line: usize,
    rule: &'static str,
    what: &str,
    advice: &'static str,
) -> Finding {
    let (path, what) = (file.path.clone(), format!("{what} is here"));
    Finding { path, line, rule, what, advice }
}

#[cfg(test)]
mod tests {
    use super::super::rule::lines;

    #[test]
    fn a_hidden_input_is_found_in_the_pure_crate_and_the_simulator() {
        let text = "fn f() {\n    let a = Instant::now();\n    let b = HashMapper::new();\n}\n";
        for path in ["crates/positron-proto/src/gossip/mod.rs", "crates/positron-sim/src/lib.rs"] {
            assert_eq!(lines(super::check, path, text), [(2, "hidden-input")]);
        }
        assert_eq!(lines(super::check, "crates/positron-networking/src/lib.rs", text), []);
        let text = "use std::sync::Mutex;\n";
        let path = "crates/positron-proto/src/rng.rs";
        assert_eq!(lines(super::check, path, text), [(1, "hidden-input")]);
        assert_eq!(lines(super::check, "crates/positron-sim/src/lib.rs", text), []);
    }

    #[test]
    fn unwrap_is_for_tests() {
        let text =
            "fn f() { a.unwrap(); }\n#[cfg(test)]\nmod tests {\n    fn g() { b.unwrap() }\n}\n";
        let path = "crates/positron-proto/src/wire/codec.rs";
        assert_eq!(lines(super::check, path, text), [(1, "unwrap")]);
        assert_eq!(lines(super::check, "crates/positron-net/src/main.rs", text), []);
    }

    #[test]
    fn a_sleep_is_found_in_tests_and_left_alone_elsewhere() {
        let text = "fn f() { tokio::time::sleep(a).await; }\n";
        assert_eq!(lines(super::check, "crates/positron-net/tests/start.rs", text), [(1, "sleep")]);
        assert_eq!(lines(super::check, "crates/positron-net/src/start.rs", text), []);
    }
}
