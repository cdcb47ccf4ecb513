-- All that is there is filed.
UPDATE filing SET events = max(events, coalesce((SELECT max(seq) FROM events), 0)),
  deliveries = max(deliveries, coalesce((SELECT max(seq) FROM deliveries), 0))
