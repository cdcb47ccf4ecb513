-- Insert an event that packhook itself publishes, under a new rowid; no row where the organization is not there.
INSERT INTO events (rowid, {new_event_columns})
SELECT 1 + max(coalesce((SELECT max(rowid) FROM events), 0), coalesce((SELECT max(position) FROM feed_starts), 0)),
  {new_event_values:1}
WHERE EXISTS (SELECT 1 FROM organizations WHERE id = ?2 AND deleted_at IS NULL)
RETURNING organization_id, id
