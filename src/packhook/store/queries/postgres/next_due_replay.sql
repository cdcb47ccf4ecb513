-- Select the replay whose next step has been due for the longest time, and how far the last one came.
-- Differs because it is locked until the transaction ends; one that another node drives is skipped.
SELECT {replay_columns}, examined, stalled_steps FROM replays WHERE step_at <= $1 ORDER BY step_at LIMIT 1 FOR UPDATE SKIP LOCKED
