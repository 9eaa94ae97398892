//! Prints `REASONS.md`, which is made from the list of reasons.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(positron_proto::reason::page().as_bytes())
}
