-- Make everything that a dead node had leased due now; the outcome of its attempts is unknown.
WITH released AS (
  UPDATE deliveries d SET status = 'pending', claimable_at = $2, lease = 0, updated_at = $2
  FROM nodes n WHERE n.id = $1 AND d.status = 'sending' AND d.lease BETWEEN n.first_lease AND n.last_lease
  RETURNING d.id, d.webhook_id, d.organization_id, d.attempt_count),
interrupted AS (
  INSERT INTO interruptions (delivery_id, noticed_at, number)
  SELECT id, $2, attempt_count + 1 FROM released ON CONFLICT DO NOTHING)
SELECT id, webhook_id, organization_id FROM released
