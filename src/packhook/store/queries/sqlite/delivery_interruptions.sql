-- Select the interruptions of one delivery.
SELECT number, noticed_at FROM interruptions WHERE delivery_id = ? ORDER BY noticed_at
