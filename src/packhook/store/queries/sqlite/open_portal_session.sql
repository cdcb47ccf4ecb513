-- Turn a link into a session, unless it was opened before.
UPDATE portal_sessions AS p SET opened_at = ?2, session_hash = ?3
WHERE p.link_hash = ?1 AND p.opened_at IS NULL AND p.expires_at > ?2
  AND EXISTS (SELECT 1 FROM organizations o WHERE o.id = p.organization_id AND o.deleted_at IS NULL)
  AND (p.api_key_id = '' OR EXISTS (
    SELECT 1 FROM api_keys k WHERE k.id = p.api_key_id AND k.revoked_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > ?2)))
RETURNING {portal_session_columns}
