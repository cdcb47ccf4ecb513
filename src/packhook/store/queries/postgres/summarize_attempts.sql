-- Select the attempts of some of an organization's deliveries, without what was sent and received.
-- Differs because OFFSET 0 has each delivery and its attempts looked up by their keys, whatever the planner estimates.
SELECT a.* FROM unnest($2::text[]) AS w (id) CROSS JOIN LATERAL (
  SELECT id FROM deliveries WHERE organization_id = $1 AND id = w.id OFFSET 0) AS d CROSS JOIN LATERAL (
  SELECT {attempt_summary_columns} FROM attempts WHERE delivery_id = d.id OFFSET 0) AS a
LIMIT $3
