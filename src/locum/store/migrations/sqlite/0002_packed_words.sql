-- Words are ranked in memory, from what is packed when a file is read, on both databases alike.
DROP TABLE passage_terms;

CREATE TABLE passage_words (
    file   INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    words  BLOB NOT NULL,
    PRIMARY KEY (file, first)
);
