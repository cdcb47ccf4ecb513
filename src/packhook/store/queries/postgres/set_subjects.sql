-- Write the subjects and references of events that packhook.publish() stored without them.
UPDATE events e
SET subject = found.subject, reference_1 = found.reference_1, reference_2 = found.reference_2,
  reference_3 = found.reference_3
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
  AS found (organization_id, id, subject, reference_1, reference_2, reference_3)
WHERE e.organization_id = found.organization_id AND e.id = found.id
