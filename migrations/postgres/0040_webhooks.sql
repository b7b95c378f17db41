-- Seller webhooks: endpoints, and a message per endpoint and event. Times are microseconds since
-- 1970. A secret is not kept: it follows from the installation's secret, the id and the generation.

CREATE TABLE webhook_endpoints (
    id                text   PRIMARY KEY,
    seller            text   NOT NULL,
    url               text   NOT NULL,
    -- JSON
    events            text   NOT NULL,
    description       text,
    status            text   NOT NULL,
    disabled_reason   text,
    generation        bigint NOT NULL,
    previous_until_us bigint,
    failing_since_us  bigint,
    created_us        bigint NOT NULL
);

CREATE INDEX webhook_endpoints_seller ON webhook_endpoints (seller, created_us, id);

CREATE TABLE webhook_deliveries (
    id              text   PRIMARY KEY,
    endpoint        text   NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    event           text   NOT NULL,
    body            text   NOT NULL,
    status          text   NOT NULL,
    attempts        bigint NOT NULL DEFAULT 0,
    next_us         bigint,
    -- the claim of one process ends then
    leased_us       bigint NOT NULL DEFAULT 0,
    last_us         bigint,
    response_status bigint,
    error           text,
    delivered_us    bigint,
    created_us      bigint NOT NULL
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_us) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (endpoint, created_us, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (created_us) WHERE status <> 'pending';
