-- Select the newest event of an organization that retention removed.
SELECT position, event_id FROM feed_starts WHERE organization_id = ?
