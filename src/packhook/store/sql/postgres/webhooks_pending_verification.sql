-- The fan-out, where ownership is required: whose deliveries wait until their endpoint has proven itself.
-- Differs because it takes all organizations of a transaction at once.
SELECT id FROM webhooks WHERE organization_id = ANY ($1::text[]) AND verification_pending AND deleted_at IS NULL
