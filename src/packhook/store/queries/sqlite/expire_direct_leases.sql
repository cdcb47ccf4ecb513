-- Make deliveries claimable whose direct lease has run out; returns the lanes that get them.
UPDATE deliveries SET claimable_at = leased_until, leased_until = NULL
WHERE leased_until <= ? RETURNING webhook_id, organization_id, claimable_at
