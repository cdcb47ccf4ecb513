-- Delete the oldest links and sessions of an organization, but for the newest so many.
DELETE FROM portal_sessions WHERE organization_id = $1 AND id IN (
  SELECT id FROM portal_sessions WHERE organization_id = $1 ORDER BY id DESC LIMIT 1000 OFFSET $2)
