-- paused: deliveries are made and wait. planned_at: when the schedule's next attempt was to be, before somebody asked to
-- send the delivery now. expedite_before: what was planned before this instant is to become due, from the delivery that
-- is claimable at expedite_after on.
ALTER TABLE webhooks ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN planned_at INTEGER;
ALTER TABLE lanes ADD COLUMN expedite_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lanes ADD COLUMN expedite_after INTEGER NOT NULL DEFAULT 0;
