-- Select a page of an organization's deliveries that are being sent: the claimed and the directly leased ones, merged.
-- Differs because directly leased deliveries have an index of their own here.
SELECT * FROM (
  SELECT {delivery_columns} FROM deliveries
  WHERE claimable_at IS NOT NULL AND {conditions} ORDER BY id {order} LIMIT :limit)
UNION ALL SELECT * FROM (
  SELECT {delivery_columns} FROM deliveries INDEXED BY deliveries_leased_directly
  WHERE leased_until IS NOT NULL AND {conditions} ORDER BY id {order} LIMIT :limit)
ORDER BY id {order} LIMIT :limit
