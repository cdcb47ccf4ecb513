-- Select a page of the events that have a reference, in any of its places: the first of each, merged.
-- Differs because PostgreSQL would read the organization's events in order to find those of a subquery.
SELECT {event_columns} FROM events WHERE organization_id = :organization_id AND id = ANY (ARRAY (
  SELECT id FROM (
    SELECT id FROM events WHERE reference_1 = :reference AND reference_1 <> '' AND {conditions}
    ORDER BY id {order} LIMIT :limit) AS place_1
  UNION SELECT id FROM (
    SELECT id FROM events WHERE reference_2 = :reference AND reference_2 <> '' AND {conditions}
    ORDER BY id {order} LIMIT :limit) AS place_2
  UNION SELECT id FROM (
    SELECT id FROM events WHERE reference_3 = :reference AND reference_3 <> '' AND {conditions}
    ORDER BY id {order} LIMIT :limit) AS place_3))
ORDER BY id {order} LIMIT :limit
