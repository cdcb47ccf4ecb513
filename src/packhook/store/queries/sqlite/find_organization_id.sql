-- Select whether this id is, or ever was, an organization's.
SELECT 1 FROM organizations WHERE id = ?
