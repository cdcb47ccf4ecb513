-- A deleted webhook without live deliveries needs no lane.
-- Differs because a lane that another node looks through at this moment is passed over.
DELETE FROM lanes WHERE webhook_id IN (
  SELECT l.webhook_id FROM lanes l JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  WHERE NOT EXISTS (
    SELECT 1 FROM deliveries d WHERE d.webhook_id = l.webhook_id AND d.status IN ('pending', 'sending'))
  FOR UPDATE OF l SKIP LOCKED)
