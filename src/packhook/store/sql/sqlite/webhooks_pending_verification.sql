-- The fan-out, where ownership is required: whose deliveries wait until their endpoint has proven itself.
SELECT id FROM webhooks WHERE organization_id = ? AND event_code = ? AND verification_pending = 1 AND deleted_at IS NULL
