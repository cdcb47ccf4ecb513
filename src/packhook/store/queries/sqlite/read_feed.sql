-- Select the next events of an organization, in the order of their commits, and whether they have one of some codes.
-- ?1: the organization. ?2: the rowid to go on from. ?3: the codes, as JSON; none: any. ?4: the most rows.
SELECT rowid, id, ?3 = '[]' OR event_code IN (SELECT value FROM json_each(?3))
FROM events INDEXED BY events_feed WHERE organization_id = ?1 AND rowid > ?2 ORDER BY rowid LIMIT ?4
