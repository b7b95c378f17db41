-- What was said in chats, kept for a term (`chat.retention_days`). It is no part of the event log, and
-- cannot be rebuilt from it.

CREATE TABLE chat_log (
    id        text    PRIMARY KEY,
    broadcast text    NOT NULL,
    -- microseconds since 1970
    sent_us   integer NOT NULL,
    view      text    NOT NULL
) STRICT;

CREATE INDEX chat_log_broadcast ON chat_log (broadcast, sent_us, id);
CREATE INDEX chat_log_sent ON chat_log (sent_us);
