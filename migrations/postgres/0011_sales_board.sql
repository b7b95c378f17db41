CREATE TABLE board_broadcasts (
    id         uuid   PRIMARY KEY,
    seller     text   NOT NULL,
    status     text   NOT NULL,
    created_us bigint NOT NULL,
    ended_us   bigint,
    view       json   NOT NULL
);

CREATE INDEX board_broadcasts_seller ON board_broadcasts (seller, created_us, id);

-- What was sold stands beside its spotlight: a broadcast's totals are the sum over its spotlights,
-- so that a batch needs no row that it cannot name.
CREATE TABLE board_spotlights (
    id         uuid   PRIMARY KEY,
    broadcast  uuid   NOT NULL,
    status     text   NOT NULL,
    created_us bigint NOT NULL,
    opens_us   bigint,
    closes_us  bigint,
    view       json   NOT NULL,
    totals     json   NOT NULL
);

CREATE INDEX board_spotlights_broadcast ON board_spotlights (broadcast, created_us, id);
CREATE INDEX board_spotlights_opening ON board_spotlights (opens_us)
    WHERE status = 'scheduled' AND opens_us IS NOT NULL;
CREATE INDEX board_spotlights_closing ON board_spotlights (closes_us)
    WHERE status IN ('open', 'paused') AND closes_us IS NOT NULL;
CREATE INDEX board_spotlights_unclosed ON board_spotlights (broadcast) WHERE status <> 'closed';
