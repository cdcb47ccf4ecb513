-- One event for one webhook, handed over to this node (status sending) or due now (pending).
INSERT INTO deliveries (
  seq, id, organization_id, webhook_id, event_id, event_code, status, claimable_at, handed_until, lease, created_at,
  updated_at, event_seq, urgency, attempt_count, attempts_before, filed
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, 0, 0, 0, 0)
