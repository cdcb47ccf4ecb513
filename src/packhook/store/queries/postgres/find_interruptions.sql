-- Select the interruptions of some of an organization's deliveries.
-- Differs because OFFSET 0 has each delivery and its interruptions looked up by their keys, whatever the planner estimates.
SELECT i.* FROM unnest($2::text[]) AS w (id) CROSS JOIN LATERAL (
  SELECT id FROM deliveries WHERE organization_id = $1 AND id = w.id OFFSET 0) AS d CROSS JOIN LATERAL (
  SELECT delivery_id, number, noticed_at FROM interruptions WHERE delivery_id = d.id OFFSET 0) AS i
LIMIT $3
