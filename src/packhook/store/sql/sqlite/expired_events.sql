-- Events from the oldest on, and whether one is still on its way; read only as far as they are past retention.
SELECT e.seq, e.id, e.created_at, EXISTS (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending'))
FROM events e ORDER BY e.seq
