-- Select the fingerprint of an organization's subscriptions; no row without organization.
SELECT subscriptions_version FROM organizations WHERE id = ? AND deleted_at IS NULL
