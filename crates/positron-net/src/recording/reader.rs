//! Reads a recording, and refuses what is none.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::format::{Header, MAX_RECORDED_NODES, MAX_RECORDING, Step, VERSION};

/// A recording that was read, and makes sense.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Who takes part.
    pub header: Header,
    /// All of it, as it is in the file.
    pub text: String,
    /// Milliseconds that it lasts.
    pub lasts_ms: u64,
    /// Whose process runs at the end.
    pub up: BTreeSet<usize>,
    /// Who holds a session with whom at the end.
    pub links: BTreeSet<(usize, usize)>,
}

/// Why a file is no recording that can be shown.
#[derive(Debug)]
pub(crate) enum BadRecording {
    /// It cannot be read.
    Unreadable(io::Error),
    /// There is nothing in it.
    Empty,
    /// It has more bytes than a recording may have.
    TooLarge,
    /// Its first line is not that of a recording.
    Foreign,
    /// It is a recording in a version of the format that this program does not know.
    OtherVersion(u64),
    /// It has more nodes than can be shown.
    TooManyNodes(usize),
    /// A line makes no sense.
    Line {
        /// Which, from 1.
        number: usize,
        /// Why.
        why: String,
    },
    /// A line names a node that does not take part.
    UnknownNode {
        /// Which line, from 1.
        line: usize,
        /// Which node.
        node: usize,
    },
    /// A step is before the one that is above it.
    Backwards {
        /// Which line, from 1.
        line: usize,
    },
    /// The last line has no end: the file was cut off.
    CutOff {
        /// Lines that are whole.
        lines: usize,
    },
}

impl fmt::Display for BadRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "{error}"),
            Self::Empty => write!(f, "it is empty"),
            Self::TooLarge => write!(f, "it has more than {MAX_RECORDING} bytes"),
            Self::Foreign => write!(f, "its first line does not say that it is a recording"),
            Self::OtherVersion(version) => write!(
                f,
                "it has version {version} of the format, and this program reads version {VERSION}"
            ),
            Self::TooManyNodes(nodes) => {
                write!(f, "it has {nodes} nodes, and {MAX_RECORDED_NODES} are the most")
            }
            Self::Line { number, why } => write!(f, "line {number} makes no sense: {why}"),
            Self::UnknownNode { line, node } => {
                write!(f, "line {line} names node {node}, which does not take part")
            }
            Self::Backwards { line } => write!(f, "line {line} is earlier than the one above it"),
            Self::CutOff { lines } => write!(f, "it is cut off after {lines} lines"),
        }
    }
}

impl Recording {
    /// Reads and checks all of it.
    pub(crate) fn open(path: &Path) -> Result<Self, BadRecording> {
        let mut text = String::new();
        let file = File::open(path).map_err(BadRecording::Unreadable)?;
        let read = file.take(MAX_RECORDING + 1).read_to_string(&mut text);
        match read {
            Ok(read) if read as u64 > MAX_RECORDING => Err(BadRecording::TooLarge),
            Ok(_) => Self::parse(text),
            // Not text, so nothing of ours.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(BadRecording::Foreign),
            Err(error) => Err(BadRecording::Unreadable(error)),
        }
    }

    fn parse(text: String) -> Result<Self, BadRecording> {
        let mut lines = text.lines();
        let header = header(lines.next().ok_or(BadRecording::Empty)?)?;
        let mut read = Self {
            header,
            text: String::new(),
            lasts_ms: 0,
            up: BTreeSet::new(),
            links: BTreeSet::new(),
        };
        let whole = text.bytes().filter(|byte| *byte == b'\n').count();
        for (number, line) in (2..).zip(lines) {
            if number > whole {
                return Err(BadRecording::CutOff { lines: whole });
            }
            let step: Step = serde_json::from_str(line)
                .map_err(|error| BadRecording::Line { number, why: error.to_string() })?;
            read.take(step, number)?;
        }
        if whole == 0 {
            return Err(BadRecording::CutOff { lines: 0 });
        }
        read.text = text;
        Ok(read)
    }

