-- Delete all links and sessions of an organization.
DELETE FROM portal_sessions WHERE organization_id = ?1
