-- Words are ranked in memory, from what is packed when a file is read, on both databases alike.
DROP INDEX passages_of_words;
ALTER TABLE passages DROP COLUMN words;

CREATE TABLE passage_words (
    file   BIGINT NOT NULL,
    first  BIGINT NOT NULL,
    words  BYTEA NOT NULL,
    PRIMARY KEY (file, first)
);
