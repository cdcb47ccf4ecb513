-- The fate of a transaction: committed, aborted, or in progress; null where nobody remembers.
SELECT pg_xact_status($1::text::xid8)
