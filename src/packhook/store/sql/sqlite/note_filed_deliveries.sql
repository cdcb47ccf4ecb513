-- Deliveries are filed up to this number.
UPDATE filing SET deliveries_filed = ?
