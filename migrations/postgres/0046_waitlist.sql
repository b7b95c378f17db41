-- Who waits for what is sold out, by spotlight and viewer; `place` is where they stand while they wait.
CREATE TABLE waitlist (
    id        uuid PRIMARY KEY,
    spotlight uuid NOT NULL,
    place     bigint,
    view      json NOT NULL
);

CREATE INDEX waitlist_line ON waitlist (spotlight, place);
