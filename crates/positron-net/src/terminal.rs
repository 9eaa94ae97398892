//! The terminal: data on stdout, messages on stderr, and lines on stderr that are redrawn in place.

use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde::Serialize;
use tracing::Level;

use crate::{
    background_writer::BackgroundWriter,
    failure::{Exit, Failure},
};

/// Makes a line for programs of what is said to people, and how grave it is.
type Speech = fn(Level, &str) -> String;

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
    stderr: BackgroundWriter,
    /// Where stderr is read by programs: how every line there is written.
    speech: Arc<OnceLock<Speech>>,
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
        let speech = Arc::<OnceLock<Speech>>::default();
        let of_writer = Arc::clone(&speech);
        // Nobody is left to be told when stderr is gone.
        let write = |piece: &str| drop(io::stderr().write_all(piece.as_bytes()));
        let missing = move |lost| {
            let what = format!("{lost} lines are missing here: nobody read them");
            of_writer
                .get()
                .map_or_else(|| format!("({what})\n"), |speech| speech(Level::WARN, &what) + "\n")
        };
        let stderr = BackgroundWriter::new("standard-error", write, missing);
        Self { interactive, quiet, color, stderr, speech, drawn: Mutex::new(Vec::new()) }
    }

    /// From now on programs read stderr: every line there is what this makes of it, and nothing is
    /// drawn.
    pub(crate) fn speak_as(&self, speech: Speech) {
        self.clear();
        // Who speaks first is heard.
        let _ = self.speech.set(speech);
    }

    /// Whether lines are redrawn in place: stderr is a terminal, people read it, and messages are
    /// wanted.
    pub(crate) fn is_live(&self) -> bool {
        self.interactive && !self.quiet && self.speech.get().is_none()
    }

    /// Columns and lines of the terminal; 80 by 24 if nobody knows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let known = terminal_size::terminal_size_of(io::stderr());
        known.map_or((80, 24), |(columns, lines)| (columns.0.into(), lines.0.into()))
    }

    /// Its columns, if people look at it.
    pub(crate) fn width(&self) -> Option<usize> {
        self.is_live().then(|| self.size().0)
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
        written.map_err(unwritten)
    }

    /// Whether people look at stdout, and no program or file.
    pub(crate) fn is_read_by_people(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Bytes on stdout as they are, with nothing around them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(unwritten)
    }

    /// A JSON document on stdout, over several lines.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        self.data(escaped(serde_json::to_string_pretty(document).map_err(unprintable)?))
    }

    /// A message for people on stderr, unless they want quiet.
    pub(crate) fn message(&self, line: impl Display) {
        self.say(Level::INFO, None, line);
    }

    /// A warning on stderr, unless they want quiet.
    pub(crate) fn warning(&self, line: impl Display) {
        self.say(Level::WARN, Some(("33;1", "warning:")), line);
    }

    /// What went wrong, on stderr, wanted or not.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.say(Level::ERROR, Some(("31;1", "error:")), failure);
    }

    /// A line on stderr, for people behind a word in its colour. Errors are wanted always.
    fn say(&self, level: Level, word: Option<(&str, &str)>, line: impl Display) {
        if self.quiet && level != Level::ERROR {
            return;
        }
        match (self.speech.get(), word) {
            (Some(speech), _) => self.print(speech(level, &line.to_string())),
            (None, Some((sgr, word))) => {
                self.print(format_args!("{} {line}", self.paint(sgr, word)));
            }
            (None, None) => self.print(line),
        }
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
            .map(|line| cut(line, columns.saturating_sub(1).max(1)))
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
    drawn.iter().map(|line| visible(line).count().div_ceil(columns.max(1)).max(1)).sum()
}

/// The characters of a line that take a column: all but those of colours (`paint`).
fn visible(line: &str) -> impl Iterator<Item = char> {
    let mut in_color = false;
    line.chars().filter(move |c| {
        let was_in_color = in_color;
        in_color = if in_color { *c != 'm' } else { *c == '\x1b' };
        !was_in_color && !in_color
    })
}

/// The first `columns` of a line, with its colours, and none behind it.
fn cut(line: &str, columns: usize) -> String {
    if visible(line).count() <= columns {
        return line.to_owned();
    }
    let (mut cut, mut taken, mut in_color, mut has_color) = (String::new(), 0, false, false);
    for c in line.chars() {
        if in_color || c == '\x1b' {
            in_color = c != 'm';
            has_color = true;
        } else if taken == columns {
            break;
        } else {
            taken += 1;
        }
        cut.push(c);
    }
    if has_color {
        cut.push_str("\x1b[0m");
    }
    cut
}

fn unprintable(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Internal, "cannot write the answer as JSON").because(error)
}

/// `text` with everything escaped that moves the cursor, hides or reorders text: what others wrote
/// is never trusted with a terminal.
pub(crate) fn sanitised(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_tricky(c) { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

/// One line of JSON that says the same to programs as any other, and does nothing to a terminal.
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(escaped)
}

/// JSON with everything escaped that [`sanitised`] escapes. Outside of texts there is none of it
/// but the ends of lines.
fn escaped(json: String) -> String {
    let needs_it = |c: char| is_tricky(c) && c != '\n';
    if !json.contains(needs_it) {
        return json;
    }
    let mut clean = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if needs_it(c) {
            let mut units = [0; 2];
            clean.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            clean.push(c);
        }
    }
    clean
}

fn unwritten(error: io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new(Exit::Storage, "cannot write to the standard output").because(error),
    }
}

/// Whether it is a control character, or one that Unicode says is not seen: marks of direction and
/// joining, fillers, tags (`Default_Ignorable_Code_Point`, without the selectors that emoji need),
/// and the ends of lines and annotations.
fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}')
        || matches!(c, '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
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
    fn colours_take_no_columns_and_end_where_a_line_is_cut() {
        let line = "ab \x1b[32;1mcdef\x1b[0m gh";
        assert_eq!(visible(line).collect::<String>(), "ab cdef gh");
        assert_eq!(cut(line, 10), line);
        assert_eq!(cut(line, 5), "ab \x1b[32;1mcd\x1b[0m");
        assert_eq!(cut(line, 2), "ab");
        assert_eq!(height(&[line.to_owned()], 10), 1);
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
        assert_eq!(sanitised("x\u{e0041}\u{ad}\u{61c}"), "x\\u{e0041}\\u{ad}\\u{61c}");
        assert_eq!(sanitised("grün 網路 👍️"), "grün 網路 👍️");
    }

    #[test]
    fn json_is_as_harmless_on_a_terminal_and_says_the_same() {
        let hostile = "a\u{9b}2Jb\u{7f}\u{202e}\u{e0041} grün";
        let line = json_line(&hostile).unwrap();
        assert_eq!(line, r#""a\u009b2Jb\u007f\u202e\udb40\udc41 grün""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }
}
