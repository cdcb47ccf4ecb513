-- Keep retention from deleting events until the transaction ends; false where it is being applied.
SELECT pg_try_advisory_xact_lock_shared(8097862917953646444)
