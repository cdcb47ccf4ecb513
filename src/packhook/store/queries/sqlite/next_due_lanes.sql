-- Select the lanes that are due next.
SELECT webhook_id, due_at FROM lanes ORDER BY due_at LIMIT ?
