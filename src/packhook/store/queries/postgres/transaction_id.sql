-- Select this transaction's id, to find out its fate should the answer to COMMIT be lost; null where it wrote nothing.
SELECT pg_current_xact_id_if_assigned()::text
