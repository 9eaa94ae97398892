-- Exactly one row: which network. What the rooms keep is in a table for each of theirs.
CREATE TABLE state (
    only         INTEGER PRIMARY KEY CHECK (only = 1),
    network      BLOB    NOT NULL,
    network_name TEXT    NOT NULL
) STRICT;
