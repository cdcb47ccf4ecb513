-- This transaction's number, to ask for its fate should the answer to its commit be lost; null where it wrote nothing.
SELECT pg_current_xact_id_if_assigned()::text
