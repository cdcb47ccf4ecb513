-- Begin the warnings of a webhook anew; its recovery is still to be reported.
UPDATE webhook_alerts SET warnings = 0 WHERE webhook_id = ?
