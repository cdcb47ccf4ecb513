-- Select a page of the audit trail.
SELECT {audit_entry_columns} FROM audit_entries WHERE {conditions} ORDER BY id {order} LIMIT :limit
