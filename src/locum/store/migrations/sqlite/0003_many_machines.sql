-- Every process over this database, for as long as it says that it lives. A run is held by the
-- process that `leased_by` names, while that lives: so one row is renewed, however many runs a
-- process drives. `runs.leased_until` is not used any more.
CREATE TABLE processes (
    name         TEXT PRIMARY KEY,
    host         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    roles        TEXT NOT NULL,
    version      TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    alive_until  INTEGER NOT NULL,
    room         INTEGER NOT NULL,
    driving      INTEGER NOT NULL DEFAULT 0
);

-- Workers that died with the run. `attempts` counts its lives, and a hand-over begins one, too.
ALTER TABLE runs ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET losses = attempts WHERE attempts > 0;

-- The queue: what somebody drives, or should.
CREATE INDEX runs_to_drive ON runs (project_id, seq)
    WHERE status IN ('queued', 'in_progress', 'cancelling');

-- Work that one process does for all of them, and when it is due again.
CREATE TABLE duties (
    name    TEXT PRIMARY KEY,
    due_at  INTEGER NOT NULL
);
