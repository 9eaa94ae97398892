-- What we make of peers.
CREATE TABLE standings (
    peer         BLOB    PRIMARY KEY,
    score        REAL    NOT NULL,
    banned_until INTEGER,
    at           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The audit trail, oldest first. One thing that happened is one line, however often it is told.
CREATE TABLE trust_events (
    number      INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    peer        BLOB    NOT NULL,
    observation TEXT    NOT NULL,
    change      REAL    NOT NULL,
    score       REAL    NOT NULL,
    UNIQUE (at, peer, observation, change, score)
) STRICT;
