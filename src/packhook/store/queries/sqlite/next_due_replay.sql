-- Select the replay whose next step has been due for the longest time, and how far the last one came.
SELECT {replay_columns}, examined, stalled_steps FROM replays WHERE step_at <= ? ORDER BY step_at LIMIT 1
