-- What somebody wants done with a parked command: retry or discard, who, why and when; kept when done.
ALTER TABLE parked ADD COLUMN action text;
ALTER TABLE parked ADD COLUMN action_by text;
ALTER TABLE parked ADD COLUMN action_reason text;
ALTER TABLE parked ADD COLUMN action_at integer;
