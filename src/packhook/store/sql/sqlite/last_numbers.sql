-- The numbers of the newest event and delivery, gone ones too, and up to which they are filed.
SELECT max(events, coalesce((SELECT max(seq) FROM events), 0)),
  max(deliveries, coalesce((SELECT max(seq) FROM deliveries), 0)), events, deliveries
FROM filing