    fn take(&mut self, step: Step, line: usize) -> Result<(), BadRecording> {
        let Step { t_ms, up, down, links, cut, hops } = step;
        if t_ms < self.lasts_ms {
            return Err(BadRecording::Backwards { line });
        }
        let pairs = links.iter().chain(&cut).flat_map(|(a, b)| [*a, *b]);
        let ends = hops.iter().flat_map(|hop| [hop.1, hop.2]);
        let mut named = up.iter().chain(&down).copied().chain(pairs).chain(ends);
        if let Some(node) = named.find(|node| *node >= self.header.nodes.len()) {
            return Err(BadRecording::UnknownNode { line, node });
        }
        self.lasts_ms = t_ms;
        let ordered = |(a, b): (usize, usize)| (a.min(b), a.max(b));
        self.up.extend(up);
        self.links.extend(links.into_iter().map(ordered));
        for node in down {
            self.up.remove(&node);
        }
        for pair in cut {
            self.links.remove(&ordered(pair));
        }
        Ok(())
    }
}

fn header(line: &str) -> Result<Header, BadRecording> {
    let said: serde_json::Value = serde_json::from_str(line).map_err(|_| BadRecording::Foreign)?;
    match said["positron_recording"].as_u64() {
        None => return Err(BadRecording::Foreign),
        Some(version) if version != u64::from(VERSION) => {
            return Err(BadRecording::OtherVersion(version));
        }
        Some(_) => {}
    }
    let header: Header = serde_json::from_value(said)
        .map_err(|error| BadRecording::Line { number: 1, why: error.to_string() })?;
    match header.nodes.len() {
        nodes if nodes > MAX_RECORDED_NODES => Err(BadRecording::TooManyNodes(nodes)),
        _ => Ok(header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> BadRecording {
        Recording::parse(text.to_owned()).unwrap_err()
    }

    fn head(version: u32) -> String {
        let id = "00".repeat(32);
        format!(
            "{{\"positron_recording\":{version},\"seed\":1,\"nodes\":[\"{id}\",\"{id}\"],\
             \"step_ms\":100}}\n"
        )
    }

    #[test]
    fn what_was_recorded_is_read_and_the_end_is_known() {
        let steps = "{\"t_ms\":100,\"up\":[0,1],\"links\":[[0,1]]}\n\
                     {\"t_ms\":900,\"down\":[1],\"cut\":[[0,1]],\
                     \"hops\":[[\"ab\",0,1,null,3.5]]}\n";
        let read = Recording::parse(head(1) + steps).unwrap();
        assert_eq!((read.header.seed, read.header.nodes.len(), read.lasts_ms), (1, 2, 900));
        assert_eq!((read.up.into_iter().collect::<Vec<_>>(), read.links.len()), (vec![0], 0));
        assert_eq!(read.text, head(1) + steps);
    }

    #[test]
    fn what_is_none_is_refused_and_the_reason_told() {
        use BadRecording as Bad;
        assert!(matches!(refused(""), Bad::Empty));
        for foreign in
            ["{}\n", "hello\n", "[1]\n", "\u{feff}\n", "{\"positron_recording\":\"1\"}\n"]
        {
            assert!(matches!(refused(foreign), Bad::Foreign), "{foreign}");
        }
        assert!(matches!(refused(&head(2)), Bad::OtherVersion(2)));
        assert!(matches!(refused("{\"positron_recording\":1}\n"), Bad::Line { number: 1, .. }));
        let after = |line: &str| refused(&(head(1) + line));
        assert!(matches!(after("{\"t_ms\":-1}\n"), Bad::Line { number: 2, .. }));
        assert!(matches!(after("{\"up\":[2]}\n"), Bad::UnknownNode { line: 2, node: 2 }));
        assert!(matches!(after("{\"links\":[[0,9]]}\n"), Bad::UnknownNode { node: 9, .. }));
        let hop = "{\"hops\":[[\"ab\",0,7,1.0,1.0]]}\n";
        assert!(matches!(after(hop), Bad::UnknownNode { node: 7, .. }));
        assert!(matches!(after("{\"t_ms\":5}\n{\"t_ms\":4}\n"), Bad::Backwards { line: 3 }));
        assert!(matches!(after("{\"t_ms\":5}\n{\"t_m"), Bad::CutOff { lines: 2 }));
        assert!(matches!(refused(head(1).trim_end()), Bad::CutOff { lines: 0 }));
    }
}
