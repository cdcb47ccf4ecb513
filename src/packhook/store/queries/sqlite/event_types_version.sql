-- Select the version of the catalogue of event types; 0 is the built-in ones alone.
SELECT coalesce(max(version), 0) FROM event_types
