-- Delete the lanes of deleted webhooks that have no live delivery.
-- Differs because a lane that another node is claiming from is skipped.
DELETE FROM lanes WHERE webhook_id IN (
  SELECT l.webhook_id FROM lanes l JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  WHERE NOT EXISTS (
    SELECT 1 FROM deliveries d WHERE d.webhook_id = l.webhook_id AND d.status IN ('pending', 'sending'))
  FOR UPDATE OF l SKIP LOCKED)
