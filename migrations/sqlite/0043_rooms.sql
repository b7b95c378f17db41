-- What a broadcast's room came to: likes, the most viewers at once, and viewers that came at all. It is no
-- part of the event log: the bus counts, and this outlives it.

CREATE TABLE rooms (
    broadcast        text    PRIMARY KEY,
    likes            integer NOT NULL,
    viewers_peak     integer NOT NULL,
    viewers_distinct integer NOT NULL
) STRICT;
