//! Prints `REASONS.md`, which is made from the list of reasons.

fn main() {
    print!("{}", positron_proto::reason::page());
}
