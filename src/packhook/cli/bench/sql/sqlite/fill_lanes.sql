-- A lane for each target: due from one instant on, held until another.
INSERT INTO lanes (webhook_id, organization_id, due_at, held_until)
SELECT webhook_id, organization_id, ?1, ?2 FROM temp.targets
