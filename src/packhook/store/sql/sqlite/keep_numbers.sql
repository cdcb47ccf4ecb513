-- The numbers of what is about to go are not given again.
UPDATE filing SET events_given = max(events_given, coalesce((SELECT max(seq) FROM events), 0)),
  deliveries_given = max(deliveries_given, coalesce((SELECT max(seq) FROM deliveries), 0))
