-- Select the lane that is due next.
-- Differs because the excluded ones are left out here.
SELECT webhook_id, due_at FROM lanes WHERE webhook_id <> ALL ($1::text[]) AND organization_id <> ALL ($2::text[])
ORDER BY due_at LIMIT 1
