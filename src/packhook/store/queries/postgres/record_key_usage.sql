-- Record when API keys were last used.
-- Differs because it takes many keys at once.
UPDATE api_keys k SET last_used_at = used.at FROM unnest($1::text[], $2::bigint[]) AS used (id, at)
WHERE k.id = used.id AND coalesce(k.last_used_at, 0) < used.at
