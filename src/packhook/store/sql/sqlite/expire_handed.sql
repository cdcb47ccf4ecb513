-- What was handed over, and whose lease has run out, is claimable as any other; which lanes have it from when on.
UPDATE deliveries SET claimable_at = handed_until, handed_until = NULL
WHERE handed_until <= ? RETURNING webhook_id, organization_id, claimable_at
