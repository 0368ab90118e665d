-- Messages that failed at every attempt: kind and ids, what failed last, and whether they were given out again.
CREATE TABLE dead_letters (
  id TEXT PRIMARY KEY,                          -- the promise's id: a message that dies again is the same letter
  org INTEGER NOT NULL,
  kind TEXT NOT NULL,
  message TEXT NOT NULL,                        -- JSON: kind and ids only
  attempts INTEGER NOT NULL,
  error TEXT,                                   -- class of the last error; NULL: not known
  died_at INTEGER NOT NULL,
  replayed_at INTEGER
) WITHOUT ROWID;
CREATE INDEX dead_letters_time ON dead_letters(died_at, id);
CREATE INDEX dead_letters_waiting ON dead_letters(kind, died_at, id) WHERE replayed_at IS NULL;
