-- Read models: derived from the events, rebuilt from them when lost. Times are microseconds since
-- 1970, so that a page's cursor compares the same in every adapter.

CREATE TABLE projection_checkpoint (
    name        text    PRIMARY KEY,
    version     integer NOT NULL,
    position    bigint  NOT NULL CHECK (position >= 0),
    fingerprint text    NOT NULL
);

CREATE TABLE order_book (
    id           uuid    PRIMARY KEY,
    seller       text    NOT NULL,
    viewer_ref   text    NOT NULL,
    spotlight    uuid    NOT NULL,
    broadcast    uuid    NOT NULL,
    status       text    NOT NULL,
    accepted_us  bigint  NOT NULL,
    -- only while the end of the hold is to be proposed
    hold_us      bigint,
    payment_open boolean NOT NULL,
    -- json, not jsonb: it is only read whole
    view         json    NOT NULL
);

CREATE INDEX order_book_seller ON order_book (seller, accepted_us, id);
CREATE INDEX order_book_viewer ON order_book (seller, viewer_ref, accepted_us, id);
CREATE INDEX order_book_spotlight ON order_book (seller, spotlight, accepted_us, id);
CREATE INDEX order_book_holds ON order_book (hold_us, id) WHERE hold_us IS NOT NULL;
CREATE INDEX order_book_open_payments ON order_book (id) WHERE payment_open;
