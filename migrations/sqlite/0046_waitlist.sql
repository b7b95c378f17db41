-- Who waits for what is sold out, by spotlight and viewer; `place` is where they stand while they wait.
CREATE TABLE waitlist (
    id        text PRIMARY KEY,
    spotlight text NOT NULL,
    place     integer,
    view      text NOT NULL
) STRICT;

CREATE INDEX waitlist_line ON waitlist (spotlight, place);
