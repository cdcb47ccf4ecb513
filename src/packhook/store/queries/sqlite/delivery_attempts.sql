-- Select the attempts of one delivery.
SELECT {attempt_columns} FROM attempts WHERE delivery_id = ? ORDER BY number
