-- Count what is due and not being sent, by urgency and by the condition of its webhook; select since when it is due.
-- Reads the index by which deliveries are claimed, and no delivery.
-- Differs because the planner would count again for each webhook: OFFSET 0 makes it look up the webhook of each count.
WITH due AS MATERIALIZED (
  SELECT webhook_id, urgency, count(*) AS due, min(claimable_at) AS due_since FROM deliveries
  WHERE status IN ('pending', 'sending') AND claimable_at <= $1 GROUP BY webhook_id, urgency)
SELECT d.urgency, w.condition, CAST(sum(d.due) AS bigint), min(d.due_since)
FROM due d
CROSS JOIN LATERAL (
  SELECT CASE WHEN NOT w.enabled THEN 'disabled' WHEN w.paused THEN 'paused'
      WHEN h.failures >= $2 THEN 'failing' ELSE 'active' END AS condition
  FROM webhooks w LEFT JOIN webhook_health h ON h.webhook_id = w.id
  WHERE w.id = d.webhook_id AND w.deleted_at IS NULL OFFSET 0) w
GROUP BY 1, 2
