-- A journal is found by its run's place, which is short: so the places of many journals share a page,
-- and a commit that notes what hundreds of runs said writes a few pages of the index.
ALTER TABLE events RENAME TO events_by_name;
CREATE TABLE events (
    run         INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    life        INTEGER NOT NULL,
    name        TEXT NOT NULL,
    data        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (run, number)
);
INSERT INTO events (run, number, life, name, data, created_at)
    SELECT runs.seq, told.number, told.life, told.name, told.data, told.created_at
    FROM events_by_name told
    JOIN runs ON runs.project_id = told.project_id AND runs.id = told.run_id
    ORDER BY told.rowid;
DROP TABLE events_by_name;
