//! What a positron-net node remembers: SQLite, one write-behind writer thread.
