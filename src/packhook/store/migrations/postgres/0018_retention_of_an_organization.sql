-- For how long events of an organization are kept, in milliseconds; null: as long as the instance keeps them.
SET LOCAL search_path = packhook;

ALTER TABLE organizations ADD COLUMN retention bigint;

CREATE INDEX organizations_with_retention ON organizations (id) WHERE retention IS NOT NULL;
