-- The schema of version 1 as it went out. Never edited: disks look like this.
PRAGMA application_id = 0x5053544E;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;

CREATE TABLE state (
    only           INTEGER PRIMARY KEY CHECK (only = 1),
    network        BLOB    NOT NULL,
    network_name   TEXT    NOT NULL,
    next_broadcast INTEGER NOT NULL DEFAULT 0,
    next_direct    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE messages (
    kept     INTEGER PRIMARY KEY,
    sender   BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    claim    BLOB    NOT NULL,
    checksum BLOB    NOT NULL,
    UNIQUE (sender, sequence)
) STRICT;

CREATE TABLE floors (
    sender BLOB    PRIMARY KEY,
    floor  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peers (
    node      BLOB    PRIMARY KEY,
    record    BLOB    NOT NULL,
    checksum  BLOB    NOT NULL,
    dialled   TEXT,
    last_seen INTEGER NOT NULL,
    failures  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
