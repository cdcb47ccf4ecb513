-- Delete the lanes of deleted webhooks that have no live delivery.
DELETE FROM lanes WHERE webhook_id IN (
  SELECT l.webhook_id FROM lanes l
  CROSS JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  WHERE NOT EXISTS (
    SELECT 1 FROM deliveries d WHERE d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL))
