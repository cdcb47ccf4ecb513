-- Count the replays of an organization that are running or paused.
SELECT count(*) FROM replays WHERE organization_id = ? AND finished_at IS NULL
