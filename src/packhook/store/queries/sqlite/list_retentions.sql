-- Select the organizations with a retention of their own, deleted ones too.
SELECT id, retention FROM organizations WHERE retention IS NOT NULL ORDER BY id
