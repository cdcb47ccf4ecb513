-- Select the organization of the event with an id, unless it was deleted: by a delivery, or else by a look-up in each.
SELECT id FROM organizations WHERE deleted_at IS NULL AND id = coalesce(
  (SELECT organization_id FROM deliveries WHERE event_id = ?1 LIMIT 1),
  (SELECT o.id FROM organizations o WHERE (
    SELECT 1 FROM events e WHERE e.organization_id = o.id AND e.id = ?1 LIMIT 1) IS NOT NULL LIMIT 1))
