-- Select the indexes that may be absent while rows are written: their names, and the statements that make them.
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid IN ('events'::regclass, 'deliveries'::regclass) AND NOT i.indisunique ORDER BY 1
