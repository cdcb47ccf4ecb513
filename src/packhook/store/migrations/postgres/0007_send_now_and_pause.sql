-- paused: deliveries are made and wait. planned_at: when the schedule's next attempt was to be, before somebody asked to
-- send the delivery now. expedite_before: what was planned before this instant is to become due, from the delivery that
-- is claimable at expedite_after on.
SET LOCAL search_path = packhook;

ALTER TABLE webhooks ADD COLUMN paused boolean NOT NULL DEFAULT false;
ALTER TABLE deliveries ADD COLUMN planned_at bigint;
ALTER TABLE lanes
  ADD COLUMN expedite_before bigint NOT NULL DEFAULT 0,
  ADD COLUMN expedite_after bigint NOT NULL DEFAULT 0;
