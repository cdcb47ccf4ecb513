-- What a node that died had in hand is due now; what became of it is unknown.
WITH freed AS (
  UPDATE deliveries d SET status = 'pending', claimable_at = $2, lease = 0, updated_at = $2
  FROM nodes n WHERE n.id = $1 AND d.status = 'sending' AND d.lease BETWEEN n.first_lease AND n.last_lease
  RETURNING d.id, d.webhook_id, d.organization_id, d.attempt_count),
noted AS (
  INSERT INTO interruptions (delivery_id, noticed_at, number)
  SELECT id, $2, attempt_count + 1 FROM freed ON CONFLICT DO NOTHING)
SELECT id, webhook_id, organization_id FROM freed
