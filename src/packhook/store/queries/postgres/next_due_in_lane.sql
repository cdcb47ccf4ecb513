-- Select when the earliest live delivery of each of these lanes is claimable; null where there is none.
-- Differs because it takes many lanes at once.
SELECT lane.webhook_id, least(
  (SELECT min(claimable_at) FROM deliveries d
   WHERE d.webhook_id = lane.webhook_id AND status IN ('pending', 'sending') AND urgency = 0),
  (SELECT min(claimable_at) FROM deliveries d
   WHERE d.webhook_id = lane.webhook_id AND status IN ('pending', 'sending') AND urgency = 1),
  (SELECT min(claimable_at) FROM deliveries d
   WHERE d.webhook_id = lane.webhook_id AND status IN ('pending', 'sending') AND urgency = 2))
FROM unnest($1::text[]) AS lane (webhook_id)
