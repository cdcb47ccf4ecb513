-- Insert one event for one webhook: leased to this node (status sending), or due now (pending).
INSERT INTO deliveries (
  rowid, id, organization_id, webhook_id, event_id, event_code, status, claimable_at, leased_until, lease, created_at,
  updated_at, urgency, attempt_count, attempts_before
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, 0, 0, 0)
