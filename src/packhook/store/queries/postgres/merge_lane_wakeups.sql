-- Merge the wake-ups that are visible into the lanes' due_at; those that another node is merging are left to it.
WITH seen AS (
  DELETE FROM lane_wakeups WHERE ctid = ANY (ARRAY (SELECT ctid FROM lane_wakeups FOR UPDATE SKIP LOCKED))
  RETURNING webhook_id, organization_id, due_at)
INSERT INTO lanes (webhook_id, organization_id, due_at)
SELECT webhook_id, min(organization_id), min(due_at) FROM seen GROUP BY webhook_id ORDER BY webhook_id
ON CONFLICT (webhook_id) DO UPDATE SET due_at = excluded.due_at WHERE lanes.due_at > excluded.due_at
