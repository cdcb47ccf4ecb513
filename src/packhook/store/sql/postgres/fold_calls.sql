-- What called its lane, and is visible, becomes the lane's due_at; calls that another node is folding are left to it.
WITH seen AS (
  DELETE FROM lane_calls WHERE ctid = ANY (ARRAY (SELECT ctid FROM lane_calls FOR UPDATE SKIP LOCKED))
  RETURNING webhook_id, organization_id, due_at)
INSERT INTO lanes (webhook_id, organization_id, due_at)
SELECT webhook_id, min(organization_id), min(due_at) FROM seen GROUP BY webhook_id ORDER BY webhook_id
ON CONFLICT (webhook_id) DO UPDATE SET due_at = excluded.due_at WHERE lanes.due_at > excluded.due_at
