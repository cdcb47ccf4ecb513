-- Select which cluster this is, and on which timeline: its transactions have numbers of their own.
SELECT system_identifier::text || '/' || timeline_id::text FROM pg_control_system(), pg_control_checkpoint()
