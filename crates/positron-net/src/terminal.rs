//! The terminal: data on stdout, messages on stderr, and lines on stderr that are redrawn in place.

use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use crate::{
    failure::{Exit, Failure},
    standard_error::StandardError,
};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where everything that people and programs read is written.
///
/// Messages go above what is drawn, so that the two never mix. Nothing is redrawn when stderr is
/// no terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    interactive: bool,
    quiet: bool,
    color: bool,
    stderr: StandardError,
    /// What is drawn at the bottom of the terminal.
    drawn: Mutex<Vec<String>>,
}

impl Terminal {
    /// The terminal of this process.
    pub(crate) fn new(color: Color, quiet: bool) -> Self {
        let interactive = io::stderr().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match color {
            Color::Auto => interactive && !unwanted,
            Color::Always => true,
            Color::Never => false,
        };
        let stderr = StandardError::new(io::stderr());
        Self { interactive, quiet, color, stderr, drawn: Mutex::new(Vec::new()) }
    }

    /// Whether lines are redrawn in place: stderr is a terminal and messages are wanted.
    pub(crate) const fn is_live(&self) -> bool {
        self.interactive && !self.quiet
    }

    /// Columns and lines of the terminal; 80 by 24 if nobody knows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let known = terminal_size::terminal_size_of(io::stderr());
        known.map_or((80, 24), |(columns, lines)| (columns.0.into(), lines.0.into()))
    }

    /// A line of data on stdout.
    pub(crate) fn data(&self, line: impl Display) -> Result<(), Failure> {
        // Whoever reads may be slow, and must not hold up messages that go elsewhere.
        let drawn = Some(self.lock()).filter(|drawn| !drawn.is_empty());
        if let Some(drawn) = &drawn {
            self.erase(drawn);
            self.stderr.flush();
        }
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        drawn.iter().for_each(|drawn| self.redraw(drawn));
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::reader_gone(),
            _ => Failure::new(Exit::Storage, "cannot write to the standard output").because(error),
        })
    }

    /// A JSON document on stdout, over several lines.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        self.data(serde_json::to_string_pretty(document).map_err(unprintable)?)
    }

    /// A message for people on stderr, unless they want quiet.
    pub(crate) fn message(&self, line: impl Display) {
        if !self.quiet {
            self.print(line);
        }
    }

    /// A warning on stderr, unless they want quiet.
    pub(crate) fn warning(&self, line: impl Display) {
        self.message(format_args!("{} {line}", self.paint("33;1", "warning:")));
    }

    /// What went wrong, on stderr, wanted or not.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.print(format_args!("{} {failure}", self.paint("31;1", "error:")));
    }

    /// A line on stderr, wanted or not.
    pub(crate) fn print(&self, line: impl Display) {
        let drawn = self.lock();
        self.erase(&drawn);
        self.stderr.write(format!("{line}\n"));
        self.redraw(&drawn);
    }

    /// Draws `lines` in place of what was drawn before, as far as they fit the terminal.
    pub(crate) fn draw<'a>(&self, lines: impl IntoIterator<Item = &'a str>) {
        if !self.is_live() {
            return;
        }
        let (columns, rows) = self.size();
        let mut drawn = self.lock();
        self.erase(&drawn);
        *drawn = lines
            .into_iter()
            .take(rows.saturating_sub(1).max(1))
            .map(|line| line.chars().take(columns.saturating_sub(1).max(1)).collect())
            .collect();
        self.redraw(&drawn);
    }

    /// Leaves what is drawn where it is: what comes next goes below.
    pub(crate) fn keep(&self) {
        self.lock().clear();
    }

    /// Removes what is drawn.
    pub(crate) fn clear(&self) {
        self.draw([]);
    }

    /// `text` in a colour (an SGR parameter), where colours are wanted.
    pub(crate) fn paint(&self, sgr: &str, text: &str) -> String {
        if self.color { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Moves to the first drawn line and erases from there.
    fn erase(&self, drawn: &[String]) {
        if !drawn.is_empty() {
            self.stderr.write(format!("\x1b[{}F\x1b[J", height(drawn, self.size().0)));
        }
    }

    fn redraw(&self, drawn: &[String]) {
        if !drawn.is_empty() {
            self.stderr.write(drawn.join("\n") + "\n");
        }
    }

    /// Lets stderr have what was said last. To be called at the end.
    pub(crate) fn flush(&self) {
        self.stderr.flush();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines of a terminal of `columns` that `drawn` takes: one that has become narrower since folds
/// what is longer.
fn height(drawn: &[String], columns: usize) -> usize {
    drawn.iter().map(|line| line.chars().count().div_ceil(columns.max(1)).max(1)).sum()
}

fn unprintable(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Internal, "cannot write the answer as JSON").because(error)
}

/// `text` with everything escaped that moves the cursor, hides or reorders text: what others wrote
/// is never trusted with a terminal.
pub(crate) fn sanitised(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let tricky = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}');
        if tricky { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

/// `text` in lines of at most `width` characters, broken between words; a longer word stays whole.
pub(crate) fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_narrower_terminal_folds_is_erased_too() {
        let drawn = ["x".repeat(79), String::new(), "y".repeat(40)];
        assert_eq!(height(&drawn, 80), 3);
        assert_eq!(height(&drawn, 40), 4);
    }

    #[test]
    fn a_text_is_folded_between_words() {
        assert_eq!(folded("3 s  alone: nobody", 11), ["3 s  alone:", "nobody"]);
        assert_eq!(folded("unbreakable", 4), ["unbreakable"]);
        assert_eq!(folded("", 4), [""]);
    }

    #[test]
    fn remote_text_cannot_move_the_cursor_or_turn_the_reading_direction() {
        assert_eq!(sanitised("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(sanitised("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(sanitised("grün 網路"), "grün 網路");
    }
}
