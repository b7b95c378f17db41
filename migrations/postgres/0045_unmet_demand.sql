-- What was asked for and refused, by spotlight and SKU.
CREATE TABLE unmet_demand (
    id        uuid   PRIMARY KEY,
    spotlight uuid   NOT NULL,
    place     bigint,
    view      json   NOT NULL
);

CREATE INDEX unmet_demand_spotlight ON unmet_demand (spotlight, id);
