-- The numbers of the newest event and delivery that are or were there, and up to which they are filed.
SELECT max(events_given, coalesce((SELECT max(seq) FROM events), 0)),
  max(deliveries_given, coalesce((SELECT max(seq) FROM deliveries), 0)), events_filed, deliveries_filed
FROM filing
