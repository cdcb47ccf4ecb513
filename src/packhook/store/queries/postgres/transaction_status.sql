-- Select the fate of a transaction: committed, aborted, or in progress; null where the server no longer knows.
SELECT pg_xact_status($1::text::xid8)
