-- Set the status of a replay that has another one; it is driven once more, to clean up if need be.
UPDATE replays SET status = $1, finished_at = $2, step_at = $3, stalled_steps = 0
WHERE organization_id = $4 AND id = $5 AND status = $6 RETURNING {replay_columns}
