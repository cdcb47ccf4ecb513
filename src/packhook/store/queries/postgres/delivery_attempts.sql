-- Select the attempts of one delivery.
SELECT {attempt_columns} FROM attempts WHERE delivery_id = $1 ORDER BY number
