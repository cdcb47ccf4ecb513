-- payload: "thin" sends of an event's data only the subject; "" sends all.
ALTER TABLE webhooks ADD COLUMN payload TEXT NOT NULL DEFAULT '';
