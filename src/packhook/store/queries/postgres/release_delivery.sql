-- Make leased deliveries that were not sent due again; no row where the lease is another's.
-- Differs because it takes many deliveries at once.
UPDATE deliveries d SET status = 'pending', claimable_at = $1, lease = 0, updated_at = $1
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS released (organization_id, id, lease)
WHERE d.organization_id = released.organization_id AND d.id = released.id AND d.lease = released.lease
  AND d.status = 'sending'
RETURNING d.webhook_id, d.organization_id, d.id, d.attempt_count
