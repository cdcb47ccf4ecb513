-- The attempts of one delivery whose outcome nobody knows.
SELECT number, noticed_at FROM interruptions WHERE delivery_id = ? ORDER BY noticed_at
