-- Select the event types that were saved after a version of the catalogue, archived ones too.
SELECT {event_type_columns} FROM event_types WHERE version > ?1
