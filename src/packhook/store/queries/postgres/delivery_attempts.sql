-- Select the newest attempts of one delivery, the newest first; MAX_ATTEMPTS_READ is the limit.
SELECT {attempt_columns} FROM attempts WHERE delivery_id = $1 ORDER BY number DESC LIMIT 100
