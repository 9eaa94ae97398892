-- Exactly one row: which network, and our own first numbers that were never given out.
CREATE TABLE state (
    only           INTEGER PRIMARY KEY CHECK (only = 1),
    network        BLOB    NOT NULL,
    network_name   TEXT    NOT NULL,
    next_broadcast INTEGER NOT NULL DEFAULT 0,
    next_direct    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The retention window of gossip, in the order in which it was kept. `claim` is what the sender
-- signed and its signature, as it travels; `checksum` tells a claim that rotted on the disk.
CREATE TABLE messages (
    kept     INTEGER PRIMARY KEY,
    sender   BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    claim    BLOB    NOT NULL,
    checksum BLOB    NOT NULL,
    UNIQUE (sender, sequence)
) STRICT;

-- Per sender, the lowest number that may still be new.
CREATE TABLE floors (
    sender BLOB    PRIMARY KEY,
    floor  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The address book. `record` is the signed peer record as it travels; times are microseconds since
-- the Unix epoch.
CREATE TABLE peers (
    node      BLOB    PRIMARY KEY,
    record    BLOB    NOT NULL,
    checksum  BLOB    NOT NULL,
    dialled   TEXT,
    last_seen INTEGER NOT NULL,
    failures  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
