-- An event past retention goes out of its organization's list.
DELETE FROM filed_events WHERE organization_id = ? AND id = ?
