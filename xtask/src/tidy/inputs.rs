//! The inputs of a machine are called `handle_*`: a bare participle (`accepted`, `written`) says
//! neither that something is told nor by whom.

use super::{
    Finding, Tree,
    impls::{Impl, own_impls},
    modules::{Crate, is_public},
    ratchet::Offender,
    tokens::{Token, end_of_generics, end_of_group},
};

/// Past forms that end in something else than `-ed` or `-en`.
const IRREGULAR: [&str; 40] = [
    "born", "bought", "bound", "built", "came", "caught", "done", "drawn", "found", "gave", "gone",
    "got", "grown", "heard", "held", "kept", "knew", "known", "laid", "left", "lost", "made",
    "met", "paid", "ran", "said", "saw", "sent", "shown", "sold", "spent", "stood", "stuck",
    "thrown", "told", "took", "torn", "went", "won", "worn",
];

/// What ends like a participle and is none.
const OTHERS: [&str; 9] =
    ["dozen", "embed", "even", "fasten", "happen", "listen", "open", "shorten", "widen"];

pub(super) fn check(tree: &Tree, offenders: &mut Vec<Offender>) {
    for room in Crate::all(tree) {
        for source in &room.sources {
            for Impl { path, body, .. } in own_impls(source) {
                let machine = path.last().unwrap_or(&"");
                for at in body.filter(|&at| source.tokens[at].text == "fn") {
                    let Some(name) = source.tokens.get(at + 1).map(|name| name.text) else { break };
                    if !is_participle(name) || !is_input(&source.tokens, at) {
                        continue;
                    }
                    let finding = Finding {
                        path: source.file.path.clone(),
                        line: source.tokens[at].line,
                        rule: "input-name",
                        what: format!("`{name}` is an input of `{machine}`"),
                        advice: "Call it `handle_*` with the noun of what comes in: one grammar of \
                                 verbs, so that a reader sees which functions a driver calls.",
                    };
                    let subject = format!("{} {machine}::{name}", room.name);
                    offenders.push(Offender { subject, size: 1, finding });
                }
            }
        }
    }
}

/// Whether `name` is nothing but the past form of a verb.
fn is_participle(name: &str) -> bool {
    // `feed`, `need` and `exceed` are commands; `agreed` and `freed` are not.
    let regular = name.ends_with("ed") && !name.ends_with("eed")
        || name.ends_with("reed") && !matches!(name, "reed" | "breed" | "screed");
    let strong = name.ends_with("en") && name.len() > 4;
    !name.contains('_')
        && (regular && name.len() > 4 || strong || IRREGULAR.contains(&name))
        && !OTHERS.contains(&name)
}

/// Whether the function whose `fn` is at `at` is public, changes its machine, and is told
/// something: it takes the time or answers nothing.
fn is_input(tokens: &[Token<'_>], at: usize) -> bool {
    let open = end_of_generics(tokens, at + 2);
    let close = end_of_group(tokens, open);
    let (Some(arguments), true) = (tokens.get(open + 1..close), is_public(tokens, at)) else {
        return false;
    };
    let texts: Vec<&str> = arguments.iter().map(|token| token.text).collect();
    let lifetime = texts.get(1).is_some_and(|text| text.starts_with('\''));
    let receiver = if lifetime { texts.get(2..4) } else { texts.get(1..3) };
    let changes = texts.first() == Some(&"&") && receiver == Some(&["mut", "self"]);
    let takes_now = texts.windows(2).any(|pair| pair == ["now", ":"]);
    let answers = tokens.get(close + 1).is_some_and(|token| token.text == "->");
    changes && (takes_now || !answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut offenders = Vec::new();
        let text = format!("impl<T> super::A<T> {{\n{text}}}\n");
        check(&Tree::of(&[("crates/c/src/a.rs", &text)]), &mut offenders);
        offenders.into_iter().map(|found| found.subject).collect()
    }

    #[test]
    fn an_input_that_is_called_by_a_bare_participle_is_found() {
        for name in ["accepted", "written", "heard", "lost", "agreed", "took"] {
            let subject = [format!("c A::{name}")];
            assert_eq!(found(&format!("    pub fn {name}(&mut self, a: A) {{}}\n")), subject);
            let asks = format!("pub(crate) fn {name}<T>(&'a mut self, now: Now) -> bool {{}}\n");
            assert_eq!(found(&asks), subject);
        }
    }

    #[test]
    fn commands_questions_getters_and_private_functions_are_not() {
        for text in [
            "pub fn handle_accepted(&mut self) {}\n",
            "pub fn feed(&mut self) {}\n",
            "pub fn open(&mut self) {}\n",
            "pub fn exceed(&mut self) {}\n",
            "pub fn when_accepted(&mut self) {}\n",
            "pub fn accepted(&self, now: Now) {}\n",
            "pub fn accepted(self) {}\n",
            "pub fn accepted(&mut self) -> Option<u8> {}\n",
            "fn accepted(&mut self) {}\n",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
