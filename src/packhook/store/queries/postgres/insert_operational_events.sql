-- Insert events that packhook itself publishes, and have a node fan them out; none for an organization that is not there.
-- Differs because it takes many events at once.
WITH new AS (
  INSERT INTO events ({new_event_columns})
  SELECT {new_event_columns:event.} FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::text[]) AS event ({new_event_columns})
  WHERE EXISTS (SELECT FROM organizations o WHERE o.id = event.organization_id AND o.deleted_at IS NULL)
  RETURNING organization_id, id)
INSERT INTO outbox (organization_id, event_id) SELECT organization_id, id FROM new ORDER BY id
