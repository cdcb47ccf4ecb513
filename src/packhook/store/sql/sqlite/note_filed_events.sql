-- Events are filed up to this number.
UPDATE filing SET events_filed = ?
