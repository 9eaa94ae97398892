//! The words and signs of a file's code, tests left out.

use super::File;

/// A word, a lifetime, or a sign; `::`, `->` and `=>` are one sign each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// As it stands in the file.
    pub(super) text: &'a str,
    /// Where, from 1.
    pub(super) line: usize,
}

impl Token<'_> {
    /// Whether it is a name, a keyword or a number.
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(is_word)
    }
}

/// The tokens of all that is neither a comment nor a string nor a test.
pub(super) fn tokens(file: &File) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, code, is_test) in file.code_lines() {
        let mut rest = if is_test { "" } else { code.trim_start() };
        while !rest.is_empty() {
            let (text, after) = rest.split_at(length(rest));
            tokens.push(Token { text, line });
            rest = after.trim_start();
        }
    }
    tokens
}

/// How long the token is that `rest` begins with.
fn length(rest: &str) -> usize {
    let name = rest.strip_prefix('\'').unwrap_or(rest);
    let word = name.find(|c| !is_word(c)).unwrap_or(name.len());
    if word > 0 {
        return rest.len() - name.len() + word;
    }
    if ["::", "->", "=>"].iter().any(|sign| rest.starts_with(sign)) {
        return 2;
    }
    rest.chars().next().map_or(0, char::len_utf8)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the group ends that the bracket at `open` begins: the place of its closing bracket.
pub(super) fn end_of_group(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth <= 1 => return at,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Where the generics end that begin at `open` with a `<`: the place after the closing `>`; `open`
/// itself if there are none.
pub(super) fn end_of_generics(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "<" => depth += 1,
            ">" if depth <= 1 => return at + 1,
            ">" => depth -= 1,
            _ if depth == 0 => return open,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::{super::Tree, *};

    #[test]
    fn words_signs_and_lifetimes_are_told_apart_and_tests_left_out() {
        let text = "fn f<'a>(x: &'a b::C) -> u8 {} // no\n#[cfg(test)]\nmod tests {}\nmod d;\n";
        let tree = Tree::of(&[("src/a.rs", text)]);
        let found = tokens(tree.files().next().unwrap());
        let texts: Vec<&str> = found.iter().map(|token| token.text).collect();
        let first = "fn f < 'a > ( x : & 'a b :: C ) -> u8 { }";
        assert_eq!(texts.join(" "), format!("{first} mod d ;"));
        assert_eq!(found.last().unwrap().line, 4);
        assert_eq!(end_of_generics(&found, 2), 5);
        assert_eq!(end_of_generics(&found, 5), 5);
        assert_eq!(found[end_of_group(&found, 5)].text, ")");
    }
}
