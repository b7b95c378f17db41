-- What was asked for and refused, by spotlight and SKU.
CREATE TABLE unmet_demand (
    id        text    PRIMARY KEY,
    spotlight text    NOT NULL,
    place     integer,
    view      text    NOT NULL
) STRICT;

CREATE INDEX unmet_demand_spotlight ON unmet_demand (spotlight, id);
