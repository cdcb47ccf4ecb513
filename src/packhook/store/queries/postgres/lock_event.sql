-- Keep an event from being erased until the transaction ends; select when it was.
SELECT erased_at FROM events WHERE organization_id = $1 AND id = $2 FOR SHARE
