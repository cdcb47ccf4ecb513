-- Insert an event type, or replace the one with its code.
INSERT INTO event_types ({event_type_columns}) VALUES ({event_type_values:1})
ON CONFLICT (code) DO UPDATE SET description = excluded.description, schema = excluded.schema, example = excluded.example,
  subject_pointer = excluded.subject_pointer, reference_pointers = excluded.reference_pointers, archived_at = excluded.archived_at,
  created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version
