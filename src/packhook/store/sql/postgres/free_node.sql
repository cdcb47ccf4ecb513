-- What a node that died had in hand is due now.
UPDATE deliveries d SET status = 'pending', claimable_at = $2, lease = 0, updated_at = $2
FROM nodes n WHERE n.id = $1 AND d.status = 'sending' AND d.lease BETWEEN n.first_lease AND n.last_lease
RETURNING d.id, d.webhook_id, d.organization_id
