-- Insert one entry of the audit trail.
INSERT INTO audit_entries ({audit_entry_columns}) VALUES ({audit_entry_values:1})
