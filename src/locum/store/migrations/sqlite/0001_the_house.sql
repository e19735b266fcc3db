-- Projects own everything; a key belongs to one.
CREATE TABLE projects (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL
);

CREATE TABLE api_keys (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    project_id  TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    digest      TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    hint        TEXT NOT NULL,
    read_only   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER
);

-- Where a deleted object stood in its list, so that paging goes on from it.
CREATE TABLE tombstones (
    project_id  TEXT NOT NULL,
    list        TEXT NOT NULL,
    id          TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (project_id, list, id)
);

-- `headers` are secrets: what the MCP servers of an assistant are sent. The API never shows them.
CREATE TABLE assistants (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    document    TEXT NOT NULL,
    headers     TEXT NOT NULL DEFAULT '{}',
    UNIQUE (project_id, id)
);
CREATE INDEX assistants_list ON assistants (project_id, seq);

-- The first version of the API let files hang on an assistant; theirs is a list of its own.
CREATE TABLE assistant_files (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id    TEXT NOT NULL,
    assistant_id  TEXT NOT NULL,
    id            TEXT NOT NULL,
    document      TEXT NOT NULL,
    UNIQUE (project_id, assistant_id, id)
);

CREATE TABLE threads (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (project_id, id)
);
CREATE INDEX threads_list ON threads (project_id, seq);

-- Digests of `key=value`, one row a pair of metadata: what lists of threads are filtered by.
CREATE TABLE thread_labels (
    project_id  TEXT NOT NULL,
    label       TEXT NOT NULL,
    thread_id   TEXT NOT NULL,
    PRIMARY KEY (project_id, label, thread_id)
);
CREATE INDEX thread_labels_of ON thread_labels (project_id, thread_id);

CREATE TABLE messages (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    thread_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    run_id      TEXT,
    role        TEXT NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (project_id, thread_id, id)
);
CREATE INDEX messages_list ON messages (project_id, thread_id, seq);
CREATE INDEX messages_of_run ON messages (project_id, thread_id, run_id, seq) WHERE run_id IS NOT NULL;

-- `fence` rises with every claim; a write that carries an old one is refused.
-- `events` is the number of the last event in the journal; `ended_at` is when the run ended,
-- and null again when its journal has been forgotten.
CREATE TABLE runs (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id    TEXT NOT NULL,
    thread_id     TEXT NOT NULL,
    id            TEXT NOT NULL,
    status        TEXT NOT NULL,
    expires_at    INTEGER NOT NULL,
    fence         INTEGER NOT NULL DEFAULT 0,
    attempts      INTEGER NOT NULL DEFAULT 0,
    events        INTEGER NOT NULL DEFAULT 0,
    leased_by     TEXT,
    leased_until  INTEGER,
    ended_at      INTEGER,
    plan          TEXT NOT NULL DEFAULT '{}',
    document      TEXT NOT NULL,
    UNIQUE (project_id, thread_id, id)
);
CREATE INDEX runs_list ON runs (project_id, thread_id, seq);
CREATE INDEX runs_alive ON runs (status, expires_at)
    WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX runs_one_active ON runs (project_id, thread_id)
    WHERE status IN ('queued', 'in_progress', 'requires_action', 'cancelling');

-- `memory` is what the model was told of the step's calls; the API never shows it.
CREATE TABLE steps (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    thread_id   TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    id          TEXT NOT NULL,
    memory      TEXT NOT NULL DEFAULT '[]',
    document    TEXT NOT NULL,
    UNIQUE (project_id, run_id, id)
);
CREATE INDEX steps_list ON steps (project_id, run_id, seq);
CREATE INDEX steps_of_thread ON steps (project_id, thread_id, seq);

-- The journal of a run: what its streams said, in order.
CREATE TABLE events (
    project_id  TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    number      INTEGER NOT NULL,
    life        INTEGER NOT NULL,
    name        TEXT NOT NULL,
    data        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (project_id, run_id, number)
);

CREATE TABLE files (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    expires_at  INTEGER,
    blob        TEXT NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (project_id, id)
);
CREATE INDEX files_list ON files (project_id, seq);
CREATE INDEX files_by_purpose ON files (project_id, purpose, seq);
CREATE INDEX files_of_blob ON files (blob);
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;

-- Which assistants and threads hold a file for their code interpreter.
CREATE TABLE file_uses (
    project_id  TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    owner       TEXT NOT NULL,
    owner_id    TEXT NOT NULL,
    PRIMARY KEY (project_id, file_id, owner, owner_id)
);
CREATE INDEX file_uses_of ON file_uses (project_id, owner, owner_id);

CREATE TABLE uploads (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    plan        TEXT NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (project_id, id)
);

CREATE TABLE upload_parts (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    upload_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    blob        TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (project_id, upload_id, id)
);
CREATE INDEX upload_parts_of_blob ON upload_parts (blob);

CREATE TABLE vector_stores (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    expires_at  INTEGER,
    document    TEXT NOT NULL,
    UNIQUE (project_id, id)
);
CREATE INDEX vector_stores_list ON vector_stores (project_id, seq);
CREATE INDEX vector_stores_expiring ON vector_stores (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE vector_store_files (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id       TEXT NOT NULL,
    vector_store_id  TEXT NOT NULL,
    id               TEXT NOT NULL,
    status           TEXT NOT NULL,
    batch_id         TEXT,
    attempts         INTEGER NOT NULL DEFAULT 0,
    leased_by        TEXT,
    leased_until     INTEGER,
    document         TEXT NOT NULL,
    UNIQUE (project_id, vector_store_id, id)
);
CREATE INDEX vector_store_files_list ON vector_store_files (project_id, vector_store_id, seq);
CREATE INDEX vector_store_files_waiting ON vector_store_files (seq) WHERE status = 'in_progress';
CREATE INDEX vector_store_files_of_file ON vector_store_files (project_id, id);

CREATE TABLE file_batches (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id       TEXT NOT NULL,
    vector_store_id  TEXT NOT NULL,
    id               TEXT NOT NULL,
    document         TEXT NOT NULL,
    UNIQUE (project_id, vector_store_id, id)
);

-- What a file in a vector store is found by: `filling` while it is written, `live` while it is
-- searched, `dropped` until it has been cleared away. `model` is whose its vectors are.
CREATE TABLE passage_files (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id       TEXT NOT NULL,
    vector_store_id  TEXT NOT NULL,
    file_id          TEXT NOT NULL,
    state            TEXT NOT NULL,
    model            TEXT NOT NULL DEFAULT '',
    passages         INTEGER NOT NULL DEFAULT 0,
    pages            TEXT NOT NULL
);
CREATE INDEX passage_files_of_store
    ON passage_files (project_id, vector_store_id, state, model, number);
CREATE INDEX passage_files_live ON passage_files (number, model) WHERE state = 'live';
CREATE INDEX passage_files_dropped ON passage_files (number) WHERE state = 'dropped';

-- The number of a file, times 2^20, and the place in it.
CREATE TABLE passages (
    id     INTEGER PRIMARY KEY,
    text   TEXT NOT NULL,
    terms  TEXT NOT NULL
);
CREATE VIRTUAL TABLE passage_terms USING fts5 (
    store, terms, content = '', tokenize = "unicode61 remove_diacritics 0 tokenchars '-_./:@#'"
);

CREATE TABLE passage_vectors (
    file     INTEGER NOT NULL,
    part     INTEGER NOT NULL,
    spans    BLOB NOT NULL,
    vectors  BLOB NOT NULL,
    PRIMARY KEY (file, part)
);
