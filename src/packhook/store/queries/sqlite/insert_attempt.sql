-- Insert one attempt of a delivery.
INSERT INTO attempts (delivery_id, {attempt_columns}) VALUES (?1, {attempt_values:2})
