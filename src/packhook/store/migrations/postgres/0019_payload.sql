-- payload: "thin" sends of an event's data only the subject; "" sends all.
SET LOCAL search_path = packhook;

ALTER TABLE webhooks ADD COLUMN payload text NOT NULL DEFAULT '';
