-- A parked command that is decided once more no longer holds its sequence up; it is due until it is settled.
ALTER TABLE parked ADD COLUMN released boolean NOT NULL DEFAULT false;
